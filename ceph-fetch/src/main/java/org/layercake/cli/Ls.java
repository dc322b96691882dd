package org.layercake.cli;

import com.fasterxml.jackson.core.JsonGenerator;
import java.io.IOException;
import java.util.List;
import java.util.concurrent.Callable;
import org.layercake.store.ImageName;
import org.layercake.store.ImageStore;
import org.layercake.store.Listing;
import org.layercake.store.Tagged;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

@Command(
    name = "ls",
    mixinStandardHelpOptions = true,
    description = "Lists your images and the site's.",
    footerHeading = "%nExample:%n",
    footer = "  layercake ls --json")
final class Ls extends StoreCommand implements Callable<Integer> {
  @Option(names = "--json", description = "Print a JSON array.")
  private boolean json;

  @Override
  public Integer call() throws Exception {
    try (ImageStore store = openStore()) {
      Listing listing = store.list(user());
      if (json) {
        Json.print(session().out(), out -> write(listing.images(), out));
      } else {
        listing.images().forEach(this::printLine);
      }
      listing.requireComplete();
      return 0;
    }
  }

  private void printLine(Tagged image) {
    session()
        .out()
        .printf(
            "%-40s %8s  %s%s%n",
            image.name(), Sizes.human(image.size()), image.digest(), sharing(image));
  }

  /** The site's are shared by their nature. */
  private static String sharing(Tagged image) {
    boolean own = image.name().owner().filter(owner -> !owner.equals(ImageName.SITE)).isPresent();
    return own && !image.audience().isNobody() ? "  " + image.audience() : "";
  }

  private static void write(List<Tagged> images, JsonGenerator out) throws IOException {
    out.writeStartArray();
    for (Tagged image : images) {
      out.writeStartObject();
      out.writeStringField("name", image.name().toString());
      out.writeStringField("domain", image.domain());
      out.writeStringField("digest", image.digest().toString());
      out.writeNumberField("size", image.size());
      out.writeStringField("sharedWith", image.audience().toString());
      out.writeEndObject();
    }
    out.writeEndArray();
  }
}
