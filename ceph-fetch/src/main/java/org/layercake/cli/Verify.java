package org.layercake.cli;

import java.util.concurrent.Callable;
import org.layercake.store.Image;
import org.layercake.store.ImageName;
import org.layercake.store.ImageStore;
import picocli.CommandLine.Command;
import picocli.CommandLine.Parameters;

@Command(
    name = "verify",
    mixinStandardHelpOptions = true,
    description = {
      "Reads all of an image and compares it with its digests.",
      "",
      "What is damaged is mended by pushing the same source again with --repair."
    },
    footerHeading = "%nExample:%n",
    footer = "  layercake verify deb:12")
final class Verify extends StoreCommand implements Callable<Integer> {
  @Parameters(
      index = "0",
      paramLabel = "IMAGE",
      converter = NameConverter.class,
      description = "[OWNER/]NAME[:TAG][@sha256:HEX]; without OWNER yours, or else the site's.")
  private ImageName name;

  @Override
  public Integer call() throws Exception {
    try (ImageStore store = openStore();
        Progress progress = new Progress(session().err())) {
      Image image = store.resolve(name, user());
      progress.begin("verifying " + image.name(), image.manifest().size());
      store.verify(image, progress::reach);
      progress.end();
      session()
          .out()
          .printf(
              "%s@%s is whole: %d chunks, %s%n",
              image.name().tagged(),
              image.digest(),
              image.manifest().chunks().size(),
              Sizes.human(image.manifest().size()));
      return 0;
    }
  }
}
