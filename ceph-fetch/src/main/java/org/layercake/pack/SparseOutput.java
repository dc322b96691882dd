package org.layercake.pack;

import java.io.IOException;
import java.io.OutputStream;

/** Takes a regular file's bytes, of which some may be zeros that nobody has to copy. */
abstract class SparseOutput extends OutputStream {
  /** So many zeros. */
  abstract void hole(long bytes) throws IOException;

  @Override
  public void write(int b) throws IOException {
    write(new byte[] {(byte) b}, 0, 1);
  }

  @Override
  public abstract void write(byte[] from, int offset, int length) throws IOException;
}
