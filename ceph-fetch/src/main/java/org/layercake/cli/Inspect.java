package org.layercake.cli;

import com.fasterxml.jackson.core.JsonGenerator;
import java.io.IOException;
import java.io.PrintStream;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Callable;
import org.layercake.store.Audience;
import org.layercake.store.Image;
import org.layercake.store.ImageConfig;
import org.layercake.store.ImageName;
import org.layercake.store.ImageStore;
import org.layercake.store.Manifest;
import org.layercake.store.Origin;
import org.layercake.store.Tagged;
import org.layercake.store.Text;
import picocli.CommandLine.Command;

@Command(
    name = "inspect",
    mixinStandardHelpOptions = true,
    description = "Shows which image a name means, and what its manifest contains.",
    footerHeading = "%nExample:%n",
    footer = "  layercake inspect --json deb:12")
final class Inspect extends ReadCommand implements Callable<Integer> {
  @Override
  public Integer call() throws Exception {
    try (ImageStore store = openStore()) {
      Image image = resolve(store);
      Audience audience = store.audience(image);
      Optional<Origin> origin = store.origin(image);
      List<Tagged> others =
          name().digest().isPresent()
              ? List.of()
              : store.beside(image).stream()
                  .filter(one -> !one.digest().equals(image.digest()))
                  .toList();
      answer(
          Json.image(
              out -> {
                write(image, audience, origin, out);
                Json.list(out, "others", others, Json::tagged);
              }),
          out -> {
            print(image, audience, out);
            others.forEach(
                other ->
                    out.println(
                        "also for      " + other.machine().orElse("?") + " " + other.digest()));
            origin.ifPresent(from -> print(from, out));
          });
      return 0;
    }
  }

  private void print(Image image, Audience audience, PrintStream out) {
    Manifest manifest = image.manifest();
    out.println("name          " + image.name().tagged());
    out.println("found in      " + place(image));
    printUnlessEmpty(out, "shared with   ", audience.toString());
    out.println("digest        " + image.digest());
    out.println(
        "size          " + Sizes.human(manifest.size()) + " (" + manifest.size() + " bytes)");
    out.println("chunks        " + manifest.chunks().size());
    out.println("architecture  " + manifest.config().architecture());
    for (String variable : manifest.config().environment()) {
      printUnlessEmpty(out, "environment   ", variable);
    }
    ImageConfig.Run run = manifest.config().run();
    printUnlessEmpty(out, "directory     ", run.directory());
    printUnlessEmpty(out, "entry point   ", String.join(" ", run.entryPoint()));
    printUnlessEmpty(out, "command       ", String.join(" ", run.command()));
    printUnlessEmpty(out, "user          ", run.user());
    run.labels()
        .forEach((name, value) -> printUnlessEmpty(out, "label         ", name + "=" + value));
  }

  private static void print(Origin origin, PrintStream out) {
    Origin.Source source = origin.source();
    out.println("source        " + Text.clean(source.reference()) + "@" + source.digest());
    if (!source.manifest().equals(source.digest())) {
      out.println("manifest      " + source.manifest());
    }
    out.println("pushed        " + origin.pushed() + " by " + Text.clean(origin.packer()));
    for (Origin.Layer layer : origin.layers()) {
      out.println("layer         " + layer.digest() + " " + Sizes.human(layer.bytes()));
    }
    origin
        .annotations()
        .forEach((name, value) -> printUnlessEmpty(out, "annotation    ", name + "=" + value));
  }

  private static void printUnlessEmpty(PrintStream out, String title, String value) {
    if (!value.isEmpty()) {
      out.println(title + Text.clean(value)); // of whoever made the image
    }
  }

  private String place(Image image) {
    String owner = image.name().owner().orElseThrow();
    String place = owner.equals(ImageName.SITE) ? "the site's images" : "the images of " + owner;
    return name().owner().isPresent()
        ? place
        : place + " (a bare name: yours first, then the site's)";
  }

  private static void write(
      Image image, Audience audience, Optional<Origin> origin, JsonGenerator out)
      throws IOException {
    Manifest manifest = image.manifest();
    Json.image(out, image.name(), image.digest(), manifest.size());
    out.writeStringField("domain", image.domain());
    Json.audience(out, audience);
    out.writeNumberField("chunks", manifest.chunks().size());
    out.writeStringField("chunker", manifest.chunker());
    out.writeStringField("architecture", manifest.config().architecture());
    Json.texts(out, "environment", manifest.config().environment());
    ImageConfig.Run run = manifest.config().run();
    out.writeStringField("directory", run.directory());
    Json.texts(out, "entryPoint", run.entryPoint());
    Json.texts(out, "command", run.command());
    out.writeStringField("user", run.user());
    Json.texts(out, "labels", run.labels());
    if (origin.isPresent()) {
      write(origin.get(), out);
    }
  }

  private static void write(Origin origin, JsonGenerator out) throws IOException {
    out.writeObjectFieldStart("source");
    out.writeStringField("reference", origin.source().reference());
    out.writeStringField("digest", origin.source().digest().toString());
    out.writeStringField("manifest", origin.source().manifest().toString());
    out.writeStringField("pushed", origin.pushed().toString());
    out.writeStringField("packer", origin.packer());
    Json.list(out, "layers", origin.layers(), Inspect::write);
    Json.texts(out, "annotations", origin.annotations());
    out.writeEndObject();
  }

  private static void write(JsonGenerator out, Origin.Layer layer) throws IOException {
    out.writeStartObject();
    out.writeStringField("digest", layer.digest().toString());
    out.writeNumberField("size", layer.bytes());
    out.writeEndObject();
  }
}
