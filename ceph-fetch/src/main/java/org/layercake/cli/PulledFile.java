package org.layercake.cli;

import static java.nio.file.LinkOption.NOFOLLOW_LINKS;
import static java.nio.file.StandardOpenOption.CREATE;
import static java.nio.file.StandardOpenOption.READ;
import static java.nio.file.StandardOpenOption.WRITE;
import static org.layercake.store.StoreException.Kind.FULL;
import static org.layercake.store.StoreException.Kind.UNAVAILABLE;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.file.DirectoryStream;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.Map;
import java.util.regex.Pattern;
import org.layercake.store.Image;
import org.layercake.store.ImageStore;
import org.layercake.store.StoreException;

/** A squashfs file that is pulled: what an interrupted pull has left is gone on with. */
final class PulledFile {
  private static final String PARTIAL = ".partial";
  private static final Pattern OURS = Pattern.compile("[0-9a-f]{16}\\.partial");

  private PulledFile() {}

  /** Under another name beside it first: nobody finds half a file under the name itself. */
  static void pull(ImageStore store, Image image, Path file, Progress progress)
      throws IOException, StoreException {
    Path target = file.toAbsolutePath();
    if (Files.isDirectory(target) || !Files.isDirectory(target.getParent())) {
      throw new StoreException(
          FULL,
          "cannot create "
              + file
              + ": not a place for a file (give a file's path, or DIR/ to unpack it)");
    }
    String prefix = "." + target.getFileName() + ".";
    Path partial = target.resolveSibling(prefix + image.digest().hex().substring(0, 16) + PARTIAL);
    requireOwn(partial);
    try (FileChannel channel = FileChannel.open(partial, CREATE, READ, WRITE, NOFOLLOW_LINKS);
        FileLock lock = channel.tryLock()) {
      if (lock == null) {
        throw new StoreException(
            UNAVAILABLE, "cannot pull to " + file + ": another pull writes it (wait for its end)");
      }
      store.fetchRest(image, channel, progress::reach);
      channel.force(true); // else a crash could leave the new name with holes in the file
      Files.move(partial, target, StandardCopyOption.ATOMIC_MOVE);
    }
    removeOthers(target.getParent(), prefix);
  }

  /**
   * In a directory of others somebody may have made the file before, to get or change the image.
   */
  private static void requireOwn(Path partial) throws IOException, StoreException {
    try {
      Files.createFile(partial);
      return;
    } catch (FileAlreadyExistsException e) {
      // By an interrupted pull of ours, or not.
    }
    Map<String, Object> found = Files.readAttributes(partial, "unix:uid,nlink", NOFOLLOW_LINKS);
    boolean isOwn =
        found.get("uid").equals(Files.getAttribute(Path.of("/proc/self"), "unix:uid"))
            && found.get("nlink").equals(1)
            && Files.isRegularFile(partial, NOFOLLOW_LINKS);
    if (!isOwn) {
      throw new StoreException(
          FULL,
          "cannot write "
              + partial
              + ": somebody else has made it, or it is a link (pull to a directory of your own)");
    }
  }

  /** What interrupted pulls of other versions have left. */
  private static void removeOthers(Path directory, String prefix) throws IOException {
    try (DirectoryStream<Path> entries = Files.newDirectoryStream(directory)) {
      for (Path entry : entries) {
        String name = entry.getFileName().toString();
        if (name.startsWith(prefix) && OURS.matcher(name.substring(prefix.length())).matches()) {
          removeUnlessLocked(entry);
        }
      }
    }
  }

  private static void removeUnlessLocked(Path partial) throws IOException {
    try (FileChannel channel = FileChannel.open(partial, WRITE, NOFOLLOW_LINKS);
        FileLock lock = channel.tryLock()) {
      if (lock != null) {
        Files.deleteIfExists(partial);
      }
    } catch (NoSuchFileException e) {
      // Its owner has finished.
    }
  }
}
