package org.layercake.launcher;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.time.Instant;
import java.util.Optional;
import org.junit.jupiter.api.Test;

class SlurmTest {
  private static final String LINES =
      """
      JobId=421 ArrayJobId=42 Restarts=0 SubmitTime=2026-11-26T10:00:00 EligibleTime=2026-11-26T10:00:00
      JobId=42 ArrayJobId=42 JobName=SubmitTime=x Requeue=1 Restarts=0 SubmitTime=2026-11-26T11:00:00 X=y
      """;

  @Test
  void theLineOfTheJobItselfCounts() {
    assertEquals(Optional.of(Instant.parse("2026-11-26T11:00:00Z")), Slurm.submitted(42, LINES));
    assertEquals(Optional.of(Instant.parse("2026-11-26T10:00:00Z")), Slurm.submitted(421, LINES));
  }

  @Test
  void aRequeuedJobWasSubmittedNobodyKnowsWhen() {
    assertEquals(Optional.empty(), Slurm.submitted(42, LINES.replace("Restarts=0", "Restarts=1")));
    assertEquals(Optional.empty(), Slurm.submitted(4, LINES));
    assertEquals(Optional.empty(), Slurm.submitted(42, LINES.replace("2026-11-26T11", "Unknown")));
    assertEquals(Optional.empty(), Slurm.submitted(42, ""));
  }
}
