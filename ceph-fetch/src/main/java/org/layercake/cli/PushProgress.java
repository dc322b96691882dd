package org.layercake.cli;

import java.io.IOException;
import java.nio.file.Path;
import java.util.concurrent.atomic.LongAdder;
import org.layercake.pack.PackWatcher;
import org.layercake.store.ImagePush;
import org.layercake.store.StoreException;

/** Shows what becomes of a source: how much has been read, packed and sent. */
final class PushProgress implements PackWatcher {
  private final Progress progress;
  private final ImagePush push;
  private final LongAdder read = new LongAdder();
  private volatile Path image;
  private volatile long fetched;

  PushProgress(Progress progress, ImagePush push) {
    this.progress = progress;
    this.push = push;
  }

  @Override
  public void tells(String line) {
    progress.note(line);
  }

  @Override
  public void begins(String act, long bytes) {
    read.reset();
    progress.begin(act, bytes, read::sum, this::more);
  }

  private String more() {
    Path packed = image;
    String come = fetched > 0 ? ", " + Sizes.human(fetched) + " fetched" : "";
    return packed == null
        ? come
        : come
            + ", "
            + Sizes.human(packed.toFile().length())
            + " packed, "
            + Sizes.human(push.sentAhead())
            + " sent";
  }

  /** So many bytes of a source that is far away are here. */
  void fetched(long bytes) {
    fetched = bytes;
  }

  @Override
  public void read(long bytes) {
    read.add(bytes);
  }

  @Override
  public void grows(Path growing) {
    image = growing;
    push.follow(growing);
  }

  @Override
  public void check() throws StoreException, IOException {
    push.requireGoing();
  }
}
