package org.layercake.cli;

import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Path;
import java.util.Optional;
import java.util.concurrent.Callable;
import org.layercake.pack.Prover;
import org.layercake.pack.Scratch;
import org.layercake.store.Image;
import org.layercake.store.ImageStore;
import org.layercake.store.StoreException;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

@Command(
    name = "verify",
    mixinStandardHelpOptions = true,
    description = {
      "Reads all of an image, compares it with its digests, and then reads every file in it.",
      "",
      "If data does not match its digest, push the same source again with --repair. If an"
          + " image matches but was damaged before it was stored, push it again from its source."
          + " The image is put under TMPDIR meanwhile."
    },
    footerHeading = "%nExamples:%n",
    footer = {
      "  layercake verify deb:12",
      "  layercake verify --digests deb:12    (quicker: does not look into the image)"
    })
final class Verify extends ReadCommand implements Callable<Integer> {
  @Option(
      names = "--digests",
      description = "Only compare the image with its digests; this needs no room under TMPDIR.")
  private boolean digestsOnly;

  @Override
  public Integer call() throws Exception {
    try (ImageStore store = openStore();
        Progress progress = new Progress(session().err())) {
      Image image = resolve(store);
      progress.begin("verifying " + image.name(), image.manifest().size());
      if (digestsOnly) {
        store.verify(image, progress::reach);
      } else {
        verifyContent(store, image, progress);
      }
      progress.end();
      answer(Json.image(out -> Json.resolved(out, image)), out -> print(image, out));
      return 0;
    }
  }

  private static void print(Image image, PrintStream out) {
    out.printf(
        "%s@%s is whole: %d chunks, %s%n",
        image.name().tagged(),
        image.digest(),
        image.manifest().chunks().size(),
        Sizes.human(image.manifest().size()));
  }

  private void verifyContent(ImageStore store, Image image, Progress progress)
      throws StoreException, IOException {
    String act = "verify " + image.name().tagged() + "@" + image.digest();
    try (Scratch scratch = new Scratch(session().environment())) {
      Path file = Fetched.fetch(store, image, scratch, act, progress);
      Prover.start(scratch, file).require(act, Optional.empty(), "push it again from its source");
    }
  }
}
