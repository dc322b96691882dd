package org.layercake.launcher.job;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import org.layercake.launcher.node.Abort;
import org.layercake.launcher.node.Program;
import org.layercake.store.ExitCode;

/**
 * A directory of the site's, in which is what jobs change of their images, instead of in memory.
 *
 * @param program makes what is mounted, see volume.c
 * @param defaultBytes how much, when the user does not say
 * @param userShare percent of the file system that all jobs of a user may take
 */
public record ChangesDisk(Path directory, Path program, long defaultBytes, int userShare) {
  /** Where room can be reserved, once and for all. */
  private static final Set<String> TYPES = Set.of("ext4", "xfs");

  private static final int WRITABLE_BY_OTHERS = 0022;
  private static final int STICKY = 01000;
  private static final long TIMEOUT_SECONDS = 60;
  private static final long MIB = 1 << 20;

  /**
   * Refuses a directory in which changes cannot be, or that others than root could replace.
   *
   * @throws IllegalArgumentException that says what the directory is
   */
  public static void require(Path directory) {
    try {
      if (!directory.toRealPath().equals(directory)) {
        throw new IllegalArgumentException("is reached by a symbolic link");
      }
      if (!Files.isDirectory(directory)) {
        throw new IllegalArgumentException("is not a directory");
      }
      for (Path path = directory; path != null; path = path.getParent()) {
        requireRoots(path, path.equals(directory));
      }
      String type = Files.getFileStore(directory).type();
      if (!TYPES.contains(type)) {
        throw new IllegalArgumentException("is on " + type + ", and takes ext4 or xfs");
      }
    } catch (NoSuchFileException e) {
      throw new IllegalArgumentException("is not there: make it, root's, with mode 0700", e);
    } catch (IOException e) {
      throw new IllegalArgumentException("cannot be looked at: " + e.getMessage(), e);
    }
    for (String needed : List.of("/dev/loop-control", "/sbin/mkfs.ext4")) {
      if (!Files.exists(Path.of(needed))) {
        throw new IllegalArgumentException(
            "takes " + needed + ", which is not there: install e2fsprogs, or modprobe loop");
      }
    }
  }

  private static void requireRoots(Path path, boolean last) throws IOException {
    if ((int) Files.getAttribute(path, "unix:uid") != 0) {
      throw new IllegalArgumentException("is not safe: \"" + path + "\" is not root's");
    }
    int mode = (int) Files.getAttribute(path, "unix:mode");
    if ((mode & WRITABLE_BY_OTHERS) != 0 && (last || (mode & STICKY) == 0)) {
      throw new IllegalArgumentException("is not safe: others may write in \"" + path + "\"");
    }
  }

  /** In bytes; asked as in {@link Spec#writableBytes}. */
  long room(long asked) {
    return asked == Spec.DEFAULT_BYTES ? defaultBytes : asked;
  }

  /**
   * Mounts an empty upper layer of a size.
   *
   * @param taken what the user's jobs have already
   * @throws Abort {@link ExitCode#FULL} when there is no room for it
   */
  void mount(Path layer, long uid, long gid, long bytes, long taken)
      throws Abort, InterruptedException {
    refuseBeyondShare(bytes, taken);
    Program.Answer answer = run(layer, uid, gid, bytes);
    if (answer.status() != 0) {
      boolean known =
          answer.status() >= ExitCode.REQUEST && answer.status() <= ExitCode.MISCONFIGURED;
      String words = answer.lastWords().replaceFirst("^volume: ", "");
      throw new Abort(
          known ? answer.status() : ExitCode.INTERNAL,
          known ? words : "volume ended with status " + answer.status() + " (tell the site)");
    }
  }

  private Program.Answer run(Path layer, long uid, long gid, long bytes)
      throws Abort, InterruptedException {
    try {
      return Program.answer(
          TIMEOUT_SECONDS,
          "",
          program.toString(),
          directory.toString(),
          Long.toString(bytes),
          Long.toString(uid),
          Long.toString(gid),
          layer.toString());
    } catch (IOException e) {
      throw new Abort(
          ExitCode.MISCONFIGURED,
          "cannot make the image writable: " + e.getMessage() + " (tell the site)",
          e);
    }
  }

  private void refuseBeyondShare(long bytes, long taken) throws Abort {
    long limit;
    try {
      limit = Files.getFileStore(directory).getTotalSpace() / 100 * userShare;
    } catch (IOException e) {
      throw new Abort(
          ExitCode.MISCONFIGURED,
          "cannot make the image writable: "
              + e
              + " (tell the site: look at \""
              + directory
              + "\")",
          e);
    }
    if (bytes > limit - taken) {
      throw new Abort(
          ExitCode.FULL,
          "cannot keep "
              + bytes / MIB
              + " MiB of changes to the image: your jobs may have "
              + limit / MIB
              + " MiB on this node, and have "
              + taken / MIB
              + " (ask for less with --ch-writable=SIZE, or run elsewhere)");
    }
  }
}
