package org.layercake.it;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.fail;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;
import java.util.regex.Pattern;

/** The one-machine cluster, driven as its users drive it: through src/test/cluster/cluster. */
final class Cluster {
  private static final String CLUSTER = System.getProperty("layercake.cluster");
  private static final long TIMEOUT_SECONDS = 180;
  // No test is about how long it takes: a busy machine is to pass them all.
  private static final Duration LIMIT = Duration.ofMinutes(3);

  // Whether srun says these hangs on what ran before and how far that has gone.
  private static final Pattern WAITING =
      Pattern.compile(
          "(?m)^srun: (job \\d+ queued and waiting for resources"
              + "|job \\d+ has been allocated resources"
              + "|.* creation (temporarily|still) disabled.*"
              + "|Step created for (StepId=|job )\\S+)\\n");

  private Cluster() {}

  /** What a command left behind, without srun's lines about waiting for nodes. */
  record Result(int exit, String out, String err) {
    /** Stdout of a command that succeeded, without its last newline. */
    String text() {
      assertEquals(0, exit, () -> "stdout: " + out + "\nstderr: " + err);
      return out.strip();
    }

    List<String> lines() {
      return text().lines().toList();
    }

    /**
     * Asserts a refusal: the exit code, words of its one line on stderr, and nothing on stdout,
     * where a task would have printed. Lines about waiting do not count.
     */
    void refused(int code, String... words) {
      assertEquals(code, exit, () -> "stdout: " + out + "\nstderr: " + err);
      assertEquals("", out, err);
      List<String> ours =
          err.lines()
              .filter(line -> line.contains("layercake: "))
              .filter(line -> !line.matches("layercake: (looking up|waiting for) .*"))
              .toList();
      assertEquals(1, ours.size(), () -> "one line of ours in: " + err);
      for (String word : words) {
        if (!ours.get(0).contains(word)) {
          fail("no \"" + word + "\" in: " + ours.get(0));
        }
      }
    }
  }

  /** Runs a command line of sh as a user on the login side. */
  static Result as(String user, String script) {
    return run(List.of("as", user, "sh", "-c", script), null);
  }

  /** The same, with a file as stdin. */
  static Result as(String user, String script, Path stdin) {
    return run(List.of("as", user, "sh", "-c", script), stdin);
  }

  /** Runs a command line of sh as root in a node. */
  static Result on(String node, String script) {
    return run(List.of("on", node, "sh", "-c", script), null);
  }

  /** Allocates with salloc and runs a script of sh where the job is driven from. */
  static Result salloc(String user, String options, String script) {
    return as(user, "salloc -Q " + options + " sh -c \"$(cat <<'JOB'\n" + script + "\nJOB\n)\"");
  }

  /** The same, and does something while it runs. */
  static Result salloc(String user, String options, String script, Runnable meanwhile) {
    CompletableFuture<Result> job =
        CompletableFuture.supplyAsync(() -> salloc(user, options, script));
    meanwhile.run();
    return job.join();
  }

  /** Runs a step, does something while the job waits, and then the script. */
  static Result sallocAround(String user, String options, Runnable act, String script) {
    Result result =
        salloc(
            user,
            options,
            """
            srun true && touch $HOME/entered
            until [ -e $HOME/acted ]; do sleep 0.1; done
            """
                + script,
            () -> {
              await("the job runs", () -> as(user, "test -e $HOME/entered").exit() == 0);
              act.run();
              as(user, "touch $HOME/acted").text();
            });
    as(user, "rm $HOME/entered $HOME/acted").text();
    return result;
  }

  /** Any other verb of the cluster command. */
  static Result cluster(String... words) {
    return run(List.of(words), null);
  }

  /** Starts a command as a user and leaves it running. */
  static Process start(String user, String script) {
    try {
      return new ProcessBuilder(CLUSTER, "as", user, "sh", "-c", script)
          .redirectErrorStream(true)
          .start();
    } catch (IOException e) {
      throw new AssertionError(e);
    }
  }

  /** Waits for a condition; its description is what is told when it never comes. */
  static void await(String what, BooleanSupplier condition) {
    Instant deadline = Instant.now().plus(LIMIT);
    while (!condition.getAsBoolean()) {
      if (Instant.now().isAfter(deadline)) {
        fail("never came: " + what);
      }
      try {
        Thread.sleep(100);
      } catch (InterruptedException e) {
        throw new AssertionError(e);
      }
    }
  }

  /** Waits until the jobs of earlier tests have left every node. */
  static void awaitNoJobs() {
    await("no job is left", () -> as("alice", "squeue -h").text().isEmpty());
  }

  /** Does something while what comes to a node comes at 5 MB/s, or until {@link #speedUp}. */
  static void withSlowLink(String node, Runnable act) {
    List<String> slow = new ArrayList<>(List.of("net", "tc", "qdisc", "replace", "dev", node));
    slow.addAll(List.of("root", "tbf", "rate", "40mbit", "burst", "64kb", "latency", "400ms"));
    run(slow, null).text();
    try {
      act.run();
    } finally {
      speedUp(node);
    }
  }

  /** Makes a node's link fast again. */
  static void speedUp(String node) {
    run(List.of("net", "tc", "qdisc", "replace", "dev", node, "root", "pfifo"), null).text();
  }

  /** Does something while a node's launcher has these lines at the end of its settings. */
  static void withSettings(String node, String lines, Runnable act) {
    String config = "/etc/layercake/launcher.conf";
    on(node, "cp %1$s %1$s.kept && printf '%%s\\n' '%2$s' >>%1$s".formatted(config, lines)).text();
    restartLauncher(node);
    try {
      act.run();
    } finally {
      on(node, "mv %1$s.kept %1$s".formatted(config)).text();
      restartLauncher(node);
    }
  }

  /** Does something while images come slowly to n1, and jobs there wait for the whole of them. */
  static void withSlowWholeFetch(Runnable act) {
    withSettings("n1", "instant-start = false", () -> withSlowLink("n1", act));
  }

  private static void restartLauncher(String node) {
    cluster("launcher", node, "stop").text();
    cluster("launcher", node, "start").text();
  }

  /** Ends what a test may have left, and asserts that it did no harm to the nodes. */
  static void endJobs() {
    for (String user : List.of("alice", "bob")) {
      as(user, "scancel --me");
    }
    await("no job is left", () -> as("root", "squeue -h").text().isEmpty());
    assertNodesAreWell();
  }

  /** Asserts that no node was drained or went down. */
  static void assertNodesAreWell() {
    String states = as("alice", "sinfo -h -N -o %T").text();
    for (String state : states.lines().toList()) {
      if (state.contains("drain") || state.contains("down") || state.contains("fail")) {
        fail("node state " + states);
      }
    }
  }

  private static Result run(List<String> words, Path stdin) {
    List<String> command = new ArrayList<>(List.of(CLUSTER));
    command.addAll(words);
    Path out = null;
    Path err = null;
    try {
      out = Files.createTempFile("layercake-it", ".out");
      err = Files.createTempFile("layercake-it", ".err");
      Process process =
          new ProcessBuilder(command)
              .redirectInput(stdin == null ? Path.of("/dev/null").toFile() : stdin.toFile())
              .redirectOutput(out.toFile())
              .redirectError(err.toFile())
              .start();
      if (!process.waitFor(TIMEOUT_SECONDS, TimeUnit.SECONDS)) {
        process.descendants().forEach(ProcessHandle::destroyForcibly);
        process.destroyForcibly();
        cancelJobs(words);
        fail("no end after " + TIMEOUT_SECONDS + " s: " + command + "\n" + text(out) + text(err));
      }
      return new Result(process.exitValue(), text(out), text(err));
    } catch (IOException | InterruptedException e) {
      throw new AssertionError(e);
    } finally {
      delete(out);
      delete(err);
    }
  }

  /** Ends what a user's killed command left in the queue, so that the next test has its nodes. */
  private static void cancelJobs(List<String> words) throws IOException, InterruptedException {
    if (words.get(0).equals("as")) {
      new ProcessBuilder(CLUSTER, "as", words.get(1), "scancel", "--me")
          .inheritIO()
          .start()
          .waitFor(TIMEOUT_SECONDS, TimeUnit.SECONDS);
    }
  }

  private static String text(Path file) throws IOException {
    String text = new String(Files.readAllBytes(file), StandardCharsets.UTF_8);
    return WAITING.matcher(text).replaceAll("");
  }

  private static void delete(Path file) {
    try {
      if (file != null) {
        Files.delete(file);
      }
    } catch (IOException e) {
      throw new AssertionError(e);
    }
  }
}
