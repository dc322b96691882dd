package org.layercake.cli;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.layercake.store.StoreException.Kind.FULL;
import static org.layercake.store.StoreException.Kind.INTERNAL;
import static org.layercake.store.StoreException.Kind.MISCONFIGURED;
import static org.layercake.store.StoreException.Kind.UNAVAILABLE;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Function;
import org.layercake.store.ImageUse;
import org.layercake.store.StoreException;
import org.layercake.store.Text;

/**
 * Jobs that Slurm knows of: from its accounting, by sacct(1), or where there is none, from its
 * controller's memory, by squeue(1). Both show a user what that user may see.
 */
final class SlurmHistory {
  private static final String DISABLED = "accounting storage is disabled";
  private static final int MAX_JOBS = 100_000;

  private final String job;
  private final String since;
  private final String user;

  /**
   * Asks nothing yet.
   *
   * @param job its id, or null
   * @param since a time as sacct takes it, or null
   * @param user whose jobs, or null for everybody's
   */
  SlurmHistory(String job, String since, String user) {
    this.job = job;
    this.since = since;
    this.user = user;
  }

  /** Those that ran in an image, in Slurm's order. */
  List<SlurmJob> jobs() throws StoreException {
    List<String> command = new ArrayList<>(List.of("sacct", "--allocations", "--noheader"));
    command.addAll(List.of("--parsable2", "--delimiter=" + SlurmJob.SEPARATOR));
    command.add("--format=" + SlurmJob.FIELDS);
    if (user == null) {
      command.add("--allusers");
    } else {
      command.add("--user=" + user);
    }
    if (job != null) {
      command.add("--jobs=" + job);
    }
    if (since != null || job == null) {
      command.add("--starttime=" + (since == null ? "now-7days" : since));
    }
    Answer answer = ask(command, SlurmJob::ofSacct);
    return answer.isDisabled() ? remembered() : answer.jobs();
  }

  private List<SlurmJob> remembered() throws StoreException {
    List<String> command = new ArrayList<>(List.of("squeue", "--noheader", "--states=all"));
    command.add("--Format=" + SlurmJob.PLACED);
    if (job != null) {
      command.add("--jobs=" + job);
    }
    if (user != null) {
      command.add("--user=" + user);
    }
    return ask(command, SlurmJob::ofSqueue).jobs();
  }

  private record Answer(List<SlurmJob> jobs, boolean isDisabled) {}

  private static Answer ask(List<String> command, Function<String, Optional<SlurmJob>> reader)
      throws StoreException {
    String program = command.get(0);
    Process process = start(program, command);
    List<SlurmJob> jobs = new ArrayList<>();
    String complaint = ""; // what is no job, as a rule
    try (BufferedReader lines =
        new BufferedReader(new InputStreamReader(process.getInputStream(), UTF_8))) {
      for (String line = lines.readLine(); line != null; line = lines.readLine()) {
        Optional<SlurmJob> read = reader.apply(line);
        complaint = read.isEmpty() && !line.isBlank() ? line : complaint;
        read.filter(one -> !ImageUse.parse(one.comment()).isEmpty()).ifPresent(jobs::add);
        requireFew(jobs);
      }
      return answer(program, process.waitFor(), complaint, jobs);
    } catch (IOException e) {
      throw new StoreException(INTERNAL, "cannot list history: " + e.getMessage(), e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new StoreException(INTERNAL, "cannot list history: interrupted", e);
    } finally {
      process.destroy();
    }
  }

  private static Process start(String program, List<String> command) throws StoreException {
    ProcessBuilder builder =
        new ProcessBuilder(command)
            .redirectInput(Path.of("/dev/null").toFile())
            .redirectErrorStream(true);
    builder.environment().putAll(Map.of("TZ", "UTC", "LC_ALL", "C"));
    builder
        .environment()
        .keySet()
        .removeIf(name -> name.matches("S(ACCT|LURM_TIME)_FORMAT|SQUEUE_.*"));
    try {
      return builder.start();
    } catch (IOException e) {
      throw new StoreException(
          MISCONFIGURED,
          "cannot list history: " + program + " is not installed here (run it on a login node)",
          e);
    }
  }

  private static Answer answer(String program, int status, String complaint, List<SlurmJob> jobs)
      throws StoreException {
    if (complaint.contains(DISABLED)) {
      return new Answer(List.of(), true);
    }
    if (status != 0) {
      throw new StoreException(
          UNAVAILABLE,
          "cannot list history: "
              + (complaint.isEmpty()
                  ? program + " exited with status " + status
                  : Text.clean(complaint)));
    }
    return new Answer(jobs, false);
  }

  private static void requireFew(List<SlurmJob> jobs) throws StoreException {
    if (jobs.size() > MAX_JOBS) {
      throw new StoreException(
          FULL, "cannot list history: more than " + MAX_JOBS + " jobs (give a later --since)");
    }
  }
}
