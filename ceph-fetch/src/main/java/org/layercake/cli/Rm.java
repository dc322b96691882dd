package org.layercake.cli;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Callable;
import org.layercake.pack.Platform;
import org.layercake.store.ImageName;
import org.layercake.store.ImageStore;
import org.layercake.store.StoreException;
import org.layercake.store.Tagged;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

@Command(
    name = "rm",
    mixinStandardHelpOptions = true,
    description = {
      "Removes names of images.",
      "",
      "Jobs that run from the images are not disturbed. With several names, each is tried,"
          + " even if others fail. Names cannot be patterns; layercake ls takes those."
    },
    footerHeading = "%nExamples:%n",
    footer = {
      "  layercake rm deb:11",
      "  layercake rm deb:10 deb:11",
      "  layercake rm --arch arm64 deb:12",
      "  layercake ls --quiet 'old-*' | xargs layercake rm"
    })
final class Rm extends StoreCommand implements Callable<Integer> {
  @Parameters(
      arity = "1..*",
      paramLabel = "[OWNER/]NAME[:TAG]",
      converter = NameConverter.class,
      description = "The names; the tag is \"latest\" when left out.")
  private List<ImageName> names;

  @Option(
      names = "--arch",
      paramLabel = "ARCH",
      description =
          "If a name has images for several processors, remove only those for this one (amd64,"
              + " arm64); default: all of them.")
  private String architecture;

  private Optional<String> machine() throws StoreException {
    return architecture == null
        ? Optional.empty()
        : Optional.of(Platform.parse(architecture).machine());
  }

  @Override
  public Integer call() throws Exception {
    List<Tagged> removed = new ArrayList<>();
    try (ImageStore store = openStore()) {
      for (ImageName name : names) {
        try {
          removed.addAll(store.remove(name, user(), machine()));
        } catch (StoreException e) {
          note(e);
        }
      }
    }
    answer(
        out -> Json.list(out, "images", removed, Json::tagged),
        out -> removed.forEach(image -> out.println("removed " + image.pinned())));
    return 0;
  }
}
