package org.layercake.launcher;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.lang.ProcessBuilder.Redirect;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/**
 * A native program of the launcher. Each says one word on stdout when it does its work and from
 * then on outlives the launcher; each that fails exits with a code of sysexits(3) and one line on
 * stderr.
 */
final class Program {
  private static final int MAX_STDERR_BYTES = 8192;
  private static final int MAX_ANSWER_BYTES = 1 << 20;

  private static final int EXIT_SECONDS = 5;

  private final Process process;
  private final ProcessId id;

  private Program(Process process, ProcessId id) {
    this.process = process;
    this.id = id;
  }

  /**
   * Starts a program with an empty environment and waits for its word.
   *
   * @throws Abort with the program's own exit code and last line when it fails, {@link
   *     Abort#INTERNAL} when it says nothing for {@code timeoutMillis}
   */
  static Program start(List<String> command, String word, long timeoutMillis)
      throws Abort, InterruptedException {
    return start(command, word, timeoutMillis, Redirect.from(Path.of("/dev/null").toFile()));
  }

  /** The same, of a program that ends when its stdin ends before {@link #keep} was called. */
  static Program startTentative(List<String> command, String word, long timeoutMillis)
      throws Abort, InterruptedException {
    return start(command, word, timeoutMillis, Redirect.PIPE);
  }

  private static Program start(
      List<String> command, String word, long timeoutMillis, Redirect stdin)
      throws Abort, InterruptedException {
    String name = Path.of(command.get(0)).getFileName().toString();
    ProcessBuilder builder = new ProcessBuilder(command).directory(Path.of("/").toFile());
    builder.redirectInput(stdin);
    builder.environment().clear();
    Process process;
    try {
      process = builder.start();
    } catch (IOException e) {
      throw new Abort(
          Abort.MISCONFIGURED,
          "cannot start " + name + ": " + e.getMessage() + " (tell the site: reinstall LayerCake)",
          e);
    }
    boolean started = false;
    try {
      Program program = awaitWord(name, process, word, timeoutMillis);
      started = true;
      return program;
    } finally {
      if (!started) {
        process.destroyForcibly(); // whatever happened: nobody would know of it
      }
    }
  }

  private static Program awaitWord(String name, Process process, String word, long timeoutMillis)
      throws Abort, InterruptedException {
    try {
      ProcessId id = ProcessId.of(process.pid()); // at once: it may soon have failed and be gone
      CompletableFuture<Boolean> said =
          CompletableFuture.supplyAsync(() -> firstLineIs(process, word), task -> run(name, task));
      if (said.get(timeoutMillis, TimeUnit.MILLISECONDS)) {
        return new Program(process, id);
      }
      throw failure(name, process);
    } catch (TimeoutException e) {
      throw new Abort(
          Abort.INTERNAL,
          name + " was not ready after " + timeoutMillis + " ms (see the launcher's log)",
          e);
    } catch (IOException e) {
      throw failure(name, process);
    } catch (ExecutionException e) {
      throw new Abort(Abort.INTERNAL, "cannot read from " + name + ": " + e.getCause(), e);
    }
  }

  /** Lets a tentative program outlive us. */
  void keep() {
    try (OutputStream stdin = process.getOutputStream()) {
      stdin.write('\n');
    } catch (IOException e) {
      // It has ended already, as whoever uses it will find.
    }
  }

  /**
   * What a program has answered.
   *
   * @param stdout bytes as ISO 8859-1
   * @param lastWords its last line on stderr
   */
  record Answer(String stdout, int status, String lastWords) {}

  /**
   * Asks a program of the node. What it prints is read while it runs: a pipe holds little.
   *
   * @param start how a line must begin to be kept; the others take no room, however many
   * @throws IOException when there is no such program, when it does not end in time, or when what
   *     is to be kept is longer than a MiB
   */
  static Answer answer(long timeoutSeconds, String start, String... command)
      throws IOException, InterruptedException {
    ProcessBuilder builder =
        new ProcessBuilder(command).redirectInput(Path.of("/dev/null").toFile());
    builder.environment().putAll(Map.of("TZ", "UTC", "LC_ALL", "C"));
    builder.environment().remove("SLURM_TIME_FORMAT"); // scontrol(1)
    Process process = builder.start();
    try {
      FutureTask<Answer> answer = new FutureTask<>(() -> answer(process, start));
      run(Path.of(command[0]).getFileName().toString(), answer);
      return answer.get(timeoutSeconds, TimeUnit.SECONDS);
    } catch (TimeoutException e) {
      throw new IOException("no answer in " + timeoutSeconds + " s", e);
    } catch (ExecutionException e) {
      throw e.getCause() instanceof IOException cause ? cause : new IOException(e.getCause());
    } finally {
      process.destroyForcibly();
    }
  }

  private static Answer answer(Process process, String start)
      throws IOException, InterruptedException {
    String lines = lines(process.getInputStream(), start);
    return new Answer(lines, process.waitFor(), lastLine(process.getErrorStream()));
  }

  private static String lines(InputStream stdout, String start) throws IOException {
    StringBuilder kept = new StringBuilder();
    int matched = 0; // how much of start the line has so far, or -1 when it begins otherwise
    for (int c = stdout.read(); c >= 0; c = stdout.read()) {
      if (matched == start.length()) {
        kept.append((char) c);
        matched = c == '\n' ? 0 : matched;
      } else if (c == '\n') {
        matched = 0;
      } else if (matched >= 0 && c == start.charAt(matched)) {
        matched++;
        kept.append(matched == start.length() ? start : "");
      } else {
        matched = -1;
      }
      if (kept.length() > MAX_ANSWER_BYTES) {
        throw new IOException("an answer of more than " + MAX_ANSWER_BYTES + " bytes");
      }
    }
    return kept.toString();
  }

  /** Says which process it is, for a later launcher. */
  ProcessId id() {
    return id;
  }

  ProcessHandle handle() {
    return process.toHandle();
  }

  /** The program's exit status, 128 and the signal where one ended it; 0 while it still runs. */
  int awaitExit() throws InterruptedException {
    return process.waitFor(EXIT_SECONDS, TimeUnit.SECONDS) ? process.exitValue() : 0;
  }

  /** What the program last wrote on stderr, once it has ended. */
  String lastWords() {
    return lastLine(process.getErrorStream());
  }

  private static void run(String name, Runnable task) {
    Thread thread = new Thread(task, "await-" + name);
    thread.setDaemon(true);
    thread.start();
  }

  private static boolean firstLineIs(Process process, String word) {
    // Never closed here: closing our end would kill a program that still writes to it.
    BufferedReader stdout = process.inputReader(StandardCharsets.ISO_8859_1);
    try {
      char[] line = new char[word.length()];
      int got = 0;
      while (got < line.length) {
        int n = stdout.read(line, got, line.length - got);
        if (n < 0) {
          return false;
        }
        got += n;
      }
      return new String(line).equals(word);
    } catch (IOException e) {
      return false;
    }
  }

  private static Abort failure(String name, Process process) throws InterruptedException {
    if (!process.waitFor(EXIT_SECONDS, TimeUnit.SECONDS)) {
      process.destroyForcibly();
    }
    String line = lastLine(process.getErrorStream());
    String words = line.startsWith(name + ": ") ? line.substring(name.length() + 2) : line;
    int code = process.waitFor();
    // ch-run up to 0.38 says 1 for all of its own failures.
    boolean ours = code >= 64 && code <= 78;
    return new Abort(
        ours ? code : Abort.INTERNAL,
        words.isEmpty() ? name + " exited with status " + code + " and printed nothing" : words);
  }

  private static String lastLine(InputStream stderr) {
    try {
      String text = new String(stderr.readNBytes(MAX_STDERR_BYTES), StandardCharsets.UTF_8).strip();
      return text.substring(text.lastIndexOf('\n') + 1);
    } catch (IOException e) {
      return "";
    }
  }
}
