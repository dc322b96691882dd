package org.layercake.cli;

import static org.layercake.store.StoreException.Kind.INVALID;

import java.io.IOException;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.layercake.pack.OciArchive;
import org.layercake.pack.Scratch;
import org.layercake.pack.Unpacking;
import org.layercake.store.Image;
import org.layercake.store.ImageStore;
import org.layercake.store.StoreException;
import picocli.CommandLine.Command;
import picocli.CommandLine.Parameters;

@Command(
    name = "pull",
    mixinStandardHelpOptions = true,
    description = {
      "Writes an image to a file or a directory, verified.",
      "",
      "A squashfs file is standard: unsquashfs, ch-run, apptainer and enroot take it. An existing"
          + " one is replaced; an interrupted pull leaves .FILE.DIGEST.partial beside it, and goes"
          + " on from there when run again.",
      "",
      "The directory must be new or empty. You own all files in it. Devices, sockets,"
          + " setuid and setgid bits are left out. An archive has one layer, and environment,"
          + " working directory, entry point, command, user and labels of the image. For both,"
          + " the image is put under TMPDIR meanwhile."
    },
    footerHeading = "%nExamples:%n",
    footer = {
      "  layercake pull deb:12 deb.sqfs",
      "  layercake pull deb:12 deb/",
      "  layercake pull deb:12 - | ssh other 'cat >deb.sqfs'",
      "  layercake pull deb:12 oci-archive:deb.tar && podman load -i deb.tar"
    })
final class Pull extends ReadCommand implements Callable<Integer> {
  private static final String OUTPUT = "-";
  private static final String ARCHIVE = "oci-archive:";
  private static final Pattern ELSEWHERE =
      Pattern.compile(
          "(docker://|docker-archive:|docker-daemon:|containers-storage:|oci:|dir:|sif:).*",
          Pattern.DOTALL);

  @Parameters(
      index = "1",
      paramLabel = "TARGET",
      description =
          "FILE: a squashfs file. DIR/: a directory that it is unpacked to. oci-archive:FILE: an"
              + " archive for podman, skopeo and the like. -: a squashfs file on the standard"
              + " output.")
  private String target;

  @Override
  public Integer call() throws Exception {
    requireKnownTarget();
    try (ImageStore store = openStore();
        Progress progress = new Progress(session().err())) {
      Image image = resolve(store);
      progress.begin("pulling " + image.name(), image.manifest().size());
      if (target.equals(OUTPUT)) {
        store.stream(image, session().out().bytes(), progress::reach);
      } else if (target.startsWith(ARCHIVE)) {
        Path file = Path.of(target.substring(ARCHIVE.length()));
        unpacked(
            store,
            image,
            progress,
            (unpacking, act) ->
                OciArchive.write(
                    unpacking, image.name().tagged(), image.manifest().config(), file, act));
      } else if (target.endsWith("/")) {
        Path directory = Path.of(target);
        unpacked(store, image, progress, (unpacking, act) -> unpacking.into(directory, act));
      } else {
        PulledFile.pull(store, image, Path.of(target), progress);
      }
      progress.end();
      say(image);
      return 0;
    }
  }

  private void requireKnownTarget() throws StoreException {
    if (target.equals(OUTPUT) && isJson()) {
      throw new StoreException(
          INVALID,
          "cannot pull to the standard output with --json, which uses it (drop one of them)");
    }
    Matcher elsewhere = ELSEWHERE.matcher(target);
    if (elsewhere.matches()) {
      throw new StoreException(
          INVALID,
          "cannot pull to "
              + target
              + ": layercake does not write there (type: layercake pull "
              + name()
              + " oci-archive:FILE && skopeo copy oci-archive:FILE "
              + target
              + ")");
    }
  }

  private interface Use {
    void of(Unpacking unpacking, String act) throws StoreException, IOException;
  }

  /** What needs the image as a file that has been read whole. */
  private void unpacked(ImageStore store, Image image, Progress progress, Use use)
      throws StoreException, IOException {
    String act = "pull " + image.name().tagged() + " to " + target;
    try (Scratch scratch = new Scratch(session().environment())) {
      Path file = Fetched.fetch(store, image, scratch, act, progress);
      use.of(new Unpacking(scratch, file, watcher(image, progress)), act);
    }
  }

  private static Unpacking.Watcher watcher(Image image, Progress progress) {
    return new Unpacking.Watcher() {
      private long most;

      @Override
      public void begins(long bytes) {
        most = bytes;
        progress.begin("unpacking " + image.name(), bytes);
      }

      @Override
      public void reached(long bytes) {
        progress.reach(Math.min(bytes, most));
      }
    };
  }

  private void say(Image image) {
    String line =
        "pulled %s@%s %s"
            .formatted(image.name().tagged(), image.digest(), Sizes.human(image.manifest().size()));
    if (target.equals(OUTPUT)) {
      session().err().println(line);
    } else {
      answer(Json.image(out -> Json.resolved(out, image)), out -> out.println(line));
    }
  }
}
