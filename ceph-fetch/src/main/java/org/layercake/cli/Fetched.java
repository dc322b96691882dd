package org.layercake.cli;

import static java.nio.file.StandardOpenOption.CREATE_NEW;
import static java.nio.file.StandardOpenOption.WRITE;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import org.layercake.pack.Scratch;
import org.layercake.store.Image;
import org.layercake.store.ImageStore;
import org.layercake.store.StoreException;

/** An image of the store in a temporary file. */
final class Fetched {
  private Fetched() {}

  /**
   * Fetches an image, if there is room for it.
   *
   * @param act for messages: what cannot be done with what
   */
  static Path fetch(ImageStore store, Image image, Scratch scratch, String act, Progress progress)
      throws StoreException, IOException {
    scratch.requireRoom(act, image.manifest().size());
    Path file = scratch.file("image.sqfs");
    try (FileChannel target = FileChannel.open(file, CREATE_NEW, WRITE)) {
      store.fetch(image, target, progress::reach);
    } catch (IOException e) {
      if (StoreException.saysNoRoom(e)) {
        throw scratch.full(act, e.getMessage());
      }
      throw e;
    }
    return file;
  }
}
