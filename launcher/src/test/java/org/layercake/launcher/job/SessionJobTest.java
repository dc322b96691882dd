package org.layercake.launcher.job;

import static org.junit.jupiter.api.Assertions.assertEquals;

import org.junit.jupiter.api.Test;

/** The job in the cgroups of a session, with both versions of cgroups. */
class SessionJobTest {
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
}
