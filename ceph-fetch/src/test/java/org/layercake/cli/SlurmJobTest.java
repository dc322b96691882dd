package org.layercake.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.time.Instant;
import java.util.Optional;
import org.junit.jupiter.api.Test;

class SlurmJobTest {
  private static final Instant TEN = Instant.parse("2026-11-26T10:00:00Z");

  private static Optional<SlurmJob> sacct(String... fields) {
    return SlurmJob.ofSacct(String.join(SlurmJob.SEPARATOR, fields));
  }

  @Test
  void aLineOfSacctIsAJob() {
    assertEquals(
        Optional.of(new SlurmJob("42_1", "alice", "CANCELLED", Optional.of(TEN), "a|b")),
        sacct("42_1", "alice", "CANCELLED by 1001", "2026-11-26T10:00:00", "a|b"));
    assertEquals(
        Optional.of(new SlurmJob("42", "bob", "PENDING", Optional.empty(), "layercake:x")),
        sacct("42", "bob", "PENDING", "Unknown", "layercake:x"));
  }

  @Test
  void otherLinesAreNone() {
    assertEquals(Optional.empty(), SlurmJob.ofSacct("the second line of a comment"));
    assertEquals(Optional.empty(), SlurmJob.ofSacct(""));
    assertEquals(Optional.empty(), SlurmJob.ofScontrol("slurm_load_jobs error: Invalid job id"));
  }

  @Test
  void nothingOfALineIsObeyedByATerminal() {
    SlurmJob job = sacct("4\u001b2", "ali\u202ece", "RUN\u0007", "", "").orElseThrow();
    assertEquals(new SlurmJob("4?2", "ali?ce", "RUN?", Optional.empty(), ""), job);
  }

  @Test
  void aLineOfScontrolIsAJob() {
    String line =
        "JobId=421 ArrayJobId=42 ArrayTaskId=7 JobName=x UserId=alice(1001) JobState=COMPLETED"
            + " Reason=None StartTime=2026-11-26T10:00:00 EndTime=Unknown AdminComment=layercake:a"
            + " Power=";
    assertEquals(
        Optional.of(new SlurmJob("42_7", "alice", "COMPLETED", Optional.of(TEN), "layercake:a")),
        SlurmJob.ofScontrol(line));
    String waiting = line.replace("ArrayTaskId=7", "ArrayTaskId=1-9%2");
    assertEquals("421", SlurmJob.ofScontrol(waiting).orElseThrow().id());
  }
}
