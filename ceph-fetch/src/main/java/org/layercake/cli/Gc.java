package org.layercake.cli;

import static org.layercake.store.StoreException.Kind.INVALID;

import com.fasterxml.jackson.core.JsonGenerator;
import java.io.IOException;
import java.io.PrintStream;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.layercake.store.Garbage;
import org.layercake.store.ImageName;
import org.layercake.store.ImageStore;
import org.layercake.store.StoreException;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

@Command(
    name = "gc",
    mixinStandardHelpOptions = true,
    description = {
      "Frees the room of images that no longer have a tag.",
      "",
      "Images that were removed or lost their tag, and parts of unfinished pushes, stay for"
          + " a grace period. Until then such an image can be run by its digest. Safe beside"
          + " pushes and running jobs."
    },
    footerHeading = "%nExamples:%n",
    footer = {
      "  layercake gc --dry-run",
      "  layercake gc --grace 1d",
      "  layercake gc --all        (an administrator, every night)"
    })
final class Gc extends StoreCommand implements Callable<Integer> {
  private static final Pattern GRACE = Pattern.compile("([0-9]{1,5})([hdw])");

  @Option(
      names = "--grace",
      paramLabel = "TIME",
      defaultValue = "7d",
      description =
          "How long to keep images without a tag: hours, days or weeks, as in 36h, 7d, 2w.")
  private String grace;

  @Option(
      names = "--owner",
      paramLabel = "OWNER",
      description = "Collect that owner's images, or the site's, instead of yours.")
  private String owner;

  @Option(
      names = "--all",
      description = "Collect all images in the pool. The key must be allowed to write them.")
  private boolean all;

  @Option(names = "--dry-run", description = "Only show what would be freed.")
  private boolean dryRun;

  @Override
  public Integer call() throws Exception {
    try (ImageStore store = openStore()) {
      List<Garbage> result = store.collect(whose(), duration(), dryRun);
      answer(out -> Json.list(out, "domains", result, Gc::write), out -> print(result, out));
      // The rest was collected all the same.
      result.stream().flatMap(garbage -> garbage.problem().stream()).forEach(this::note);
      return 0;
    }
  }

  private void print(List<Garbage> result, PrintStream out) {
    if (result.isEmpty()) {
      out.println("nothing is stored");
    }
    result.forEach(garbage -> out.println(line(garbage)));
  }

  private Optional<String> whose() throws StoreException {
    if (all && owner != null) {
      throw new StoreException(
          INVALID, "cannot collect: --all and --owner exclude each other (leave one out)");
    }
    if (owner != null && !owner.equals(ImageName.SITE) && !ImageName.isUser(owner)) {
      throw new StoreException(INVALID, "cannot collect: \"" + owner + "\" is not an owner's name");
    }
    return all ? Optional.empty() : Optional.of(owner == null ? user() : owner);
  }

  private Duration duration() throws StoreException {
    Matcher matcher = GRACE.matcher(grace);
    if (!matcher.matches()) {
      throw new StoreException(
          INVALID,
          "cannot use --grace=" + grace + ": not a number with h, d or w (write, say, 36h or 7d)");
    }
    long number = Long.parseLong(matcher.group(1));
    return switch (matcher.group(2)) {
      case "h" -> Duration.ofHours(number);
      case "d" -> Duration.ofDays(number);
      default -> Duration.ofDays(7 * number);
    };
  }

  private String line(Garbage garbage) {
    return "%s: %s %s of %d images%s"
        .formatted(
            ImageStore.owner(garbage.domain()),
            dryRun ? "would give back" : "gave back",
            Sizes.human(garbage.bytes()),
            garbage.images(),
            garbage.waitingBytes() == 0
                ? ""
                : "; " + Sizes.human(garbage.waitingBytes()) + " more after their grace");
  }

  private static void write(JsonGenerator out, Garbage garbage) throws IOException {
    out.writeStartObject();
    out.writeStringField("owner", ImageStore.owner(garbage.domain()));
    out.writeNumberField("images", garbage.images());
    out.writeNumberField("objects", garbage.objects());
    out.writeNumberField("bytes", garbage.bytes());
    out.writeNumberField("waiting", garbage.waitingBytes());
    out.writeEndObject();
  }
}
