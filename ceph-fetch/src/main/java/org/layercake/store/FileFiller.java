package org.layercake.store;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Deque;
import java.util.List;
import java.util.Optional;

/** Reads chunks of an image in random order into a file, or nowhere; the first failure ends it. */
final class FileFiller implements Filler {
  private final List<Manifest.Chunk> chunks;
  private final Deque<Integer> todo;
  private final Optional<FileChannel> target;
  private final FetchListener listener;
  private long bytesDone;

  /**
   * @param missing the chunks to read; the others count as done
   */
  private FileFiller(
      Manifest manifest,
      List<Integer> missing,
      Optional<FileChannel> target,
      FetchListener listener) {
    this.chunks = manifest.chunks();
    this.target = target;
    this.listener = listener;
    // Thousands of nodes start together: in file order they would all queue at the same OSD.
    Collections.shuffle(missing);
    this.todo = new ArrayDeque<>(missing);
    this.bytesDone =
        manifest.size() - missing.stream().mapToLong(i -> chunks.get(i).length()).sum();
  }

  /** Reads all chunks. */
  static FileFiller of(Manifest manifest, Optional<FileChannel> target, FetchListener listener) {
    List<Integer> all = new ArrayList<>();
    for (int i = 0; i < manifest.chunks().size(); i++) {
      all.add(i);
    }
    return new FileFiller(manifest, all, target, listener);
  }

  /**
   * Reads the chunks that a file does not have yet, which is cut to the image's size.
   *
   * @param target open for reading and writing
   */
  static FileFiller ofTheRest(Manifest manifest, FileChannel target, FetchListener listener)
      throws IOException {
    List<Integer> missing = new ArrayList<>();
    for (int i = 0; i < manifest.chunks().size(); i++) {
      if (!isIn(target, manifest.chunks().get(i))) {
        missing.add(i);
      }
    }
    target.truncate(manifest.size());
    return new FileFiller(manifest, missing, Optional.of(target), listener);
  }

  private static boolean isIn(FileChannel file, Manifest.Chunk chunk) throws IOException {
    if (file.size() < chunk.offset() + chunk.length()) {
      return false;
    }
    ByteBuffer content = ByteBuffer.allocate(chunk.length());
    while (content.hasRemaining()
        && file.read(content, chunk.offset() + content.position()) >= 0) {}
    return Digest.of(content.flip()).equals(chunk.digest());
  }

  @Override
  public Next next(int reading) {
    return todo.isEmpty() ? Nothing.MORE : new Chunk(todo.poll());
  }

  @Override
  public void store(int chunk, ByteBuffer content) throws IOException {
    int length = content.remaining();
    if (target.isPresent()) {
      long offset = chunks.get(chunk).offset();
      while (content.hasRemaining()) {
        offset += target.get().write(content, offset);
      }
    }
    synchronized (this) {
      bytesDone += length;
      listener.fetched(bytesDone);
    }
  }

  @Override
  public void failed(int chunk, StoreException cause) throws StoreException {
    throw cause;
  }
}
