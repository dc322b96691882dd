package org.layercake.launcher.job;

import static java.nio.charset.StandardCharsets.ISO_8859_1;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * The job into whose cgroup pam_slurm_adopt put an ssh session, which its user cannot change.
 *
 * <p>Slurm names a job's cgroup job_42, but from 26.05 on with cgroup v2 by the job's SLUID, as in
 * s7DSM8BR8ASJ00, unless CgroupJobIdPaths is set in cgroup.conf (its src/plugins/cgroup/v2). Which
 * job that is shows in the cgroup of the slurmstepd of its extern step.
 */
final class SessionJob {
  // .../job_42/step_extern with cgroup v1, .../job_42/step_extern/user/task_special with v2.
  private static final Pattern NUMBERED = Pattern.compile("/job_(\\d{1,10})/");
  private static final Pattern ANY = Pattern.compile("^0::(/.*?)/step_", Pattern.MULTILINE);

  private final Path proc;
  private final Path slurmSpoolDirectory;

  /**
   * @param proc where processes are: /proc
   */
  SessionJob(Path proc, Path slurmSpoolDirectory) {
    this.proc = proc;
    this.slurmSpoolDirectory = slurmSpoolDirectory;
  }

  /** The process's job; 0 when it is in none, or when it cannot be told. */
  long of(long pid) {
    String cgroups = cgroups(pid);
    long job = parse(cgroups);
    String directory = directory(cgroups);
    if (job != 0 || directory.isEmpty()) {
      return job;
    }
    return ExternStep.list(slurmSpoolDirectory).stream()
        .filter(step -> directory.equals(directory(cgroups(step.slurmstepd()))))
        .mapToLong(ExternStep::job)
        .findFirst()
        .orElse(0);
  }

  /**
   * The first job that a file of /proc/PID/cgroup names.
   *
   * @param cgroups its text; 0 when it names none
   */
  static long parse(String cgroups) {
    Matcher matcher = NUMBERED.matcher(cgroups);
    return matcher.find() ? Long.parseLong(matcher.group(1)) : 0;
  }

  /** The cgroup v2 of the job, whatever its name; empty when it is none of a job. */
  private static String directory(String cgroups) {
    Matcher matcher = ANY.matcher(cgroups);
    return matcher.find() ? matcher.group(1) : "";
  }

  private String cgroups(long pid) {
    try {
      return Files.readString(proc.resolve(pid + "/cgroup"), ISO_8859_1);
    } catch (IOException e) {
      return ""; // it has ended: nobody waits for the answer
    }
  }
}
