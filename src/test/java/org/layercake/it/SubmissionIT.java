package org.layercake.it;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** An image that nobody could run is refused before its job is queued; whatever else is queued. */
class SubmissionIT {
  // Held, so that what is queued stays there to be seen.
  private static final String SBATCH = "sbatch -H -o /dev/null ";
  private static final String NO_ANSWER = "no answer within 5 s";
  private static final String MISSING = "cannot find image \"submitted:13\": not among";

  @BeforeAll
  static void pushImage() {
    Images.busybox("alice", "submitted", "");
  }

  @AfterEach
  void noJobIsLeft() {
    Cluster.endJobs();
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "sbatch -H --ch-image=submitted:13 --wrap true",
        "sbatch -H --ch-image=alice/submitted:13 --wrap true",
        "sbatch -H --array=1-3 --ch-image=submitted:13 --wrap true",
        "sbatch -H -n1 --ch-image=submitted:13 : -n1 --wrap true",
        "SLURM_CH_IMAGE=submitted:13 sbatch -H --ch-batch --wrap true",
        "printf '#!/bin/sh\\n#SBATCH --ch-image=submitted:13\\n' | sbatch -H",
        "sbatch --test-only --ch-image=submitted:13 --wrap true",
        "env -i HOME=$HOME /usr/bin/sbatch -H --ch-image=submitted:13 --wrap true",
      })
  void aMissingImageIsRefusedAndNothingIsQueued(String command) {
    submit("alice", command).refused(66, "submitted:13\": not among the images of alice");
    assertNothingIsQueued();
  }

  @Test
  void theRefusalIsTheLineOfTheStepThatWouldHaveFailed() {
    String refusal = submit("alice", SBATCH + "--ch-image=submitted:13 --wrap true").err();
    String failure = Cluster.as("alice", "srun --ch-image=submitted:13 true").err();
    assertTrue(refusal.startsWith("layercake: " + MISSING), refusal);
    assertTrue(failure.lines().anyMatch(refusal.strip()::equals), failure);
  }

  @Test
  void aNameThatIsNoneIsRefused() {
    submit("alice", SBATCH + "--ch-image=submitted:: --wrap true").refused(1, "submitted::");
    assertNothingIsQueued();
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "--ch-image=submitted",
        "--ch-image=alice/submitted:latest",
        "--array=1-3 --ch-image=submitted",
        "-n1 --ch-image=submitted : -n1",
        "--ch-image=none",
        "",
      })
  void whatCanRunIsQueuedWithoutAWord(String options) {
    assertQueued("alice", options, "");
  }

  @Test
  void anImageIsFoundByItsDigest() {
    String digest = Images.digest("alice", "submitted");
    assertQueued("alice", "--ch-image=submitted@" + digest, "");
    submit(
            "alice",
            SBATCH + "--ch-image=submitted@" + digest.replaceAll(".$", "x") + " --wrap true")
        .refused(1, "cannot read digest");
  }

  /** Who shares what is in the owner's domain, which a user's key does not read. */
  @Test
  void anotherUsersImageIsTheLaunchersToJudge() {
    assertQueued("bob", "--ch-image=alice/submitted", "");
    assertQueued("bob", "--ch-image=alice/absent", "");
  }

  @Test
  void aJobIsQueuedWithAWarningWhereTheStoreDoesNotAnswer() {
    Cluster.as(
            "alice",
            """
            cd $HOME; sed 's/^ *mon.host.*/mon_host = 127.0.0.1:1/' /etc/ceph/ceph.conf >away.ceph
            (cat /etc/layercake/store.conf; echo ceph-conf = $HOME/away.ceph) >away.conf
            """)
        .text();
    assertQueued(
        "alice",
        "--ch-image=submitted:13",
        "LAYERCAKE_CONFIG=$HOME/away.conf ",
        "layercake: cannot look up image \"submitted:13\": "
            + NO_ANSWER
            + " (the job is queued all the same)");
    assertQueued(
        "alice",
        "--ch-image=submitted:13",
        "LAYERCAKE_CONFIG=/nonexistent ",
        "layercake: cannot look up image \"submitted:13\": cannot read configuration /nonexistent");
  }

  @Test
  void anImageThatAnEarlierJobWillPushIsQueuedWhenTheUserSaysSo() {
    assertQueued("alice", "--ch-image=submitted:13", "SLURM_CH_CHECK=0 ", "");
    Cluster.as("alice", "SLURM_CH_CHECK=no " + SBATCH + "--ch-image=submitted --wrap true")
        .refused(1, "SLURM_CH_CHECK");
  }

  @Test
  void aSiteChoosesWhoseImagesAreLookedUp() {
    String missing = "--ch-image=submitted:13 ";
    Cluster.as("alice", "salloc -Q " + missing + "true").text();
    Cluster.as("alice", "srun --test-only " + missing + "true").text();
    submit("alice", "SLURM_CH_CHECK=1 salloc -Q " + missing + "true").refused(66, MISSING);
    submit("alice", checking("all") + "salloc -Q " + missing + "true").refused(66, MISSING);
    submit("alice", checking("all") + "srun --test-only " + missing + "true").refused(66, MISSING);
    assertQueued("alice", missing, checking("no"), "");
    Cluster.Result result = Cluster.as("alice", checking("maybe") + SBATCH + "--wrap true");
    assertTrue(result.err().contains("unknown argument \"check=maybe\""), result.err());
  }

  @Test
  void aJobOfAJobIsLookedUpAndAStepOfItIsNot() {
    String script =
        String.join(
            "\n",
            "said=$HOME/submission.said; while :; do",
            "srun -n1 " + SBATCH + "--ch-image=submitted:13 --wrap true >/dev/null 2>$said",
            "code=$?; grep -q '" + NO_ANSWER + "' $said || break; done; echo $code",
            checking("all") + "srun -n1 --test-only --ch-image=submitted:13 true",
            "echo $?");
    Cluster.Result result = Cluster.salloc("alice", "-w n1", script);
    assertEquals("66\n0", result.text(), result.err());
  }

  @Test
  void rootSubmitsForOthersWhateverTheOwnKeyReads() {
    Cluster.as("root", SBATCH + "--uid=alice --ch-image=submitted --wrap true").text();
    assertEquals("alice", Cluster.as("root", "squeue -h -o %u").text());
  }

  /** The variables with which a user's commands have a plugin with this argument. */
  private static String checking(String who) {
    return """
        { (grep -v PlugStackConfig /etc/slurm/slurm.conf; echo PlugStackConfig=$HOME/plugstack) \
        >$HOME/slurm.conf; echo required /usr/lib/layercake/layercake.so check=%s >$HOME/plugstack; }; \
        SLURM_CONF=$HOME/slurm.conf \
        """
        .formatted(who);
  }

  private static void assertQueued(String user, String options, String line) {
    assertQueued(user, options, "", line);
  }

  private static void assertQueued(String user, String options, String variables, String line) {
    String command = variables + SBATCH + options + " --wrap true";
    Cluster.Result result =
        line.contains(NO_ANSWER) ? Cluster.as(user, command) : submit(user, command);
    assertTrue(result.text().startsWith("Submitted batch job "), result.out());
    assertTrue(result.err().startsWith(line), result.err());
    assertEquals(line.isEmpty() ? 0 : 1, result.err().lines().count(), result.err());
    assertTrue(!Cluster.as(user, "squeue -h --me").text().isEmpty(), "it is queued");
    Cluster.as(user, "scancel --me").text();
  }

  /** Runs a command that looks an image up, again where the machine was too busy for an answer. */
  private static Cluster.Result submit(String user, String command) {
    AtomicReference<Cluster.Result> result = new AtomicReference<>();
    Cluster.await(
        "an answer in time",
        () -> {
          Cluster.as(user, "scancel --me").text();
          result.set(Cluster.as(user, command));
          return !result.get().err().contains(NO_ANSWER);
        });
    return result.get();
  }

  private static void assertNothingIsQueued() {
    assertEquals("", Cluster.as("alice", "squeue -h").text());
  }
}
