package org.layercake.store;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.locks.LockSupport;

/**
 * Stores an image file while it is still being written, so that packing and sending overlap. It
 * only guesses: its writer may go back and write elsewhere (the packer does when it finds that a
 * file is there twice). The push that follows cuts the finished file anew and believes digests
 * alone.
 */
final class PushAhead implements AutoCloseable {
  /** Stays that far behind the writer, who goes back by a file's length at most, as a rule. */
  private static final long DISTANCE_BYTES = 16 << 20;

  private static final long POLL_NANOS = 20_000_000;

  private final ChunkWriter writer;
  private volatile boolean finished;
  private CompletableFuture<List<ChunkWriter.Stored>> result =
      CompletableFuture.completedFuture(List.of());

  PushAhead(ChunkWriter writer) {
    this.writer = writer;
  }

  /**
   * Begins to follow a file that exists or will; to be called at most once.
   *
   * @param growing written from its beginning to its end, more or less
   */
  void follow(Path growing) {
    result = new CompletableFuture<>();
    Thread thread = new Thread(() -> run(growing), "push-ahead");
    thread.setDaemon(true);
    try {
      thread.start();
    } catch (Throwable e) { // there may be no more threads
      result.completeExceptionally(e);
    }
  }

  private void run(Path growing) {
    try (Growing source = new Growing(growing)) {
      result.complete(writer.runAhead(source));
    } catch (Throwable e) { // whoever waits must hear of it, whatever it is
      result.completeExceptionally(e);
    }
  }

  /** Fails when the following has failed. */
  void requireGoing() throws StoreException, IOException {
    if (result.isCompletedExceptionally()) {
      finish();
    }
  }

  /** Ends the following; the chunks that are stored, and where in the file they seemed to be. */
  List<ChunkWriter.Stored> finish() throws StoreException, IOException {
    finished = true;
    try {
      return result.join();
    } catch (CompletionException e) {
      StoreException.rethrow(e.getCause());
      throw e;
    }
  }

  /** Ends the following, if it has not ended; what is stored stays. */
  @Override
  public void close() {
    finished = true;
    result.exceptionally(failure -> null).join();
  }

  /** The file as far as it is likely to stay as it is; its end is where it is when finished. */
  private final class Growing implements ChunkWriter.Source, AutoCloseable {
    private final Path path;
    private FileChannel file;

    Growing(Path path) {
      this.path = path;
    }

    @Override
    public int read(ByteBuffer target, long position) throws IOException {
      while (!finished) {
        long settled = settledBytes() - position;
        if (settled > 0) {
          int room = (int) Math.min(settled, target.remaining());
          int count = file.read(target.slice(target.position(), room), position);
          target.position(target.position() + Math.max(0, count));
          return count;
        }
        LockSupport.parkNanos(POLL_NANOS);
      }
      return -1;
    }

    private long settledBytes() throws IOException {
      if (file == null) {
        file = openIfThere();
      }
      return file == null ? 0 : file.size() - DISTANCE_BYTES;
    }

    /** Null where it is not yet, or no more: its writer may begin anew. */
    private FileChannel openIfThere() throws IOException {
      try {
        return FileChannel.open(path, StandardOpenOption.READ);
      } catch (NoSuchFileException e) {
        return null;
      }
    }

    @Override
    public void close() throws IOException {
      if (file != null) {
        file.close();
      }
    }
  }
}
