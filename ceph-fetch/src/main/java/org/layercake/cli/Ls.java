package org.layercake.cli;

import static org.layercake.store.StoreException.Kind.NOT_FOUND;

import com.fasterxml.jackson.core.JsonGenerator;
import java.io.IOException;
import java.io.PrintStream;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import org.layercake.store.Audience;
import org.layercake.store.ImageName;
import org.layercake.store.ImageStore;
import org.layercake.store.Listing;
import org.layercake.store.StoreException;
import org.layercake.store.Tagged;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

@Command(
    name = "ls",
    mixinStandardHelpOptions = true,
    description = {
      "Lists your images and the site's.",
      "",
      "AGE counts from the last push, or from when the image gained or lost a name. DIGEST"
          + " is shortened; layercake inspect shows all of it."
    },
    footerHeading = "%nExamples:%n",
    footer = {
      "  layercake ls",
      "  layercake ls deb 'py*:3.*' 'site/*'",
      "  layercake ls --quiet 'old-*' | xargs layercake rm"
    })
final class Ls extends StoreCommand implements Callable<Integer> {
  @Parameters(
      arity = "0..*",
      paramLabel = "PATTERN",
      description =
          "List only images that match: [OWNER/]NAME[:TAG], in which * stands for any"
              + " characters and ? for one. A missing OWNER or TAG matches all.")
  private List<String> patterns = List.of();

  @Option(
      names = {"-q", "--quiet"},
      description = "Print names only, one a line.")
  private boolean quiet;

  @Override
  public Integer call() throws Exception {
    List<NamePattern> wanted = new ArrayList<>();
    for (String pattern : patterns) {
      wanted.add(NamePattern.parse(pattern));
    }
    try (ImageStore store = openStore()) {
      Listing listing = store.list(user());
      List<Tagged> images =
          listing.images().stream().filter(image -> isWanted(image.name(), wanted)).toList();
      Map<Tagged, Instant> since = quiet ? Map.of() : store.since(images);
      answer(out -> write(images, since, out), out -> print(images, since, out));
      listing.requireComplete();
      requireFound(images);
      return 0;
    }
  }

  private static boolean isWanted(ImageName name, List<NamePattern> wanted) {
    return wanted.isEmpty() || wanted.stream().anyMatch(pattern -> pattern.matches(name));
  }

  private void requireFound(List<Tagged> images) throws StoreException {
    if (images.isEmpty() && !patterns.isEmpty()) {
      throw new StoreException(
          NOT_FOUND,
          "cannot find images: no name matches "
              + String.join(" or ", patterns)
              + " (see all: layercake ls)");
    }
  }

  private void print(List<Tagged> images, Map<Tagged, Instant> since, PrintStream out) {
    if (quiet) {
      images.stream().map(Tagged::name).distinct().forEach(out::println);
    } else if (!images.isEmpty()) {
      printTable(images, since, out);
    }
  }

  private static void printTable(List<Tagged> images, Map<Tagged, Instant> since, PrintStream out) {
    int width = images.stream().mapToInt(image -> image.name().toString().length()).max().orElse(0);
    boolean several = images.stream().anyMatch(image -> image.machine().isPresent());
    boolean shared = images.stream().anyMatch(image -> !sharing(image).isEmpty());
    // A column that would be empty is left out.
    String line =
        "%-"
            + Math.max(width, "IMAGE".length())
            + "s  %7s  %6s  %-12s"
            + (several ? "  %-11s" : "%s")
            + "  %s";
    out.println(
        line.formatted(
                "IMAGE", "SIZE", "AGE", "DIGEST", several ? "FOR" : "", shared ? "SHARED WITH" : "")
            .stripTrailing());
    Instant now = Instant.now();
    for (Tagged image : images) {
      Instant then = since.get(image);
      out.println(
          line.formatted(
                  image.name(),
                  Sizes.human(image.size()),
                  then == null ? "-" : Ages.human(then, now),
                  image.digest().hex().substring(0, 12),
                  image.machine().orElse(""),
                  sharing(image))
              .stripTrailing());
    }
  }

  /** The site's are shared by their nature. */
  private static String sharing(Tagged image) {
    return isSites(image) ? "" : image.audience().toString();
  }

  private static boolean isSites(Tagged image) {
    return image.name().owner().filter(owner -> owner.equals(ImageName.SITE)).isPresent();
  }

  private static void write(List<Tagged> images, Map<Tagged, Instant> since, JsonGenerator out)
      throws IOException {
    Json.list(out, "images", images, (each, image) -> write(image, since.get(image), each));
  }

  private static void write(Tagged image, Instant since, JsonGenerator out) throws IOException {
    out.writeStartObject();
    Json.image(out, image.name(), image.digest(), image.size());
    Json.machine(out, image);
    out.writeStringField("domain", image.domain());
    if (since != null) {
      out.writeStringField("since", since.toString());
    }
    Json.audience(out, isSites(image) ? Audience.ALL : image.audience());
    out.writeEndObject();
  }
}
