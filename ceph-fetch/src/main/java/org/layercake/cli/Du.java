package org.layercake.cli;

import com.fasterxml.jackson.core.JsonGenerator;
import java.io.IOException;
import java.io.PrintStream;
import java.util.concurrent.Callable;
import org.layercake.store.ImageStore;
import org.layercake.store.ImageStore.Tagged;
import org.layercake.store.ImageStore.Usage;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

@Command(
    name = "du",
    mixinStandardHelpOptions = true,
    description = {
      "Says what your images take in the store.",
      "",
      "ALONE is what only that image has, and would be free without it; the rest of its SIZE is shared"
          + " with others of yours. Two names of one image are one image."
    },
    footerHeading = "%nExample:%n",
    footer = "  layercake du")
final class Du extends StoreCommand implements Callable<Integer> {
  @Option(names = "--json", description = "Print a JSON object.")
  private boolean json;

  @Override
  public Integer call() throws Exception {
    try (ImageStore store = openStore()) {
      Usage usage = store.usage(user());
      if (json) {
        Json.print(session().out(), out -> write(usage, out));
      } else {
        print(usage, session().out());
      }
      return 0;
    }
  }

  private static void print(Usage usage, PrintStream out) {
    out.printf("%8s %8s  %s%n", "SIZE", "ALONE", "IMAGE");
    for (Tagged image : usage.images()) {
      out.printf(
          "%8s %8s  %s%n",
          Sizes.human(image.size()),
          Sizes.human(usage.ownBytes().get(image.digest())),
          image.name());
    }
    out.printf("%8s           together, each piece once%n", Sizes.human(usage.usedBytes()));
  }

  private static void write(Usage usage, JsonGenerator out) throws IOException {
    out.writeStartObject();
    out.writeArrayFieldStart("images");
    for (Tagged image : usage.images()) {
      out.writeStartObject();
      out.writeStringField("name", image.name().toString());
      out.writeStringField("digest", image.digest().toString());
      out.writeNumberField("size", image.size());
      out.writeNumberField("alone", usage.ownBytes().get(image.digest()));
      out.writeEndObject();
    }
    out.writeEndArray();
    out.writeNumberField("used", usage.usedBytes());
    out.writeEndObject();
  }
}
