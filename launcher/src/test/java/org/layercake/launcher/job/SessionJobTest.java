package org.layercake.launcher.job;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.layercake.launcher.node.Libc;
import org.layercake.launcher.node.UnixSocket;

/** The job in the cgroups of a session, with both versions of cgroups. */
class SessionJobTest {
  private static final String SCOPE = "0::/system.slice/n1_slurmstepd.scope";
  private static final long SESSION = 4_000_000_001L;

  @TempDir Path proc;
  @TempDir Path spool;

  @Test
  void findsTheJobOfAnAdoptedSession() {
    assertEquals(
        42,
        SessionJob.parse(
            "5:cpuset:/slurm/uid_1001/job_42/step_extern\n4:devices:/slurm/uid_1001\n"));
    assertEquals(
        7,
        SessionJob.parse("0::/system.slice/slurmstepd.scope/job_7/step_extern/user/task_special"));
  }

  @Test
  void whatIsNotInAJobHasNone() {
    assertEquals(0, SessionJob.parse("0::/user.slice/user-1001.slice\n"));
    assertEquals(0, SessionJob.parse("0::/job_x/step_extern"));
    assertEquals(0, SessionJob.parse("0::/job_99999999999/step_extern"));
    assertEquals(0, SessionJob.parse(""));
  }

  @Test
  void aJobWhoseCgroupHasItsSluidForANameIsTheOneOfTheSlurmstepdInIt() throws Exception {
    int slurmstepd = externStep(42, "/s7DSM8BR8ASJ00/step_extern/slurm");
    inCgroup(SESSION, "/s7DSM8BR8ASJ00/step_extern/user/task_special");
    assertEquals(42, job());
    inCgroup(SESSION, "/s7DSM8BR8ASJ01/step_extern/user/task_special");
    assertEquals(0, job());
    inCgroup(SESSION, "/s7DSM8BR8ASJ00x/step_extern/user/task_special");
    assertEquals(0, job());
    Libc.close(slurmstepd);
  }

  @Test
  void aSlurmstepdThatHasEndedSpeaksForNoJob() throws Exception {
    Libc.close(externStep(42, "/s7DSM8BR8ASJ00/step_extern/slurm"));
    inCgroup(SESSION, "/s7DSM8BR8ASJ00/step_extern/user/task_special");
    assertEquals(0, job());
  }

  @Test
  void aSessionOutsideOfAnyStepIsInNoJobAlsoBesideSlurmstepds() throws Exception {
    int slurmstepd = externStep(42, "/s7DSM8BR8ASJ00/step_extern/slurm");
    inCgroup(SESSION, "/s7DSM8BR8ASJ00");
    assertEquals(0, job());
    assertEquals(0, new SessionJob(proc, spool).of(SESSION + 1));
    Libc.close(slurmstepd);
  }

  private long job() {
    return new SessionJob(proc, spool).of(SESSION);
  }

  /** A socket as slurmstepd's, on which this process listens, and its cgroup. */
  private int externStep(long job, String cgroup) throws IOException {
    inCgroup(ProcessHandle.current().pid(), cgroup);
    Files.createFile(spool.resolve("n1_" + job + ".0"));
    Files.createFile(spool.resolve("cred_state"));
    return UnixSocket.listen(spool.resolve("n1_" + job + ".4294967292"), 1);
  }

  private void inCgroup(long pid, String cgroup) throws IOException {
    Files.createDirectories(proc.resolve(Long.toString(pid)));
    Files.writeString(proc.resolve(pid + "/cgroup"), SCOPE + cgroup + "\n");
  }
}
