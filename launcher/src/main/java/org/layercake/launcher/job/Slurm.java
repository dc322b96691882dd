package org.layercake.launcher.job;

import java.io.IOException;
import java.nio.file.Path;
import java.time.DateTimeException;
import java.time.Instant;
import java.time.LocalDateTime;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.ExecutionException;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.layercake.launcher.node.Event;
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
  private static final int ID_CHARS = 20;
  private static final int COMMENT_CHARS = 8192; // more than any of ours has
  private static final Pattern GRES = Pattern.compile("(?:^|,)gres[/:]([A-Za-z0-9_-]+)");

  /** A job that is a part of another, as its line begins, before all that its user has written. */
  private static final Pattern PART =
      Pattern.compile(
          "JobId=\\d+ (?:ArrayJobId=(\\d+) ArrayTaskId=(\\d+)"
              + "|HetJobId=(\\d+) HetJobOffset=(\\d+)) ");

  private final String scontrol;
  private final Allocations allocations = new Allocations(this::askAllocation);
  private final Optional<String> commentField;
  private final Once<String> config = new Once<>();

  /**
   * Asks nothing yet.
   *
   * @param scontrol the program, by name or path
   */
  public Slurm(String scontrol) {
    this(scontrol, Optional.empty());
  }

  /**
   * The same, where jobs' records are told what they run in.
   *
   * @param commentField which field of a job's record is
   */
  public Slurm(String scontrol, Optional<String> commentField) {
    this.scontrol = scontrol;
    this.commentField = commentField;
  }

  Optional<String> commentField() {
    return commentField;
  }

  /**
   * A job's comment, if it is not empty. squeue(1) is asked, since scontrol(1) shows it among what
   * the job's user has written, which can look like one.
   */
  Optional<String> comment(long job) throws StoreException {
    String id = String.format("%-" + ID_CHARS + "d", job);
    String act = "read the comment of job " + job;
    try {
      return commentOf(
          id,
          answer(
                  squeue(),
                  id,
                  List.of(
                      "--noheader",
                      "--states=all",
                      "--jobs=" + job,
                      "--Format=JobID:" + ID_CHARS + ",admin_comment:" + COMMENT_CHARS))
              .stdout());
    } catch (IOException e) {
      throw failure(act, e);
    } catch (InterruptedException e) {
      throw interrupted(e);
    }
  }

  /** From squeue's lines, of which others may be those of other tasks of the same array. */
  static Optional<String> commentOf(String id, String lines) {
    return lines
        .lines()
        .filter(line -> line.startsWith(id))
        .map(line -> line.substring(id.length()).stripTrailing())
        .filter(comment -> !comment.isEmpty() && !comment.equals("(null)"))
        .findFirst();
  }

  /** Slurm's other program, from where the first is. */
  private String squeue() {
    Path program = Path.of(scontrol);
    return program.getParent() == null ? "squeue" : program.resolveSibling("squeue").toString();
  }

  /** Sets it. */
  void setComment(long job, String field, String text) throws IOException, InterruptedException {
    ask("", "update", "JobId=" + job, field + "=" + text);
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
      Event.PROCTRACK
          .on(log)
          .addKeyValue("type", type)
          .addKeyValue("holders-ended-by", endsHolders(type))
          .log();
    } catch (IOException e) {
      Event.SCONTROL_FAILED
          .on(log)
          .addKeyValue("scontrol", scontrol)
          .addKeyValue("cause", e.getMessage())
          .log();
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

  private static StoreException interrupted(InterruptedException cause) {
    Thread.currentThread().interrupt();
    return new StoreException(StoreException.Kind.UNAVAILABLE, "interrupted", cause);
  }

  private Optional<Instant> submitted(long job) throws StoreException {
    return submitted(job, show(job, "learn when job " + job + " was submitted"));
  }

  /**
   * What Slurm has given to a job.
   *
   * @param gres names of generic resources
   */
  record Allocation(Wish.Place place, Set<String> gres) {}

  /** Where a job runs, on whose account, and with what; asked once. */
  Allocation allocation(long job) throws StoreException {
    return allocations.of(job);
  }

  /** To be said of a job that has ended. */
  void forget(long job) {
    allocations.forget(job);
  }

  /** What a user has written looks like what Slurm says. */
  private static final class AmbiguousException extends IOException {
    private static final long serialVersionUID = 1;

    AmbiguousException(String message) {
      super(message);
    }
  }

  private Allocation askAllocation(long job) throws StoreException {
    String act = "learn the partition and the account of job " + job;
    try {
      return allocation(job, showAlone(job));
    } catch (AmbiguousException e) {
      throw new StoreException(
          StoreException.Kind.INVALID,
          "cannot " + act + ": " + e.getMessage() + " (give the job another name or comment)",
          e);
    } catch (IOException e) {
      throw failure(act, e);
    } catch (InterruptedException e) {
      throw interrupted(e);
    }
  }

  /**
   * The line of a job, of which nothing is missing. A name of several lines would end it where its
   * user likes, so there may be no other line. For a part of a job there may be those of the other
   * parts; then it is asked for by its number among them.
   */
  private String showAlone(long job) throws IOException, InterruptedException {
    Program.Answer answer = ask(job, Long.toString(job));
    Matcher part = PART.matcher(answer.stdout());
    if (!answer.isAll() && part.lookingAt()) {
      boolean isOfArray = part.group(1) != null;
      answer =
          ask(
              job,
              isOfArray
                  ? part.group(1) + "_" + part.group(2)
                  : part.group(3) + "+" + part.group(4));
    }
    if (!answer.isAll() && !answer.stdout().isEmpty()) {
      throw new AmbiguousException("its name or comment has several lines");
    }
    return answer.stdout();
  }

  // For the last task of an array Slurm has its other tasks' lines, too, however many.
  private Program.Answer ask(long job, String name) throws IOException, InterruptedException {
    return answer(scontrol, "JobId=" + job + " ", List.of("--oneliner", "show", "job", name));
  }

  private String show(long job, String act) throws StoreException {
    try {
      return ask(job, Long.toString(job)).stdout();
    } catch (IOException e) {
      throw failure(act, e);
    } catch (InterruptedException e) {
      throw interrupted(e);
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

  /**
   * From the same. Names of jobs and comments stand in it as their users wrote them, and may look
   * like anything: what is there twice is not believed.
   *
   * @throws IOException when Slurm does not know the job, or it cannot be told what it says
   */
  static Allocation allocation(long job, String lines) throws IOException {
    List<String> its =
        Arrays.stream(lines.split("\n", -1)) // not String.lines, which ends a line at \r, too
            .filter(each -> each.startsWith("JobId=" + job + " "))
            .toList();
    if (its.isEmpty()) {
      throw new IOException("it has no such job");
    }
    if (its.size() > 1) {
      throw new AmbiguousException("its name or comment looks like another answer of Slurm's");
    }
    String line = its.get(0);
    String partition = only(line, "Partition");
    if (partition.isEmpty()) {
      throw new IOException("the job has no partition");
    }
    String account = only(line, "Account");
    return new Allocation(
        new Wish.Place(partition, account.equals("(null)") ? "" : account), gres(line));
  }

  /** Empty where there is none. */
  private static String only(String line, String key) throws IOException {
    Set<String> values = values(line, key);
    if (values.size() > 1) {
      throw new AmbiguousException("its name or comment has \"" + key + "=\" in it");
    }
    return values.stream().findFirst().orElse("");
  }

  private static Set<String> values(String line, String key) {
    return Pattern.compile("(?:^| )" + key + "=(\\S+)")
        .matcher(line)
        .results()
        .map(found -> found.group(1))
        .collect(Collectors.toSet());
  }

  /** Of what was allocated and, where Slurm does not count it, what was asked for. */
  private static Set<String> gres(String line) throws IOException {
    Set<String> names = new TreeSet<>();
    for (String key :
        List.of("TRES", "AllocTRES", "TresPerJob", "TresPerNode", "TresPerSocket", "TresPerTask")) {
      GRES.matcher(only(line, key)).results().forEach(found -> names.add(found.group(1)));
    }
    return names;
  }

  private static Optional<String> lineOf(long job, String lines) {
    return lines.lines().filter(each -> each.startsWith("JobId=" + job + " ")).findFirst();
  }

  /** Once Slurm has answered, it is not asked again. */
  private String config() throws IOException, InterruptedException {
    try {
      return config.get(this::askForConfig);
    } catch (ExecutionException e) {
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
    return answer(scontrol, start, List.of(words)).stdout();
  }

  private static Program.Answer answer(String program, String start, List<String> words)
      throws IOException, InterruptedException {
    List<String> command = new ArrayList<>(List.of(program));
    command.addAll(words);
    Program.Answer answer = Program.answer(TIMEOUT_SECONDS, start, command.toArray(new String[0]));
    if (answer.status() != 0) {
      String cause = answer.lastWords();
      throw new IOException(cause.isEmpty() ? "exit status " + answer.status() : cause);
    }
    return answer;
  }

  /**
   * The value of a key, as {@code Key = value} in a line of its own or {@code Key=value} in one.
   */
  private static Optional<String> value(String text, String key) {
    Matcher matcher = Pattern.compile("(?m)(?:^| )" + key + "\\s*=\\s*(\\S+)").matcher(text);
    return matcher.find() ? Optional.of(matcher.group(1)) : Optional.empty();
  }
}
