package org.layercake.launcher.node;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.lang.ProcessBuilder.Redirect;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.layercake.store.ExitCode;

/**
 * A native program of the launcher. Each says one word on stdout when it does its work and from
 * then on outlives the launcher; each that fails exits with a code of sysexits(3) and one line on
 * stderr.
 */
public final class Program {
  private static final int MAX_STDERR_BYTES = 8192;
  private static final int MAX_ANSWER_BYTES = 1 << 20;

  private static final int EXIT_SECONDS = 5;

  /** Beyond it an exit status is that of a signal, see {@link #awaitExit}. */
  public static final int FIRST_SIGNAL = 128;

  private final Process process;
  private final ProcessId id;
  private final ProgramOutput output;

  private Program(Process process, ProcessId id, ProgramOutput output) {
    this.process = process;
    this.id = id;
    this.output = output;
    CompletableFuture<Void> unused = process.onExit().thenRun(output::end);
  }

  /**
   * Starts a program with an empty environment and waits for its word.
   *
   * @throws Abort with the program's own exit code and last line when it fails, {@link
   *     ExitCode#INTERNAL} when it says nothing for {@code timeoutMillis}
   */
  public static Program start(List<String> command, String word, long timeoutMillis)
      throws Abort, InterruptedException {
    return start(command, word, timeoutMillis, Redirect.from(Path.of("/dev/null").toFile()));
  }

  /** The same, of a program that ends when its stdin ends before {@link #keep} was called. */
  public static Program startTentative(List<String> command, String word, long timeoutMillis)
      throws Abort, InterruptedException {
    return start(command, word, timeoutMillis, Redirect.PIPE);
  }

  private static Program start(
      List<String> command, String word, long timeoutMillis, Redirect stdin)
      throws Abort, InterruptedException {
    String name = Path.of(command.get(0)).getFileName().toString();
    ProgramOutput output = null;
    Process process = null;
    boolean started = false;
    try {
      output = ProgramOutput.open();
      process = process(command, stdin, output);
      output.started();
      Program program = awaitWord(name, process, output, word, timeoutMillis);
      started = true;
      return program;
    } catch (IOException e) {
      throw notStarted(command.get(0), name, e);
    } finally {
      if (!started) { // whatever happened: nobody would know of it
        if (process != null) {
          process.destroyForcibly();
        }
        if (output != null) {
          output.close();
        }
      }
    }
  }

  private static Abort notStarted(String program, String name, IOException cause) {
    boolean isThere = Files.isExecutable(Path.of(program));
    return new Abort(
        isThere ? ExitCode.INTERNAL : ExitCode.MISCONFIGURED,
        "cannot start "
            + name
            + ": "
            + cause.getMessage()
            + (isThere ? " (try again)" : " (tell the site: reinstall LayerCake)"),
        cause);
  }

  private static Process process(List<String> command, Redirect stdin, ProgramOutput output)
      throws IOException {
    ProcessBuilder builder = new ProcessBuilder(command).directory(Path.of("/").toFile());
    builder.redirectInput(stdin).redirectOutput(output.redirect()).redirectErrorStream(true);
    builder.environment().clear();
    return builder.start();
  }

  private static Program awaitWord(
      String name, Process process, ProgramOutput output, String word, long timeoutMillis)
      throws Abort, InterruptedException {
    ProcessId id;
    try {
      id = ProcessId.of(process.pid()); // at once: it may soon have failed and be gone
    } catch (IOException e) {
      throw failure(name, process, output);
    }
    try {
      if (output.await(word, process, timeoutMillis)) {
        return new Program(process, id, output);
      }
    } catch (IOException e) {
      throw new Abort(ExitCode.INTERNAL, name + " said " + e.getMessage(), e);
    } catch (TimeoutException e) {
      throw new Abort(
          ExitCode.INTERNAL,
          name + " was not ready after " + timeoutMillis + " ms (see the launcher's log)",
          e);
    }
    throw failure(name, process, output);
  }

  /** Lets a tentative program outlive us, whom nobody needs to hear any more. */
  public void keep() {
    try (OutputStream stdin = process.getOutputStream()) {
      stdin.write('\n');
    } catch (IOException e) {
      // It has ended already, as whoever uses it will find.
    }
    output.close();
  }

  /**
   * What a program has answered.
   *
   * @param stdout bytes as ISO 8859-1
   * @param isAll whether no line of it was left out
   * @param lastWords its last line on stderr
   */
  public record Answer(String stdout, boolean isAll, int status, String lastWords) {}

  private record Lines(String kept, boolean areAll) {}

  /**
   * Runs a program of the node and returns its answer. Its output is read while it runs, since a
   * pipe holds little.
   *
   * @param start how a line must begin to be kept; other lines take no memory
   * @throws IOException when there is no such program, when it does not end in time, or when what
   *     is to be kept is longer than a MiB
   */
  public static Answer answer(long timeoutSeconds, String start, String... command)
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
    Lines lines = lines(process.getInputStream(), start);
    return new Answer(
        lines.kept(), lines.areAll(), process.waitFor(), lastLine(process.getErrorStream()));
  }

  private static Lines lines(InputStream stdout, String start) throws IOException {
    StringBuilder kept = new StringBuilder();
    int matched = 0; // how much of start the line has so far, or -1 when it begins otherwise
    boolean areAll = true;
    for (int c = stdout.read(); c >= 0; c = stdout.read()) {
      if (matched == start.length()) {
        kept.append((char) c);
        matched = c == '\n' ? 0 : matched;
      } else if (c == '\n') {
        areAll &= matched == 0; // an empty line is none
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
    areAll &= matched == 0 || matched == start.length();
    return new Lines(kept.toString(), areAll);
  }

  /** Says which process it is, for a later launcher. */
  public ProcessId id() {
    return id;
  }

  public ProcessHandle handle() {
    return process.toHandle();
  }

  /** The program's exit status, 128 and the signal where one ended it; 0 while it still runs. */
  public int awaitExit() throws InterruptedException {
    return process.waitFor(EXIT_SECONDS, TimeUnit.SECONDS) ? process.exitValue() : 0;
  }

  /** What the program last said, once it has ended. */
  public String lastWords() {
    output.end();
    return output.lastLine();
  }

  private static void run(String name, Runnable task) {
    Thread thread = new Thread(task, "await-" + name);
    thread.setDaemon(true);
    thread.start();
  }

  private static Abort failure(String name, Process process, ProgramOutput output)
      throws InterruptedException {
    if (!process.waitFor(EXIT_SECONDS, TimeUnit.SECONDS)) {
      process.destroyForcibly();
    }
    int code = process.waitFor();
    output.end();
    if (code > FIRST_SIGNAL) {
      return Abort.ofKilled(
          name + " was ended by signal " + (code - FIRST_SIGNAL) + " (see the kernel's log)", null);
    }
    String line = output.lastLine();
    String words = line.startsWith(name + ": ") ? line.substring(name.length() + 2) : line;
    // ch-run up to 0.38 says 1 for all of its own failures.
    boolean ours = code >= ExitCode.REQUEST && code <= ExitCode.MISCONFIGURED;
    return new Abort(
        ours ? code : ExitCode.INTERNAL,
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
