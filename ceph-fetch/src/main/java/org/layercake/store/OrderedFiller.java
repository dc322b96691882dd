package org.layercake.store;

import java.io.IOException;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** Reads chunks of an image, several at once, and writes them in their order. */
final class OrderedFiller implements Filler {
  /** So many may wait for one that is late: 32 MiB at most. */
  private static final int MOST_AHEAD = 8;

  private final List<Manifest.Chunk> chunks;
  private final OutputStream target;
  private final FetchListener listener;
  private final Map<Integer, byte[]> early = new HashMap<>();
  private Runnable call = () -> {};
  private int begun;
  private int written;
  private long bytesDone;

  OrderedFiller(Manifest manifest, OutputStream target, FetchListener listener) {
    this.chunks = manifest.chunks();
    this.target = target;
    this.listener = listener;
  }

  @Override
  public synchronized void begin(Runnable whenThereIsMore) {
    call = whenThereIsMore;
  }

  @Override
  public synchronized Next next(int reading) {
    if (begun == chunks.size()) {
      return Nothing.MORE;
    }
    return begun - written < MOST_AHEAD ? new Chunk(begun++) : Nothing.YET;
  }

  @Override
  public synchronized void store(int chunk, ByteBuffer content) throws IOException {
    byte[] bytes = new byte[content.remaining()];
    content.get(bytes);
    early.put(chunk, bytes);
    while (early.containsKey(written)) {
      byte[] next = early.remove(written);
      target.write(next);
      written++;
      bytesDone += next.length;
      listener.fetched(bytesDone);
    }
    call.run();
  }

  @Override
  public void failed(int chunk, StoreException cause) throws StoreException {
    throw cause;
  }
}
