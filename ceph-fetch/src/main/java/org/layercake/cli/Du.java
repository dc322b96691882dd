package org.layercake.cli;

import com.fasterxml.jackson.core.JsonGenerator;
import java.io.IOException;
import java.io.PrintStream;
import java.util.Optional;
import java.util.concurrent.Callable;
import org.layercake.store.ImageStore;
import org.layercake.store.Space;
import org.layercake.store.Tagged;
import org.layercake.store.Usage;
import picocli.CommandLine.Command;

@Command(
    name = "du",
    mixinStandardHelpOptions = true,
    description = {
      "Shows how much room your images take in the store.",
      "",
      "ALONE is the room that removing only this image would free. It shares the rest of"
          + " its SIZE with other images of yours. Two names of one image count once. The size"
          + " and quota of the whole store are shown if Ceph reports them."
    },
    footerHeading = "%nExample:%n",
    footer = "  layercake du")
final class Du extends StoreCommand implements Callable<Integer> {
  @Override
  public Integer call() throws Exception {
    try (ImageStore store = openStore()) {
      Usage usage = store.usage(user());
      Optional<Space> space = store.space();
      answer(
          out -> write(usage, space, out),
          out -> {
            print(usage, out);
            space.ifPresent(all -> print(all, out));
          });
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
          image.name() + image.machine().map(machine -> " (" + machine + ")").orElse(""));
    }
    out.printf("%8s           together, each piece once%n", Sizes.human(usage.usedBytes()));
  }

  /** The pool is everybody's, and so is its quota. */
  private static void print(Space space, PrintStream out) {
    String used = Sizes.human(space.usedBytes());
    out.println(
        space.limitBytes().isPresent()
            ? "The store holds %s of %s, of all users."
                .formatted(used, Sizes.human(space.limitBytes().getAsLong()))
            : "The store holds " + used + ", of all users; it has no quota.");
  }

  private static void write(Usage usage, Optional<Space> space, JsonGenerator out)
      throws IOException {
    Json.list(
        out,
        "images",
        usage.images(),
        (each, image) -> {
          each.writeStartObject();
          Json.image(each, image.name(), image.digest(), image.size());
          Json.machine(each, image);
          each.writeNumberField("alone", usage.ownBytes().get(image.digest()));
          each.writeEndObject();
        });
    out.writeNumberField("used", usage.usedBytes());
    if (space.isPresent()) {
      out.writeNumberField("storeUsed", space.get().usedBytes());
      if (space.get().limitBytes().isPresent()) {
        out.writeNumberField("storeLimit", space.get().limitBytes().getAsLong());
      }
    }
  }
}
