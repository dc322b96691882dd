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
    assertEquals(Optional.empty(), SlurmJob.ofSqueue("slurm_load_jobs error: Invalid job id"));
    assertEquals(Optional.empty(), SlurmJob.ofSqueue("2nd line of a comment" + " ".repeat(200)));
    assertEquals(Optional.empty(), SlurmJob.ofSqueue("42 "));
  }

  @Test
  void nothingOfALineIsObeyedByATerminal() {
    SlurmJob job = sacct("4\u001b2", "ali\u202ece", "RUN\u0007", "", "").orElseThrow();
    assertEquals(new SlurmJob("4?2", "ali?ce", "RUN?", Optional.empty(), ""), job);
  }

  @Test
  void aLineOfSqueueIsAJob() {
    assertEquals(
        Optional.of(new SlurmJob("42_7", "alice", "COMPLETED", Optional.of(TEN), "layercake:a")),
        SlurmJob.ofSqueue(squeue("42_7", "alice", "COMPLETED", "layercake:a")));
    assertEquals(
        "", SlurmJob.ofSqueue(squeue("43+1", "bob", "PENDING", "")).orElseThrow().comment());
  }

  private static String squeue(String id, String user, String state, String comment) {
    return "%-32s%-64s%-32s%-32s%-8192s".formatted(id, user, state, "2026-11-26T10:00:00", comment);
  }
}
