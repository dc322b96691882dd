package org.layercake.launcher.job;

import java.io.IOException;
import java.time.DateTimeException;
import java.time.Instant;
import java.time.LocalDateTime;
import java.time.ZoneOffset;
import java.util.Optional;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.layercake.launcher.node.Program;
import org.layercake.policy.Wish;
import org.layercake.store.JobRef;
import org.layercake.store.StoreException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** What Slurm says of the cluster and of jobs, by scontrol(1). Asked only when it matters. */
public final class Slurm {
  private static final Logger log = LoggerFactory.getLogger(Slurm.class);
  private static final long TIMEOUT_SECONDS = 30;

  private final String scontrol;
  private FutureTask<String> config; // guarded by this; null before and after a failure

  /**
   * Asks nothing yet.
   *
   * @param scontrol the program, by name or path
   */
  public Slurm(String scontrol) {
    this.scontrol = scontrol;
  }

  /**
   * Says in the log who ends a job's holders, or that scontrol fails, so that an administrator sees
   * it before a user does. With proctrack/cgroup Slurm ends all that is in the job's cgroup. With
   * proctrack/linuxproc it knows only slurmstepd's own children, slurm.conf(5), and only we end
   * holders: at the epilog, or when a launcher that missed it starts. The launcher does the same in
   * both cases; the administrator is told which it is.
   */
  public void reportProctrack() {
    try {
      String type = value(config(), "ProctrackType").orElse("unknown");
      log.info("event=proctrack type={} holders-ended-by={}", type, endsHolders(type));
    } catch (IOException e) {
      log.error("event=scontrol-failed scontrol={} cause={}", scontrol, e.getMessage());
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  private static String endsHolders(String type) {
    return switch (type) {
      case "proctrack/cgroup" -> "slurm";
      case "unknown" -> "unknown";
      default -> "launcher";
    };
  }

  /**
   * A job for the store, which keeps one image for all of its nodes.
   *
   * @throws StoreException when Slurm does not say what cluster this is
   */
  JobRef job(JobKey key) throws StoreException, InterruptedException {
    try {
      String cluster =
          value(config(), "ClusterName").orElseThrow(() -> new IOException("no ClusterName in it"));
      return new JobRef(cluster, key.job(), key.uid(), () -> submitted(key.job()));
    } catch (IOException e) {
      throw failure("learn the cluster's name", e);
    }
  }

  private StoreException failure(String act, IOException cause) {
    return new StoreException(
        StoreException.Kind.UNAVAILABLE,
        "cannot "
            + act
            + " from \""
            + scontrol
            + "\": "
            + cause.getMessage()
            + " (try again, or tell the site: see \"scontrol\" in launcher.conf)",
        cause);
  }

  private Optional<Instant> submitted(long job) throws StoreException {
    return submitted(job, show(job, "learn when job " + job + " was submitted"));
  }

  /** Where a job runs, and on whose account. */
  Wish.Place place(long job) throws StoreException {
    String act = "learn the partition and the account of job " + job;
    String lines = show(job, act);
    return place(job, lines).orElseThrow(() -> failure(act, new IOException("it has no such job")));
  }

  private String show(long job, String act) throws StoreException {
    try {
      // For the last task of an array Slurm has its other tasks' lines, too, however many.
      return ask("JobId=" + job + " ", "--oneliner", "show", "job", Long.toString(job));
    } catch (IOException e) {
      throw failure(act, e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new StoreException(StoreException.Kind.UNAVAILABLE, "interrupted", e);
    }
  }

  /**
   * When a job was submitted, from what {@code scontrol --oneliner show job} prints, in UTC: one
   * line for each job of an array or a heterogeneous job. Empty for one that was requeued, whose
   * time is that of the requeue, and for one that Slurm does not know.
   */
  static Optional<Instant> submitted(long job, String lines) {
    Optional<String> line = lineOf(job, lines);
    boolean requeued = !line.flatMap(l -> value(l, "Restarts")).orElse("").equals("0");
    if (requeued) {
      return Optional.empty();
    }
    try {
      return line.flatMap(l -> value(l, "SubmitTime"))
          .map(time -> LocalDateTime.parse(time).toInstant(ZoneOffset.UTC));
    } catch (DateTimeException e) {
      return Optional.empty(); // "Unknown", say
    }
  }

  /** From the same; empty when Slurm does not know the job. */
  static Optional<Wish.Place> place(long job, String lines) {
    return lineOf(job, lines)
        .map(
            line ->
                new Wish.Place(
                    value(line, "Partition").orElse(""),
                    value(line, "Account").filter(name -> !name.equals("(null)")).orElse("")));
  }

  private static Optional<String> lineOf(long job, String lines) {
    return lines.lines().filter(each -> each.startsWith("JobId=" + job + " ")).findFirst();
  }

  /** Once Slurm has answered, it is not asked again. One thread asks; the others wait for it. */
  private String config() throws IOException, InterruptedException {
    FutureTask<String> asked;
    synchronized (this) {
      if (config == null) {
        config = new FutureTask<>(this::askForConfig);
      }
      asked = config;
    }
    asked.run(); // does nothing where another thread has
    try {
      return asked.get();
    } catch (ExecutionException e) {
      synchronized (this) {
        config = config == asked ? null : config;
      }
      if (e.getCause() instanceof InterruptedException) { // the launcher stops
        throw new InterruptedException();
      }
      throw e.getCause() instanceof IOException cause ? cause : new IOException(e.getCause());
    }
  }

  private String askForConfig() throws IOException, InterruptedException {
    String answer = ask("", "show", "config");
    if (value(answer, "ClusterName").isEmpty()) {
      throw new IOException("it has not printed the configuration");
    }
    return answer;
  }

  private String ask(String start, String... words) throws IOException, InterruptedException {
    String[] command = new String[words.length + 1];
    command[0] = scontrol;
    System.arraycopy(words, 0, command, 1, words.length);
    Program.Answer answer = Program.answer(TIMEOUT_SECONDS, start, command);
    if (answer.status() != 0) {
      String cause = answer.lastWords();
      throw new IOException(cause.isEmpty() ? "exit status " + answer.status() : cause);
    }
    return answer.stdout();
  }

  /**
   * The value of a key, as {@code Key = value} in a line of its own or {@code Key=value} in one.
   */
  private static Optional<String> value(String text, String key) {
    Matcher matcher = Pattern.compile("(?m)(?:^| )" + key + "\\s*=\\s*(\\S+)").matcher(text);
    return matcher.find() ? Optional.of(matcher.group(1)) : Optional.empty();
  }
}
