package org.layercake.cli;

import java.io.BufferedOutputStream;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.FilterOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintStream;
import java.nio.charset.Charset;
import java.util.Optional;

/** The standard output. It remembers why it could not be written, which a PrintStream does not. */
final class Output extends PrintStream {
  private final Target target;

  Output(OutputStream target, Charset charset) {
    this(new Target(target), charset);
  }

  private Output(Target target, Charset charset) {
    super(new BufferedOutputStream(target), false, charset);
    this.target = target;
  }

  static Output ofProcess() {
    return new Output(new FileOutputStream(FileDescriptor.out), Charset.defaultCharset());
  }

  /** For what is no text: it throws what fails. */
  OutputStream bytes() {
    flush();
    return target;
  }

  /** Why not all could be written; empty if it could. */
  Optional<IOException> failure() {
    flush();
    return Optional.ofNullable(target.failure);
  }

  private static final class Target extends FilterOutputStream {
    private IOException failure;

    Target(OutputStream target) {
      super(target);
    }

    @Override
    public void write(int b) throws IOException {
      write(new byte[] {(byte) b}, 0, 1);
    }

    @Override
    public void write(byte[] bytes, int from, int count) throws IOException {
      try {
        out.write(bytes, from, count);
      } catch (IOException e) {
        failure = e;
        throw e;
      }
    }
  }
}
