package org.layercake.launcher.job;

import static java.nio.charset.StandardCharsets.ISO_8859_1;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** The job into whose cgroup pam_slurm_adopt put an ssh session, which its user cannot change. */
final class SessionJob {
  // .../job_42/step_extern with cgroup v1, .../job_42/step_extern/user/task_special with v2.
  private static final Pattern JOB = Pattern.compile("/job_(\\d{1,10})/");

  private SessionJob() {}

  /** The process's job; 0 when it is in none. */
  static long of(long pid) {
    try {
      return parse(Files.readString(Path.of("/proc/" + pid + "/cgroup"), ISO_8859_1));
    } catch (IOException e) {
      return 0; // it has ended: nobody waits for the answer
    }
  }

  /**
   * The first job that a file of /proc/PID/cgroup names.
   *
   * @param cgroups its text; 0 when it names none
   */
  static long parse(String cgroups) {
    Matcher matcher = JOB.matcher(cgroups);
    return matcher.find() ? Long.parseLong(matcher.group(1)) : 0;
  }
}
