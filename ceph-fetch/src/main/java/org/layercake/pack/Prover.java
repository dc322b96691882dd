package org.layercake.pack;

import static org.layercake.store.StoreException.Kind.BAD_SOURCE;
import static org.layercake.store.StoreException.Kind.INTERNAL;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.util.Map;
import java.util.Optional;
import org.layercake.store.ExitCode;
import org.layercake.store.StoreException;

/**
 * Reads an image back whole, by the program {@code prove}, which shares no code with the packer.
 */
public final class Prover {
  private static final int MAX_LINE_BYTES = 1024;
  private static final int BEYOND = ExitCode.UNAVAILABLE; // it has more than prove reads

  private final Program prove;
  private final Path image;
  private final Map<String, Object> before;
  private final Scratch scratch;

  private Prover(Program prove, Path image, Map<String, Object> before, Scratch scratch) {
    this.prove = prove;
    this.image = image;
    this.before = before;
    this.scratch = scratch;
  }

  /** Begins to read an image, beside whatever else is done with it. */
  public static Prover start(Scratch scratch, Path image) throws StoreException, IOException {
    Map<String, Object> before = status(image);
    Program prove = Program.limited(scratch, "prove", image.toAbsolutePath());
    prove.process().getOutputStream().close();
    return new Prover(prove, image, before, scratch);
  }

  /**
   * Waits until all of the image has been read.
   *
   * @param act for messages: what cannot be done with what
   * @param wanted what must be in it, if that is known
   * @param remedy for an image that is damaged
   * @return what is in it
   */
  public Proof require(String act, Optional<Proof> wanted, String remedy)
      throws StoreException, IOException {
    String line;
    try (InputStream out = prove.process().getInputStream()) {
      line = new String(out.readNBytes(MAX_LINE_BYTES), StandardCharsets.US_ASCII).strip();
    }
    Program.End end = prove.await();
    boolean isDamaged = end.code() == BAD_SOURCE.exitCode();
    if (isDamaged && wanted.isEmpty()) {
      throw new StoreException(
          BAD_SOURCE, "cannot " + act + ": damaged: " + end.complaint() + " (" + remedy + ")");
    }
    if (end.code() == BEYOND && wanted.isEmpty()) {
      throw new StoreException(
          BAD_SOURCE,
          "cannot " + act + ": " + end.complaint() + " (make two images of it, or a smaller one)");
    }
    if (!end.isGood() && !isDamaged) {
      throw end.failure(act, Optional.of(scratch));
    }
    Optional<Proof> found = isDamaged ? Optional.empty() : Proof.parse(line);
    if (!isDamaged && found.isEmpty()) {
      throw new StoreException(INTERNAL, "cannot " + act + ": prove printed \"" + line + "\"");
    }
    if (wanted.isPresent() && !found.equals(wanted)) {
      throw new StoreException(
          INTERNAL,
          "cannot "
              + act
              + ": what was packed is not what went in: "
              + found.map(proof -> proof + " instead of " + wanted.get()).orElse(end.complaint())
              + " (try again; should it go on, report it, and test this machine's memory)");
    }
    if (!status(image).equals(before)) {
      throw new StoreException(
          BAD_SOURCE, "cannot " + act + ": the file has changed meanwhile (try again)");
    }
    return found.orElseThrow();
  }

  /** Whatever changes when somebody writes to a file. */
  private static Map<String, Object> status(Path file) throws IOException {
    return Files.readAttributes(
        file, "unix:dev,ino,size,lastModifiedTime,ctime", new LinkOption[0]);
  }
}
