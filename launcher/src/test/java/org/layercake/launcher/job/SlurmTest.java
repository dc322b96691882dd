package org.layercake.launcher.job;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Instant;
import java.util.Optional;
import java.util.concurrent.FutureTask;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.layercake.policy.Wish;
import org.layercake.store.StoreException;

@Timeout(60)
class SlurmTest {
  private static final String LINES =
      """
      JobId=421 ArrayJobId=42 Restarts=0 SubmitTime=2026-11-26T10:00:00 EligibleTime=2026-11-26T10:00:00
      JobId=42 ArrayJobId=42 JobName=SubmitTime=x Requeue=1 Restarts=0 SubmitTime=2026-11-26T11:00:00 X=y
      """;

  private static final JobKey JOB = new JobKey(42, 1001);

  @TempDir Path directory;

  @Test
  void theLineOfTheJobIsFoundAmongThoseOfALargeArray() throws Exception {
    Path lines = Files.writeString(directory.resolve("lines"), LINES);
    String others = "yes JobId=421 Restarts=0 $(printf %1000d 7) | head -n 20000";
    Slurm slurm = scontrol("echo ClusterName = c; " + others + "; cat " + lines);
    assertEquals(
        Optional.of(Instant.parse("2026-11-26T11:00:00Z")), slurm.job(JOB).submitted().time());
  }

  @Test
  void aJobIsWhereItsOwnLineSays() throws Exception {
    String others = "JobId=421 Account=x Partition=no\n";
    String lines = others + "JobId=42 Account=(null) QOS=x Partition=gpu Y=z";
    assertEquals(new Wish.Place("gpu", ""), Slurm.allocation(42, lines).place());
    lines = others + "JobId=42 JobName=Account=y UserId=a(1) Account=phys Partition=gpu";
    assertEquals(new Wish.Place("gpu", "phys"), Slurm.allocation(42, lines).place());
    Slurm slurm = scontrol("echo '" + others + "'");
    StoreException failure = assertThrows(StoreException.class, () -> slurm.allocation(42));
    assertTrue(failure.getMessage().contains("no such job"), failure.getMessage());
    assertTrue(failure.getMessage().contains("the account of job 42"), failure.getMessage());
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "JobId=42 JobName=x Partition=free UserId=a(1) Account=a Partition=gpu",
        "JobId=42 JobName=x Account=free UserId=a(1) Account=a Partition=gpu",
        "JobId=42 JobName=x UserId=a(1) Account=a Partition=gpu TRES=cpu=1 Comment=x TRES=gres/gpu=1",
        "JobId=42 JobName=x\nJobId=42 Partition=free Account=b\n UserId=a(1) Account=a Partition=gpu",
        "JobId=42 JobName=x\n UserId=a(1) Account=a Partition=gpu",
        "JobId=42 JobName=x Account=b Partition=free\r UserId=a(1) Account=a Partition=gpu",
      })
  void whatAUserHasWrittenIsNotTakenForWhatSlurmSays(String lines) {
    assertThrows(IOException.class, () -> Slurm.allocation(42, lines));
  }

  @ParameterizedTest
  @ValueSource(strings = {" UserId=a(1)", "JobId=43 Foo UserId=a(1)", "JobId=42 Foo UserId=a(1)"})
  void aNameOfSeveralLinesCutsNothingOff(String rest) throws Exception {
    String lines = "JobId=42 JobName=x Account=b Partition=free\\n" + rest;
    Slurm slurm = scontrol("printf '" + lines + " Account=a Partition=gpu\\n\\n'");
    StoreException failure = assertThrows(StoreException.class, () -> slurm.allocation(42));
    assertTrue(failure.getMessage().contains("name or comment"), failure.getMessage());
  }

  @ParameterizedTest
  @CsvSource({"ArrayJobId=42 ArrayTaskId=7, 42_7", "HetJobId=42 HetJobOffset=0, 42+0"})
  void aPartOfAJobIsAskedForByItsNumberThere(String part, String name) throws Exception {
    String line = "JobId=42 " + part + " JobName=x Account=a Partition=gpu";
    String others = "echo JobId=43 Account=b Partition=free";
    Slurm slurm =
        scontrol("echo " + line + "; case $* in *" + name + ") ;; *) " + others + ";; esac");
    assertEquals(new Wish.Place("gpu", "a"), slurm.allocation(42).place());
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "TRES=cpu=1,node=1,billing=1,gres/gpu=1 TresPerNode=gres:gpu:1 | gpu",
        "AllocTRES=cpu=1,gres/gpu:a100=2 Power= | gpu",
        "TRES=cpu=1 TresPerNode=gres:gpu:1,gres:nic | gpu nic",
        "TRES=cpu=1 TresPerTask=gres/shard=2 | shard",
        "ReqTRES=gres/gpu=1 TRES=(null) Features=gres/x | ''",
      })
  void theResourcesOfAJobAreThoseThatItHasOrAsksFor(String fields, String names) throws Exception {
    String line = "JobId=42 JobName=gres/no Partition=p " + fields;
    assertEquals(names, String.join(" ", Slurm.allocation(42, line).gres()));
  }

  @Test
  void aFailureOfScontrolIsNotTakenForAnAnswer() throws Exception {
    String config = "case $* in *config*) echo ClusterName = c; exit;; esac; ";
    Slurm slurm = scontrol(config + "echo 'Unable to contact slurm controller' >&2; exit 1");
    StoreException failure =
        assertThrows(StoreException.class, () -> slurm.job(JOB).submitted().time());
    assertTrue(
        failure.getMessage().contains("Unable to contact slurm controller"), failure.getMessage());
  }

  @Test
  void aSlurmThatCannotBeAskedIsSaidWithTheSetting() {
    Slurm slurm = new Slurm(directory.resolve("none").toString());
    StoreException failure = assertThrows(StoreException.class, () -> slurm.job(JOB));
    assertTrue(
        failure.getMessage().contains("see \"scontrol\" in launcher.conf"), failure.getMessage());
  }

  @Test
  void aLauncherThatStopsWhileItAsksDoesNotSayThatScontrolFails() throws Exception {
    Path asked = directory.resolve("asked");
    Slurm slurm = scontrol("echo $$ >" + asked + "; exec sleep 1000");
    FutureTask<Object> job =
        new FutureTask<>(() -> assertThrows(InterruptedException.class, () -> slurm.job(JOB)));
    Thread asker = new Thread(job);
    asker.start();
    while (!Files.exists(asked)) {
      Thread.sleep(10);
    }
    asker.interrupt();
    job.get();
  }

  private Slurm scontrol(String text) throws Exception {
    Path program = Files.writeString(directory.resolve("scontrol"), "#!/bin/sh\n" + text + "\n");
    Files.setPosixFilePermissions(program, PosixFilePermissions.fromString("rwxr-xr-x"));
    return new Slurm(program.toString());
  }

  @ParameterizedTest
  @CsvSource({
    "42 a=b;c,a=b;c",
    "42 a b  ,a b",
    "43 x|42 y,y",
    "42 (null),",
    "421 x,",
    "42 two|x,two"
  })
  void aCommentIsWhatSqueueHasOfTheJob(String lines, String comment) {
    String printed = lines.replace('|', '\n') + "   \n";
    assertEquals(Optional.ofNullable(comment), Slurm.commentOf("42 ", printed));
  }

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
