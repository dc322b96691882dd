package org.layercake.pack;

import java.io.IOException;
import java.io.InputStream;
import java.io.InterruptedIOException;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;

/**
 * A stream that a thread of its own reads, some way ahead of whoever wants the bytes: what makes
 * them, and what becomes of them, are each a processor's work.
 */
final class Ahead extends ImageStream {
  private static final int PARTS = 8;
  private static final int PART_BYTES = 1 << 18;

  /** Some of the bytes; none at the end. */
  private static final class Part {
    private final byte[] bytes = new byte[PART_BYTES];
    private int from;
    private int to;
  }

  private final BlockingQueue<Part> free = new ArrayBlockingQueue<>(PARTS);
  private final BlockingQueue<Part> ready = new ArrayBlockingQueue<>(PARTS);
  private volatile boolean isClosed;
  private volatile Throwable failure; // known before the end is
  private Part part = new Part();
  private boolean isEnd;

  Ahead(InputStream in, String name) {
    super(in);
    for (int i = 1; i < PARTS; i++) { // one is being read
      free.add(new Part());
    }
    Thread reader = new Thread(this::readAll, name);
    reader.setDaemon(true);
    reader.start();
  }

  private void readAll() {
    Part next = part;
    try (InputStream all = in) {
      do {
        next = free.take();
        next.from = 0;
        next.to = 0; // until it is known
        next.to = isClosed ? 0 : all.readNBytes(next.bytes, 0, PART_BYTES);
        if (next.to > 0) {
          ready.add(next);
        }
      } while (next.to > 0);
    } catch (Throwable e) { // whoever waits must hear of it, whatever it is
      failure = e;
    }
    ready.add(next);
  }

  @Override
  public int read(byte[] bytes, int offset, int length) throws IOException {
    if (part.from == part.to && !isEnd) {
      next();
    }
    if (isEnd) {
      requireGood();
      return -1;
    }
    int count = Math.min(length, part.to - part.from);
    System.arraycopy(part.bytes, part.from, bytes, offset, count);
    part.from += count;
    return count;
  }

  private void next() throws IOException {
    free.add(part);
    try {
      part = ready.take();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new InterruptedIOException("interrupted");
    }
    isEnd = part.to == 0;
  }

  private void requireGood() throws IOException {
    if (failure instanceof IOException known) {
      throw known;
    } else if (failure instanceof Error error) {
      throw error;
    } else if (failure != null) {
      throw new IllegalStateException(failure);
    }
  }

  /** What is being read may take its time: nobody waits for that. */
  @Override
  public void close() {
    isClosed = true;
    free.offer(new Part());
  }
}
