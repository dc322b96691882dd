package org.layercake.cli;

import static org.layercake.store.StoreException.Kind.FULL;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.concurrent.Callable;
import org.layercake.store.Image;
import org.layercake.store.ImageName;
import org.layercake.store.ImageStore;
import org.layercake.store.StoreException;
import picocli.CommandLine.Command;
import picocli.CommandLine.Parameters;

@Command(
    name = "pull",
    mixinStandardHelpOptions = true,
    description = "Writes an image to a squashfs file, verified; an existing file is replaced.",
    footerHeading = "%nExample:%n",
    footer = "  layercake pull deb:12 deb.sqfs")
final class Pull extends StoreCommand implements Callable<Integer> {
  @Parameters(
      index = "0",
      paramLabel = "IMAGE",
      converter = NameConverter.class,
      description = "[OWNER/]NAME[:TAG][@sha256:HEX]; without OWNER yours, or else the site's.")
  private ImageName name;

  @Parameters(index = "1", paramLabel = "FILE", description = "The squashfs file to write.")
  private Path file;

  @Override
  public Integer call() throws Exception {
    try (ImageStore store = openStore();
        Progress progress = new Progress(session().err())) {
      Image image = store.resolve(name, user());
      progress.begin("pulling " + image.name(), image.manifest().size());
      pull(store, image, progress);
      progress.end();
      session()
          .out()
          .printf(
              "pulled %s@%s %s%n",
              image.name().tagged(), image.digest(), Sizes.human(image.manifest().size()));
      return 0;
    }
  }

  /** Under another name beside it first: nobody finds half a file. */
  private void pull(ImageStore store, Image image, Progress progress)
      throws IOException, StoreException {
    Path target = file.toAbsolutePath();
    if (Files.isDirectory(target) || !Files.isDirectory(target.getParent())) {
      throw new StoreException(
          FULL, "cannot create " + file + ": not a place for a file (give a file's path)");
    }
    Path staged =
        Files.createTempFile(
            target.getParent(),
            "." + target.getFileName(),
            ".layercake",
            PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rw-r--r--")));
    try (OnExit cleanUp = new OnExit(staged)) {
      try (FileChannel channel = FileChannel.open(staged, StandardOpenOption.WRITE)) {
        store.fetch(image, channel, progress::reach);
      }
      Files.move(staged, target, StandardCopyOption.ATOMIC_MOVE);
      cleanUp.keep();
    }
  }
}
