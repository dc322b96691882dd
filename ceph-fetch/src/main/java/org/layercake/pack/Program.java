package org.layercake.pack;

import static org.layercake.store.StoreException.Kind.INTERNAL;
import static org.layercake.store.StoreException.Kind.MISCONFIGURED;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.layercake.store.StoreException;

/** A program under way, with pipes to its stdin and from its stdout, and what it complains of. */
record Program(String name, Process process, CompletableFuture<String> complaint) {
  private static final int MAX_COMPLAINT_BYTES = 16 << 10;
  private static final int CODE_OF_SIGNAL = 128; // Process.exitValue() adds the signal to it
  private static final int CANNOT_RUN = 127; // as a shell and ld.so say it

  // Why the JDK could not start it: "error=2, No such file …", since Java 20 "error: 2 (No such
  // file …)".
  private static final Pattern REASON = Pattern.compile("error[=:] ?\\d+,? \\(?([^()]+)");

  /** How a program has ended. */
  record End(String name, int code, String complaint) {
    boolean isGood() {
      return code == 0;
    }

    boolean isKilled() {
      return code > CODE_OF_SIGNAL;
    }

    /**
     * The failure of a program that is ours, or that we rely on: it is nobody's source.
     *
     * @param act what cannot be done with what
     * @param scratch where it wrote, or read from
     */
    StoreException failure(String act, Optional<Scratch> scratch) {
      String place = scratch.map(used -> " in " + used.parent()).orElse("");
      if (isKilled()) {
        return new StoreException(
            INTERNAL,
            "cannot %s: %s was killed%s, by signal %d (try again; was it out of memory?)"
                .formatted(act, name, place, code - CODE_OF_SIGNAL));
      }
      if (code == CANNOT_RUN) {
        return new StoreException(
            MISCONFIGURED, "cannot " + act + ": " + complaint + " (reinstall LayerCake)");
      }
      return new StoreException(
          INTERNAL,
          "cannot %s: %s%s (a fault of layercake, or of this machine)"
              .formatted(act, complaint, place));
    }
  }

  /** A program that comes with LayerCake. It ends with this one at the latest. */
  static Program ours(Scratch scratch, String name, List<String> arguments)
      throws StoreException, IOException {
    Path program = scratch.library().resolve(name);
    List<String> command = new ArrayList<>(List.of(program.toString()));
    command.addAll(arguments);
    return start(scratch, name, command, Map.of(), "reinstall LayerCake");
  }

  /** The same of one that works on an image, with as many processors as it may have. */
  static Program limited(Scratch scratch, String name, Path image)
      throws StoreException, IOException {
    List<String> arguments = new ArrayList<>(List.of(image.toString()));
    scratch.limits().processors().ifPresent(count -> arguments.add(Integer.toString(count)));
    return ours(scratch, name, arguments);
  }

  /** A program of the system. It ends with this one at the latest. */
  static Program start(Scratch scratch, List<String> command) throws StoreException, IOException {
    return start(scratch, command.get(0), command, Map.of(), "install squashfs-tools");
  }

  /**
   * Any program. It ends with this one at the latest.
   *
   * @param environment beside what this program has
   * @param remedy for who has not got the program
   */
  static Program start(
      Scratch scratch,
      String name,
      List<String> command,
      Map<String, String> environment,
      String remedy)
      throws StoreException, IOException {
    ProcessBuilder builder = new ProcessBuilder(command);
    builder.environment().putAll(environment);
    builder.environment().put("LC_ALL", "C");
    try {
      Process process = scratch.watched(builder.start());
      CompletableFuture<String> complaint = new CompletableFuture<>();
      Thread reader =
          new Thread(() -> complaint.complete(complaint(name, process)), "complaint-" + name);
      reader.setDaemon(true);
      reader.start();
      return new Program(name, process, complaint);
    } catch (IOException e) {
      String message = String.valueOf(e.getMessage());
      Matcher reason = REASON.matcher(message);
      String cause = reason.find() ? reason.group(1) : message;
      throw new StoreException(
          MISCONFIGURED, "cannot run " + command.get(0) + ": " + cause + " (" + remedy + ")", e);
    }
  }

  End await() throws StoreException {
    try {
      int code = process.waitFor();
      return new End(name, code, complaint.join());
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new StoreException(INTERNAL, "cannot wait for " + name + ": interrupted", e);
    }
  }

  /**
   * The first line on its stderr, without its own name, or the one by which a program that warns
   * says why it ends. A file could not be had where all is full.
   */
  private static String complaint(String name, Process process) {
    try (InputStream in = process.getErrorStream()) {
      String beginning =
          new String(in.readNBytes(MAX_COMPLAINT_BYTES), StandardCharsets.ISO_8859_1);
      in.transferTo(OutputStream.nullOutputStream());
      List<String> lines = beginning.lines().filter(line -> !line.isBlank()).toList();
      return lines.stream()
          .filter(line -> line.contains("level=fatal"))
          .findFirst()
          .or(() -> lines.stream().findFirst())
          .map(line -> line.startsWith(name + ": ") ? line.substring(name.length() + 2) : line)
          .map(String::strip)
          .orElse(name + " failed without a message");
    } catch (IOException e) {
      return name + " failed";
    }
  }
}
