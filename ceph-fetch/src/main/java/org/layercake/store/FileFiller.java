package org.layercake.store;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.util.ArrayDeque;
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
  FileFiller(
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
