package org.layercake.it;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** However a job and its steps come about, each runs where its options say. */
class JobIT {
  private static final String IN_A = "ID=layercake-job-a";
  private static final String IN_B = "ID=layercake-job-b";
  private static final String ON_HOST = "ID=debian";
  // What the task finds is the image, or the node.
  private static final String WHERE = "grep ^ID= /etc/os-release";
  // An environment with nothing of the allocation's.
  private static final String ELSEWHERE = "env -i PATH=/usr/bin HOME=$HOME ";

  @BeforeAll
  static void pushImages() {
    Images.busybox("alice", "job-a", "");
    Images.busybox("alice", "job-b", "");
  }

  @AfterEach
  void noJobIsLeftAndNoNodeIsDrained() {
    Cluster.endJobs();
  }

  @Test
  void anAllocationsImageHoldsForEachStepInsideUnlessTheStepSaysOtherwise() {
    String script =
        String.join(
            "\n",
            "srun -N2 -n2 " + WHERE,
            "srun -n1 --ch-image=job-b " + WHERE,
            "srun -n1 --ch-image=none " + WHERE,
            "srun -n1 " + WHERE);
    assertEquals(
        List.of(IN_A, IN_A, IN_B, ON_HOST, IN_A), salloc("-N2 --ch-image=job-a", script).lines());
  }

  @Test
  void anImageOfOneStepIsThatStepsAlone() {
    String script = "srun " + WHERE + "; srun --ch-image=job-a " + WHERE + "; srun " + WHERE;
    assertEquals(List.of(ON_HOST, IN_A, ON_HOST), salloc("-w n1", script).lines());
  }

  @Test
  void stepsOfDifferentSpecsHaveContainersOfTheirOwnAndAllEndWithTheJob() {
    String namespace = " readlink /proc/self/ns/mnt";
    String script =
        String.join(
            "\n",
            "srun" + namespace,
            "srun --ch-image=job-b" + namespace,
            "srun --ch-mount=/scratch" + namespace,
            "srun" + namespace);
    List<String> lines = salloc("-w n1 --ch-image=job-a", script).lines();
    assertEquals(3, Set.copyOf(lines).size(), lines.toString());
    assertEquals(lines.get(0), lines.get(3));
    Cluster.await(
        "no holder is left", () -> Cluster.on("n1", "pgrep -x layercake-pause").exit() == 1);
  }

  @Test
  void overlappingStepsAreInOneContainer() {
    String step = "srun --overlap sh -c 'readlink /proc/self/ns/mnt; sleep 1' & ";
    List<String> lines = salloc("-w n1 -n1 --ch-image=job-a", step + step + "wait").lines();
    assertEquals(2, lines.size());
    assertEquals(lines.get(0), lines.get(1));
  }

  @Test
  void eachElementOfAnArrayIsInItsContainer() {
    List<String> lines =
        batch(
                "--array=1-3 --ch-image=job-a",
                "srun sh -c 'echo $SLURM_ARRAY_TASK_ID; " + WHERE + "'")
            .lines();
    assertEquals(3, lines.stream().filter(IN_A::equals).count(), lines.toString());
    assertTrue(lines.containsAll(List.of("1", "2", "3")), lines.toString());
  }

  @Test
  void aBatchScriptIsInsideWhenAskedAndItsFailureIsTheJobs() {
    String script = WHERE + "; id -u; exit 3";
    Cluster.Result result = batch("--ch-image=job-a --ch-batch --ch-root", script);
    assertEquals(IN_A + "\n0\n", result.out());
    assertEquals(3, result.exit());
    assertEquals(IN_A, batch("--export=NONE --ch-image=job-a --ch-batch", WHERE).text());
    assertEquals(
        IN_A + "\n0",
        batch("SLURM_CH_IMAGE=job-a SLURM_CH_BATCH=1 SLURM_CH_ROOT=1", "", WHERE + "; id -u")
            .text());
  }

  @Test
  void aBatchScriptThatCannotBeInsideDoesNotRun() {
    Cluster.Result result = batch("SLURM_CH_CHECK=0", "--ch-image=no-such --ch-batch", "echo ran");
    assertEquals(66, result.exit());
    assertTrue(result.out().startsWith("layercake: cannot find image \"no-such"), result.out());
    assertEquals(1, result.out().lines().count(), result.out());
  }

  @Test
  void aReferenceToARegistryIsAnsweredWithTheLineToTypeBeforeAnythingIsSubmitted() {
    String options = "--ch-image=docker://a.b/team/x:1";
    String line = "layercake push docker://a.b/team/x:1;";
    Cluster.as("alice", "srun " + options + " echo ran").refused(66, line);
    Cluster.as("alice", "salloc -Q " + options + " echo ran").refused(66, line);
    batch(options, "echo ran").refused(66, line);
    Cluster.as("alice", "SLURM_CH_IMAGE=docker://a.b/team/x:1 srun echo ran").refused(66, line);
  }

  @Test
  void theBatchOptionIsRefusedWhereThereIsNoBatchScript() {
    Cluster.as("alice", "srun --ch-image=job-a --ch-batch echo ran").refused(1, "--ch-batch");
    Cluster.as("alice", "salloc -Q --ch-image=job-a --ch-batch echo ran").refused(1, "--ch-batch");
    batch("--ch-batch", "echo ran").refused(1, "--ch-batch needs an image");
    Cluster.as("alice", "SLURM_CH_ROOT=yes srun --ch-image=job-a echo ran")
        .refused(1, "SLURM_CH_ROOT");
  }

  @Test
  void variablesStandForOptionsAndTheStepsOwnOptionsForMore() {
    String variables =
        "SLURM_CH_IMAGE=job-a SLURM_CH_MOUNT=/proj/a:/data SLURM_CH_ROOT=1 SLURM_CH_BATCH=1 ";
    assertEquals(
        IN_A + "\n0\ndata",
        Cluster.as("alice", variables + "srun sh -c '" + WHERE + "; id -u; ls /data'").text());
    assertEquals(IN_B, Cluster.as("alice", variables + "srun --ch-image=job-b " + WHERE).text());
    assertEquals(ON_HOST, Cluster.as("alice", variables + "srun --ch-image=none " + WHERE).text());
    String others = "SLURM_CH_MOUNT=/proj/a:/data SLURM_CH_ROOT=1 ";
    assertEquals(ON_HOST, Cluster.as("alice", others + "srun " + WHERE).text());
  }

  @Test
  void whatOfTheEnvironmentIsExportedDoesNotMatter() {
    String script =
        String.join(
            "\n",
            "srun --export=NONE " + WHERE,
            "srun --export=A=1 " + WHERE,
            "srun --export=NONE --ch-image=job-b " + WHERE);
    assertEquals(List.of(IN_A, IN_A, IN_B), salloc("-w n1 --ch-image=job-a", script).lines());
    List<String> lines = batch("--export=NONE --ch-image=job-a", "srun " + WHERE).lines();
    assertEquals(IN_A, lines.get(lines.size() - 1));
  }

  @Test
  void aStepFromElsewhereIsInTheJobsContainer() {
    String step = ELSEWHERE + "srun -n1 --jobid=$SLURM_JOB_ID ";
    String script =
        String.join(
            "\n",
            step + WHERE,
            step + "--ch-image=job-b " + WHERE,
            step + "--ch-image=none " + WHERE);
    assertEquals(List.of(IN_A, IN_B, ON_HOST), salloc("-w n1 --ch-image=job-a", script).lines());
    assertEquals(ON_HOST, salloc("-w n1", "srun --ch-image=job-a true; " + step + WHERE).text());
  }

  @Test
  void aStepFromElsewhereDoesNotRunOnTheHostBecauseTheLauncherIsDown() {
    String script =
        "srun true; echo started >$HOME/started; until [ -e $HOME/stopped ]; do sleep 0.1; done; "
            + ELSEWHERE
            + "srun -n1 --jobid=$SLURM_JOB_ID echo ran";
    Cluster.as("alice", "rm -f $HOME/started $HOME/stopped").text();
    Process job = Cluster.start("alice", "salloc -Q -w n1 --ch-image=job-a sh -c '" + script + "'");
    Cluster.await("the job runs", () -> Cluster.as("alice", "test -e $HOME/started").exit() == 0);
    assertEquals(0, Cluster.cluster("launcher", "n1", "stop").exit());
    try {
      Cluster.as("alice", "touch $HOME/stopped").text();
      Cluster.await("the job ends", () -> !job.isAlive());
      assertEquals(69, job.exitValue());
    } finally {
      assertEquals(0, Cluster.cluster("launcher", "n1", "start").exit());
    }
  }

  @Test
  void aRequeuedJobIsInItsContainerAgain() {
    // A requeued job has to wait until its first credential is not valid any more.
    assertEquals(0, Cluster.cluster("slurm", "AuthInfo=cred_expire=10").exit());
    try {
      Cluster.as(
              "alice",
              """
              cd $HOME; rm -f batch.out go
              sbatch -Q -J again -w n1 --requeue --open-mode=append -o batch.out --ch-image=job-a --wrap '
                srun sh -c "grep ^ID= /etc/os-release; until [ -e $HOME/go ]; do sleep 0.1; done"'
              """)
          .text();
      Cluster.await("it runs", () -> runs() == 1);
      Cluster.as("alice", "scontrol requeue $(squeue -h -o %i -n again)").text();
      Cluster.await("it runs again", () -> runs() == 2);
      assertEquals(IN_A, Cluster.as("alice", "ssh n1 " + WHERE).text());
      Cluster.as("alice", "touch $HOME/go").text();
      Cluster.awaitNoJobs();
    } finally {
      assertEquals(0, Cluster.cluster("slurm").exit());
    }
  }

  @Test
  void theComponentsOfAHeterogeneousJobHaveOneContainer() {
    List<String> lines =
        salloc(
                "-w n1 --ch-image=job-a : -w n2",
                String.join(
                    "\n",
                    "srun --het-group=0,1 " + WHERE,
                    "srun --het-group=1 " + WHERE,
                    "srun --het-group=0,1 --ch-image=job-b " + WHERE,
                    "ssh n1 " + WHERE,
                    "ssh n2 " + WHERE))
            .lines();
    assertEquals(List.of(IN_A, IN_A, IN_A, IN_B, IN_B, IN_A, IN_A), lines);
    assertEquals(
        List.of(IN_A, IN_A),
        batch("-w n1 --ch-image=job-a : -w n2", "srun --het-group=0,1 " + WHERE).lines().stream()
            .filter(IN_A::equals)
            .toList());
  }

  @Test
  void componentsOfDifferentContainersAreRefused() {
    for (String options :
        List.of("--ch-image=job-a : --ch-image=job-b", "-n1 : --ch-image=job-b")) {
      salloc(options, "echo ran").refused(1, "heterogeneous", "first");
    }
  }

  @Test
  void anInteractiveStepIsOnTheHostAndSaysWhereItsStepsAre() {
    Cluster.Result result =
        Cluster.as(
            "alice",
            """
            cd $HOME
            (cat /etc/slurm/slurm.conf; echo LaunchParameters=use_interactive_step) >interactive.conf
            rm -f typed.out
            printf 'hostname; grep ^ID= /etc/os-release; srun grep ^ID= /etc/os-release; exit 7\\n' >typed
            (cat typed; until [ -e typed.out ]; do sleep 0.1; done) |
              SLURM_CONF=$HOME/interactive.conf SHELL=/bin/sh script -qec '
                salloc -w n1 --ch-image=job-a; echo exit $?; touch typed.out' /dev/null
            """);
    String out = result.out().replace("\r", "");
    assertTrue(
        out.contains("layercake: this shell runs on the host, its srun steps run in job-a"), out);
    assertTrue(out.contains("n1\n" + ON_HOST + "\n" + IN_A + "\n"), out);
    assertTrue(out.contains("exit 7"), out);
  }

  @Test
  void fetchingBeginsOnAllNodesWithTheAllocation() {
    Images.busybox("alice", "job-early", "head -c 3000000 /dev/urandom >$d/bytes");
    Process job = Cluster.start("alice", "salloc -Q -K -N2 --ch-image=job-early sleep 1000");
    for (String node : List.of("n1", "n2")) {
      Cluster.await(
          "the image is on " + node, () -> !Images.cached(node, "alice", "job-early").isEmpty());
    }
    assertEquals("", Cluster.as("alice", "squeue -h -s -o %i --me | grep -v extern").out());
    Cluster.as("alice", "scancel --me").text();
    Cluster.await("salloc ends", () -> !job.isAlive());
  }

  @Test
  void whoeverWaitsForAFetchSeesHowFarItIs() {
    Images.busybox("alice", "job-slow", "head -c 30000000 /dev/urandom >$d/bytes");
    Cluster.withSlowWholeFetch(
        () -> {
          Cluster.Result result = salloc("-w n1 -n2 --ch-image=job-slow", "srun -n2 " + WHERE);
          assertEquals(0, result.exit());
          // What comes after the fetch is told, too, if it is the turn of a line just then.
          List<String> lines =
              result
                  .err()
                  .lines()
                  .filter(line -> !line.equals("layercake: starting the container"))
                  .toList();
          assertNotEquals(0, lines.size());
          for (String line : lines) {
            assertTrue(
                line.matches(
                    "layercake: fetching job-slow:latest from pool layercake: \\d+ of 3\\d MB,"
                        + " \\d+ s, \\d+ MB/s, \\d+ s left"),
                line);
          }
          assertEquals(lines.size(), Set.copyOf(lines).size(), "one task speaks");
        });
  }

  private static Cluster.Result salloc(String options, String script) {
    return Cluster.salloc("alice", options, script);
  }

  private static Cluster.Result batch(String options, String script) {
    return batch("", options, script);
  }

  /**
   * Runs a batch script of sh to its end; its output is what sbatch says, then what it wrote, but
   * for what a busy node says while it waits.
   */
  private static Cluster.Result batch(String variables, String options, String script) {
    return Cluster.as(
        "alice",
        """
        cd $HOME; rm -f batch.out batch.sh
        cat >batch.sh <<'BATCH'
        #!/bin/sh
        %s
        BATCH
        %s sbatch -Q -W --open-mode=append -o batch.out %s batch.sh
        code=$?
        [ ! -e batch.out ] || sed '/^layercake: \\(looking up\\|mounting\\|starting\\|waiting\\)/d' batch.out
        exit $code
        """
            .formatted(script, variables, options));
  }

  private static long runs() {
    return Cluster.as("alice", "cat $HOME/batch.out").out().lines().filter(IN_A::equals).count();
  }
}
