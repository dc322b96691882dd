package org.layercake.pack;

import static org.layercake.store.StoreException.Kind.INTERNAL;

import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import org.layercake.store.StoreException;

/** Makes an image of a file tree, by the program {@code pack}. */
final class Packer {
  /** Describes a file tree. */
  @FunctionalInterface
  interface Tree {
    FileTree write(PackStream out) throws IOException;
  }

  /** An image, and what is in it. */
  record Result(Path image, FileTree tree, Proof proof, PackStream stream) {
    /** The bytes of a file in the image; null if they were not kept. */
    byte[] kept(FileTree.Inode inode) {
      return stream.kept(inode.content());
    }

    /** The processor that its programs are for, as {@code uname -m} says it, if there are any. */
    Optional<String> machine() {
      return stream.processors().most();
    }
  }

  private final Scratch scratch;
  private final PackWatcher watcher;
  private boolean isFollowed;

  Packer(Scratch scratch, PackWatcher watcher) {
    this.scratch = scratch;
    this.watcher = watcher;
  }

  /**
   * Makes the image; once more only after it has failed.
   *
   * @param source for messages
   * @throws IOException when the tree cannot be had, with the reason for people
   */
  Result pack(Tree tree, String source) throws StoreException, IOException {
    Path image = scratch.file("image.sqfs");
    if (!isFollowed) {
      isFollowed = true;
      watcher.grows(image);
    }
    Program pack = Program.limited(scratch, "pack", image);
    Pipe pipe = new Pipe(pack.process().getOutputStream(), watcher);
    try {
      PackStream stream = new PackStream(pipe);
      FileTree written = tree.write(stream);
      stream.tree(written);
      pipe.close();
      requirePacked(pack, source);
      return new Result(image, written, Proof.of(written), stream);
    } catch (IOException e) {
      if (pipe.refused) {
        requirePacked(pack, source); // its complaint says more than our broken pipe
        throw new StoreException(
            INTERNAL, "cannot pack " + source + ": pack ended before its input did", e);
      }
      pack.process().destroyForcibly();
      pack.await();
      remove(image);
      throw e;
    }
  }

  /** Who follows it keeps it open. */
  private static void remove(Path image) throws IOException {
    if (Files.exists(image)) {
      Files.write(image, new byte[0]);
      Files.delete(image);
    }
  }

  private void requirePacked(Program pack, String source) throws StoreException {
    Program.End end = pack.await();
    if (end.isGood()) {
      return;
    }
    if (end.code() == StoreException.Kind.FULL.exitCode()) {
      throw scratch.full("pack " + source, end.complaint());
    }
    throw end.failure("pack " + source, Optional.of(scratch));
  }

  /** Knows whether it was the reader that did not want any more. */
  private static final class Pipe extends OutputStream {
    private final OutputStream pipe;
    private final PackWatcher watcher;
    private boolean refused;

    private Pipe(OutputStream pipe, PackWatcher watcher) {
      this.pipe = pipe;
      this.watcher = watcher;
    }

    @Override
    public void write(int b) throws IOException {
      write(new byte[] {(byte) b}, 0, 1);
    }

    @Override
    public void write(byte[] bytes, int offset, int length) throws IOException {
      try {
        watcher.check();
      } catch (StoreException e) {
        throw new IOException(e.getMessage(), e);
      }
      try {
        pipe.write(bytes, offset, length);
      } catch (IOException e) {
        refused = true;
        throw e;
      }
    }

    @Override
    public void flush() throws IOException {
      try {
        pipe.flush();
      } catch (IOException e) {
        refused = true;
        throw e;
      }
    }

    @Override
    public void close() throws IOException {
      flush();
      pipe.close();
    }
  }
}
