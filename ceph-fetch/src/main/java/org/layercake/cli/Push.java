package org.layercake.cli;

import java.io.IOException;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import org.layercake.pack.Packing;
import org.layercake.pack.Prover;
import org.layercake.pack.Scratch;
import org.layercake.store.Existing;
import org.layercake.store.ImageName;
import org.layercake.store.ImagePush;
import org.layercake.store.ImageStore;
import org.layercake.store.PushListener;
import org.layercake.store.PushResult;
import org.layercake.store.StoreException;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

@Command(
    name = "push",
    mixinStandardHelpOptions = true,
    description = {
      "Stores an image under a name.",
      "",
      "Only what the store does not have yet is sent: a rebuilt image is mostly there, and an"
          + " interrupted push is resumed by running it again. Nobody sees the name move before"
          + " the image is complete, and has been read back and compared with the source."
    },
    footerHeading = "%nExamples:%n",
    footer = {
      "  layercake push debian.tar.zst deb:12",
      "  docker save pytorch | layercake push - pytorch:2",
      "  layercake push ./rootfs mytools",
      "  layercake push image.sqfs site/python:3.11     (with an administrator's key)"
    })
final class Push extends StoreCommand implements Callable<Integer> {
  @Parameters(
      index = "0",
      paramLabel = "SOURCE",
      description =
          "A squashfs file, a directory, a tar file (plain, gz, xz or zst), an image in layers"
              + " (OCI layout, or what docker save and podman save write), or - for such a file on"
              + " the standard input.")
  private Path source;

  @Parameters(
      index = "1",
      paramLabel = "[OWNER/]NAME[:TAG]",
      converter = NameConverter.class,
      description = "The image's name; the tag is \"latest\" when left out.")
  private ImageName name;

  @Option(
      names = "--repair",
      description = "Also verify what the store has already, and replace what is damaged.")
  private boolean repair;

  @Override
  public Integer call() throws Exception {
    Existing existing = repair ? Existing.VERIFY : Existing.TRUST;
    try (ImageStore store = openStore();
        ImagePush push = store.push(name, user(), existing);
        Scratch scratch = new Scratch(session().environment());
        Progress progress = new Progress(session().err())) {
      Packing packing = new Packing(scratch, progress::say, push::follow);
      Packing.Packed packed = packing.pack(source, session().in());
      Prover prover = Prover.start(scratch, packed.image());
      progress.begin("pushing " + name, packed.image().toFile().length());
      PushListener listener =
          new PushListener() {
            @Override
            public void pushed(long done, long fresh) {
              progress.reach(done);
            }

            @Override
            public void beforeVisible() throws StoreException, IOException {
              prover.require("push " + source, packed.proof(), "make it anew");
            }
          };
      PushResult result = push.complete(packed.image(), packed.config(), listener);
      progress.end();
      session().out().println(summary(result));
      return 0;
    }
  }

  private static String summary(PushResult result) {
    long percent = Math.round(100.0 * result.newBytes() / result.size());
    return "pushed %s@%s %s, %s new (%d %%)"
        .formatted(
            result.name(),
            result.digest(),
            Sizes.human(result.size()),
            Sizes.human(result.newBytes()),
            percent);
  }
}
