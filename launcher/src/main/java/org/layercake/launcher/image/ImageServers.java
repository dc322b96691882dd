package org.layercake.launcher.image;

import static java.nio.charset.StandardCharsets.ISO_8859_1;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.function.Predicate;
import org.layercake.launcher.node.Abort;
import org.layercake.launcher.node.Program;
import org.layercake.store.ExitCode;

/** What can be seen of image servers from outside: that they run, and how they ended. */
final class ImageServers {
  private static final int MAX_COMMAND_BYTES = 65_536;
  private static final int RESIDENT = 1; // fields of statm
  private static final int SHARED = 2;
  private static final long PAGE_BYTES = 4096;
  private static final Set<String> THEIRS = Set.of("0", "65534"); // root, then nobody

  private ImageServers() {}

  /** The same with what its process has in memory of its own; proc_pid_statm(5). */
  static ImagesStatus.Served withMemory(ImagesStatus.Served server) {
    long bytes = 0;
    try {
      String[] pages = Files.readString(Path.of("/proc/" + server.pid() + "/statm")).split(" ", -1);
      bytes = (Long.parseLong(pages[RESIDENT]) - Long.parseLong(pages[SHARED])) * PAGE_BYTES;
    } catch (IOException | RuntimeException e) {
      bytes = 0; // it has ended
    }
    return new ImagesStatus.Served(
        server.image(), server.uid(), server.pid(), server.holds(), bytes);
  }

  /**
   * The image servers of this node, also such as no file tells of.
   *
   * @param program what they run
   * @param mounts the directory of their mount points
   */
  static List<ProcessHandle> running(Path program, Path mounts) {
    return running(program, word -> word.startsWith(mounts + "/"));
  }

  /** The image server of one mount point. */
  static Optional<ProcessHandle> of(Path program, Path mountPoint) {
    return running(program, word -> word.equals(mountPoint.toString())).stream().findFirst();
  }

  private static List<ProcessHandle> running(Path program, Predicate<String> argument) {
    // The handles first: their own methods keep them from other processes with the same pids.
    return ProcessHandle.allProcesses().filter(each -> isServer(each, program, argument)).toList();
  }

  private static boolean isServer(ProcessHandle process, Path program, Predicate<String> argument) {
    Path proc = Path.of("/proc", Long.toString(process.pid()));
    try (InputStream in = Files.newInputStream(proc.resolve("cmdline"))) {
      String[] words = new String(in.readNBytes(MAX_COMMAND_BYTES), ISO_8859_1).split("\0", -1);
      if (!words[0].equals(program.toString())) {
        return false;
      }
      boolean ours = Arrays.stream(words).anyMatch(argument);
      return ours && isTheirs(Files.readAllLines(proc.resolve("status"), ISO_8859_1));
    } catch (IOException e) {
      return false; // it has ended
    }
  }

  /** Users can give their programs any arguments. */
  private static boolean isTheirs(List<String> status) {
    return status.stream()
        .filter(line -> line.startsWith("Uid:"))
        .anyMatch(line -> THEIRS.contains(line.split("\\s+", 3)[1]));
  }

  /**
   * Why the first look into a mount has failed. That the image is to blame only its server says.
   */
  static Abort unreadable(ImageCache.Lease image, Program server, IOException look)
      throws InterruptedException {
    int status = server.awaitExit();
    String words = server.lastWords();
    Abort trouble = status == ExitCode.TEMPORARY ? image.trouble() : null;
    if (trouble != null) {
      return trouble;
    }
    String cannot = "cannot mount the image: ";
    String see = " (see the kernel's log and the launcher's)";
    if (status > Program.FIRST_SIGNAL) {
      int signal = status - Program.FIRST_SIGNAL;
      return Abort.ofKilled(cannot + "its server was ended by signal " + signal + see, look);
    }
    return switch (status) {
      case ExitCode.DAMAGED ->
          new Abort(
              status,
              cannot + "it is not a readable squashfs file: " + words + " (push it again)",
              look);
      case ExitCode.TEMPORARY -> new Abort(status, cannot + words + " (try again)", look);
      default ->
          new Abort(
              ExitCode.INTERNAL,
              cannot + "its server exited with status " + status + ": " + words + see,
              look);
    };
  }
}
