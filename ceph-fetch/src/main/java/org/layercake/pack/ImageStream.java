package org.layercake.pack;

import java.io.FilterInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.security.DigestInputStream;
import java.security.MessageDigest;
import java.util.function.LongConsumer;
import org.layercake.store.Digest;

/**
 * The streams through which an image is read. All goes through the one method that subclasses have.
 */
abstract class ImageStream extends FilterInputStream {
  ImageStream(InputStream in) {
    super(in);
  }

  @Override
  public int read() throws IOException {
    byte[] one = new byte[1];
    return read(one, 0, 1) < 0 ? -1 : one[0] & 0xff;
  }

  @Override
  public abstract int read(byte[] bytes, int offset, int length) throws IOException;

  @Override
  public long skip(long bytes) throws IOException {
    byte[] buffer = new byte[(int) Math.min(bytes, 1 << 16)];
    return Math.max(0, read(buffer, 0, buffer.length));
  }

  /** A channel of a pipe cannot tell, and fails. */
  @Override
  public int available() {
    return 0;
  }

  @Override
  public boolean markSupported() {
    return false;
  }

  /** Ends after so many bytes. */
  static InputStream bounded(InputStream in, long bytes) {
    return new Bounded(in, bytes);
  }

  /** Says how many more bytes have been read. */
  static InputStream counted(InputStream in, LongConsumer read) {
    return new Counted(in, read);
  }

  /** Reads the compressed stream to its end, too, where a decompressor may not have gone. */
  static InputStream whole(InputStream plain, InputStream blob) {
    return new Whole(plain, blob);
  }

  /** Fails at the end when the bytes were not those of the digest. */
  static InputStream checked(InputStream in, String name, String digest) {
    return new Checked(in, name, digest);
  }

  /** Fails when what was read is not what its digest says. */
  static void requireDigest(String name, String digest, Digest found) throws IOException {
    if (!digest.equals(found.toString())) {
      throw new IOException("\"" + name + "\" does not match its digest: damaged");
    }
  }

  private static final class Counted extends ImageStream {
    private final LongConsumer read;

    private Counted(InputStream in, LongConsumer read) {
      super(in);
      this.read = read;
    }

    @Override
    public int read(byte[] bytes, int offset, int length) throws IOException {
      int count = in.read(bytes, offset, length);
      read.accept(Math.max(count, 0));
      return count;
    }
  }

  private static final class Whole extends ImageStream {
    private final InputStream blob;

    private Whole(InputStream plain, InputStream blob) {
      super(plain);
      this.blob = blob;
    }

    @Override
    public int read(byte[] bytes, int offset, int length) throws IOException {
      int count = in.read(bytes, offset, length);
      if (count < 0) {
        blob.transferTo(OutputStream.nullOutputStream());
      }
      return count;
    }

    @Override
    public void close() throws IOException {
      try (blob) {
        in.close();
      }
    }
  }

  private static final class Checked extends ImageStream {
    private final String name;
    private final String digest;
    private final MessageDigest found = Digest.sha256();
    private boolean ended;

    private Checked(InputStream in, String name, String digest) {
      super(in);
      this.name = name;
      this.digest = digest;
      this.in = new DigestInputStream(in, found);
    }

    @Override
    public int read(byte[] bytes, int offset, int length) throws IOException {
      int count = in.read(bytes, offset, length);
      if (count < 0 && !ended) {
        ended = true;
        requireDigest(name, digest, Digest.of(found));
      }
      return count;
    }
  }

  private static final class Bounded extends ImageStream {
    private long left;

    private Bounded(InputStream in, long bytes) {
      super(in);
      this.left = bytes;
    }

    @Override
    public int read(byte[] bytes, int offset, int length) throws IOException {
      if (left == 0) {
        return -1;
      }
      int count = in.read(bytes, offset, (int) Math.min(length, left));
      left -= Math.max(count, 0);
      return count;
    }
  }
}
