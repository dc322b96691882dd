package org.layercake.pack;

import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.util.zip.CRC32;
import java.util.zip.DataFormatException;
import java.util.zip.Inflater;

/**
 * Decompresses gzip (RFC 1952), of one member or many. Unlike the JDK's own stream it notices what
 * is cut off, and what follows that is neither a member nor zeros, as gzip(1) does.
 */
final class Gunzip extends ImageStream {
  private static final int BUFFER_BYTES = 1 << 16;
  private static final int DEFLATE = 8;
  private static final int HAS_CHECKSUM = 1 << 1;
  private static final int HAS_EXTRA = 1 << 2;
  private static final int HAS_NAME = 1 << 3;
  private static final int HAS_COMMENT = 1 << 4;
  private static final int RESERVED = 0xe0;
  private static final int TIME_LEVEL_AND_SYSTEM_BYTES = 6;

  private final Inflater inflater = new Inflater(true);
  private final CRC32 checksum = new CRC32();
  private final byte[] buffer = new byte[BUFFER_BYTES];
  private int from;
  private int to;
  private boolean isInMember;
  private boolean hasMember;

  Gunzip(InputStream compressed) {
    super(compressed);
  }

  @Override
  public int read(byte[] bytes, int offset, int length) throws IOException {
    while (length > 0) {
      if (!isInMember && !begin()) {
        return -1;
      }
      int count = inflate(bytes, offset, length);
      if (count > 0) {
        checksum.update(bytes, offset, count);
        return count;
      }
      if (inflater.finished()) {
        end();
      } else if (inflater.needsDictionary()) {
        throw damaged();
      } else {
        require();
        inflater.setInput(buffer, from, to - from);
        from = to;
      }
    }
    return 0;
  }

  private int inflate(byte[] bytes, int offset, int length) throws IOException {
    try {
      return inflater.inflate(bytes, offset, length);
    } catch (DataFormatException e) {
      throw new IOException("invalid compressed data", e);
    }
  }

  /** Reads a member's header, if there is one more. */
  private boolean begin() throws IOException {
    if (hasMember && (!fill() || isPadding())) {
      return false;
    }
    checksum.reset();
    if (next() != 0x1f || next() != 0x8b) {
      throw new IOException("something follows its compressed data");
    }
    int method = next();
    int flags = next();
    if (method != DEFLATE || (flags & RESERVED) != 0) {
      throw new IOException("gzip in a form that nobody writes");
    }
    skipNext(TIME_LEVEL_AND_SYSTEM_BYTES);
    if ((flags & HAS_EXTRA) != 0) {
      skipNext(next() | next() << 8);
    }
    skipText((flags & HAS_NAME) != 0);
    skipText((flags & HAS_COMMENT) != 0);
    if ((flags & HAS_CHECKSUM) != 0) {
      int found = (int) checksum.getValue() & 0xffff;
      if ((next() | next() << 8) != found) {
        throw damaged();
      }
    }
    checksum.reset();
    inflater.reset();
    hasMember = true;
    isInMember = true;
    return true;
  }

  /** Tapes are filled with zeros; there is nothing after them. */
  private boolean isPadding() throws IOException {
    if (buffer[from] != 0) {
      return false;
    }
    while (fill()) {
      if (buffer[from++] != 0) {
        throw new IOException("something follows its compressed data");
      }
    }
    return true;
  }

  private void end() throws IOException {
    from = to - inflater.getRemaining();
    int sum = (int) checksum.getValue();
    int bytes = (int) inflater.getBytesWritten();
    if (number() != sum || number() != bytes) {
      throw damaged();
    }
    isInMember = false;
  }

  private int number() throws IOException {
    return next() | next() << 8 | next() << 16 | next() << 24;
  }

  private void skipNext(int bytes) throws IOException {
    for (int i = 0; i < bytes; i++) {
      next();
    }
  }

  private void skipText(boolean isThere) throws IOException {
    while (isThere && next() != 0) {}
  }

  private int next() throws IOException {
    require();
    checksum.update(buffer[from]);
    return buffer[from++] & 0xff;
  }

  private void require() throws IOException {
    if (!fill()) {
      throw new EOFException("unexpected end of file");
    }
  }

  /** Whether there is more. */
  private boolean fill() throws IOException {
    if (from == to) {
      from = 0;
      to = Math.max(0, in.read(buffer, 0, buffer.length));
    }
    return from < to;
  }

  private static IOException damaged() {
    return new IOException("invalid compressed data: its checksum does not match");
  }

  @Override
  public void close() throws IOException {
    inflater.end();
    in.close();
  }
}
