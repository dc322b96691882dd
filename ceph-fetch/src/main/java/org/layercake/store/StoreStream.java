package org.layercake.store;

import static org.layercake.store.StoreException.Kind.CORRUPT;

import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;

/** An object read piece by piece: of a large one only one piece is in memory. */
abstract class StoreStream extends InputStream {
  /** A store's failure in the guise that a stream can throw. */
  static final class Failure extends IOException {
    private static final long serialVersionUID = 1;

    Failure(StoreException cause) {
      super(cause.getMessage(), cause);
    }

    @Override
    public synchronized StoreException getCause() {
      return (StoreException) super.getCause();
    }
  }

  private final String what;
  private final int maxBytes;
  private final ByteBuffer piece;
  private int count;
  private boolean ended;

  /**
   * @param what the object, for messages
   * @param maxBytes more is CORRUPT
   * @param piece room for what is read at once
   */
  StoreStream(String what, int maxBytes, ByteBuffer piece) {
    this.what = what;
    this.maxBytes = maxBytes;
    this.piece = piece;
    piece.limit(0);
  }

  /**
   * Reads from a position into the buffer's beginning, up to its limit.
   *
   * @return how many bytes; fewer than there is room for at the end alone
   */
  abstract int read(long position, ByteBuffer target) throws StoreException;

  @Override
  public int read(byte[] target, int from, int length) throws IOException {
    if (length == 0) {
      return 0;
    }
    if (!piece.hasRemaining() && !next()) {
      return -1;
    }
    int some = Math.min(length, piece.remaining());
    piece.get(target, from, some);
    return some;
  }

  @Override
  public int read() throws IOException {
    byte[] one = new byte[1];
    return read(one, 0, 1) < 0 ? -1 : one[0] & 0xff;
  }

  /** Reads the next piece now, so that an object that is not there is missed before it is read. */
  boolean next() throws Failure {
    if (ended) {
      return false;
    }
    try {
      piece.clear();
      int some = read(count, piece);
      ended = some < piece.capacity();
      count += some;
      piece.position(0).limit(some);
      if (count > maxBytes) {
        throw new StoreException(CORRUPT, "cannot read " + what + ": longer than " + maxBytes);
      }
      return some > 0;
    } catch (StoreException e) {
      throw new Failure(e);
    }
  }
}
