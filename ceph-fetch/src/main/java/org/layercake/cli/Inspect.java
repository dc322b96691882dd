package org.layercake.cli;

import com.fasterxml.jackson.core.JsonGenerator;
import java.io.IOException;
import java.io.PrintStream;
import java.util.concurrent.Callable;
import org.layercake.store.Image;
import org.layercake.store.ImageName;
import org.layercake.store.ImageStore;
import org.layercake.store.Manifest;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

@Command(
    name = "inspect",
    mixinStandardHelpOptions = true,
    description = "Says which image a name means, and what is in its manifest.",
    footerHeading = "%nExample:%n",
    footer = "  layercake inspect --json deb:12")
final class Inspect extends StoreCommand implements Callable<Integer> {
  @Parameters(index = "0", paramLabel = "IMAGE", converter = NameConverter.class)
  private ImageName name;

  @Option(names = "--json", description = "As a JSON object.")
  private boolean json;

  @Override
  public Integer call() throws Exception {
    try (ImageStore store = openStore()) {
      Image image = store.resolve(name, user());
      if (json) {
        Json.print(session().out(), out -> write(image, out));
      } else {
        print(image, session().out());
      }
      return 0;
    }
  }

  private void print(Image image, PrintStream out) {
    Manifest manifest = image.manifest();
    out.println("name          " + image.name().tagged());
    out.println("found in      " + place(image));
    out.println("digest        " + image.digest());
    out.println(
        "size          " + Sizes.human(manifest.size()) + " (" + manifest.size() + " bytes)");
    out.println("chunks        " + manifest.chunks().size());
    out.println("architecture  " + manifest.config().architecture());
    for (String variable : manifest.config().environment()) {
      out.println("environment   " + variable);
    }
  }

  private String place(Image image) {
    String owner = image.name().owner().orElseThrow();
    String place = owner.equals(ImageName.SITE) ? "the site's images" : "the images of " + owner;
    return name.owner().isPresent()
        ? place
        : place + " (a bare name: yours first, then the site's)";
  }

  private static void write(Image image, JsonGenerator out) throws IOException {
    Manifest manifest = image.manifest();
    out.writeStartObject();
    out.writeStringField("name", image.name().toString());
    out.writeStringField("domain", image.domain());
    out.writeStringField("digest", image.digest().toString());
    out.writeNumberField("size", manifest.size());
    out.writeNumberField("chunks", manifest.chunks().size());
    out.writeStringField("chunker", manifest.chunker());
    out.writeStringField("architecture", manifest.config().architecture());
    out.writeArrayFieldStart("environment");
    for (String variable : manifest.config().environment()) {
      out.writeString(variable);
    }
    out.writeEndArray();
    out.writeEndObject();
  }
}
