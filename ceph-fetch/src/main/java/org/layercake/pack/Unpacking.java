package org.layercake.pack;

import static org.layercake.store.StoreException.Kind.FULL;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicLong;
import org.layercake.store.StoreException;

/**
 * Takes an image apart, by the program {@code unpack}, which makes a tar of it. The image may be
 * anybody's: it is read whole first, and that tar is all that other programs see.
 */
public final class Unpacking {
  private static final String PROGRAM = "unpack";

  private final Scratch scratch;
  private final Path image;
  private final Watcher watcher;

  /** Hears how far it is. */
  public interface Watcher {
    /** So many bytes will be unpacked, some more or less. */
    void begins(long bytes);

    void reached(long bytes);
  }

  /**
   * @param image a squashfs file in the scratch directory
   */
  public Unpacking(Scratch scratch, Path image, Watcher watcher) {
    this.scratch = scratch;
    this.image = image;
    this.watcher = watcher;
  }

  /** What is done with the tar. */
  interface Use {
    void of(InputStream tar) throws StoreException, IOException;
  }

  /**
   * Reads the image whole.
   *
   * @param act for messages: what cannot be done with what
   */
  Proof proof(String act) throws StoreException, IOException {
    Proof proof =
        Prover.start(scratch, image)
            .require(act, Optional.empty(), "push it again from its source");
    watcher.begins(Math.max(1, proof.bytes()));
    return proof;
  }

  /** Makes a tar of all of it. */
  void tar(String act, List<String> options, Use use) throws StoreException, IOException {
    List<String> arguments = new ArrayList<>(options);
    arguments.add(image.toString());
    Program unpack = Program.ours(scratch, PROGRAM, arguments);
    unpack.process().getOutputStream().close();
    AtomicLong bytes = new AtomicLong(); // some more than the files have, for the headers
    try (InputStream tar = unpack.process().getInputStream()) {
      use.of(ImageStream.counted(tar, more -> watcher.reached(bytes.addAndGet(more))));
    }
    Program.End end = unpack.await();
    if (!end.isGood()) {
      throw end.failure(act, Optional.of(scratch));
    }
  }

  /**
   * Unpacks it as the user's own.
   *
   * @param directory new, or empty; it appears when all is in it
   */
  public void into(Path directory, String act) throws StoreException, IOException {
    Path target = directory.toAbsolutePath().normalize();
    boolean isThere = Files.exists(target);
    requireEmpty(target, isThere, act);
    target = isThere ? target.toRealPath() : target;
    long bytes = proof(act).bytes();
    long room = Files.getFileStore(target.getParent()).getUsableSpace();
    if (room < bytes) {
      throw full(act, "it needs " + bytes + " bytes, " + room + " are free");
    }
    try (Partial partial = new Partial(privateDirectory(target))) {
      tar(act, List.of("--mine"), tar -> extract(tar, partial.path(), act));
      Files.setPosixFilePermissions(
          partial.path(), isThere ? Files.getPosixFilePermissions(target) : Umask.directory());
      // rename(2) puts it in the place of a directory that is empty still.
      Files.move(partial.path(), target, StandardCopyOption.ATOMIC_MOVE);
    }
  }

  private static void requireEmpty(Path target, boolean isThere, String act)
      throws StoreException, IOException {
    if (!isThere) {
      if (target.getParent() == null || !Files.isDirectory(target.getParent())) {
        throw new StoreException(
            FULL, "cannot " + act + ": " + target.getParent() + " is not a directory (make it)");
      }
      return;
    }
    if (Files.isDirectory(target)) {
      try (DirectoryStream<Path> entries = Files.newDirectoryStream(target)) {
        if (!entries.iterator().hasNext()) {
          return;
        }
      }
    }
    throw new StoreException(
        FULL, "cannot " + act + ": " + target + " is there (take a new or an empty directory)");
  }

  /** Beside the target, where nobody else can put anything in the way. */
  private static Path privateDirectory(Path target) throws IOException {
    return Files.createTempDirectory(
        target.getParent(),
        "." + target.getFileName() + ".",
        PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------")));
  }

  private void extract(InputStream tar, Path into, String act) throws StoreException, IOException {
    Program program =
        Program.start(
            scratch,
            "tar",
            List.of(
                "tar",
                "--extract",
                "--file=-",
                "--directory=" + into,
                "--no-same-owner",
                "--same-permissions",
                "--delay-directory-restore",
                "--xattrs",
                "--xattrs-include=user.*",
                "--warning=no-timestamp"),
            Map.of(),
            "install tar");
    boolean taken = true;
    try (OutputStream out = program.process().getOutputStream()) {
      tar.transferTo(out);
    } catch (IOException e) {
      taken = false; // tar says why, or the end of what is read does
    }
    Program.End end = program.await();
    if (end.isGood() && taken) {
      return;
    }
    if (StoreException.saysNoRoom(new IOException(end.complaint()))) {
      throw full(act, end.complaint());
    }
    if (!end.complaint().contains("Unexpected EOF")) { // else unpack has something to say
      throw end.failure(act, Optional.empty());
    }
  }

  private static StoreException full(String act, String cause) {
    return new StoreException(
        FULL, "cannot " + act + ": no room: " + cause + " (unpack it elsewhere)");
  }
}
