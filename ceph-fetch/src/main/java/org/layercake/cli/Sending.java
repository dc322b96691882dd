package org.layercake.cli;

import java.io.IOException;
import java.util.Optional;
import org.layercake.pack.Packing;
import org.layercake.pack.Prover;
import org.layercake.pack.Scratch;
import org.layercake.store.ImageName;
import org.layercake.store.ImagePush;
import org.layercake.store.Origin;
import org.layercake.store.PushListener;
import org.layercake.store.PushResult;
import org.layercake.store.StoreException;

/**
 * The second half of each push: what has been packed is sent, read back and compared, and then gets
 * its name.
 *
 * @param act what is being done, for messages: {@code push SOURCE}
 * @param name of the image that comes of it
 */
record Sending(Scratch scratch, Progress progress, String act, ImageName name) {
  PushResult send(ImagePush push, Packing.Packed packed, Optional<Origin> origin)
      throws StoreException, IOException {
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
            progress.await("reading back " + name);
            prover.require(act, packed.proof(), "make it again");
          }
        };
    PushResult result = push.complete(packed.image(), packed.config(), origin, listener);
    progress.end();
    return result;
  }

  /** What came of it, in one line. */
  static String summary(PushResult result) {
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
