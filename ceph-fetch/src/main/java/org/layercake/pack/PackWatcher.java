package org.layercake.pack;

import java.io.IOException;
import java.nio.file.Path;
import org.layercake.store.StoreException;

/** Hears of what becomes of a source. */
public interface PackWatcher {
  /** Something that the user should know. */
  void tells(String line);

  /**
   * Something begins that reads the source.
   *
   * @param act for people: {@code packing deb.tar}
   * @param bytes that will be read; 0 if nobody knows
   */
  void begins(String act, long bytes);

  /** So many more bytes of the source have been read; by any thread. */
  void read(long bytes);

  /** An image file is about to be written, from its beginning to its end, more or less. */
  void grows(Path image);

  /** Fails when it is of no use to go on. */
  void check() throws StoreException, IOException;
}
