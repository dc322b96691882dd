package org.layercake.it;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** With {@code --ch-entrypoint} the image's entry point runs what a step is to run. */
class EntryPointIT {
  private static final String ENTERED = "srun --ch-entrypoint --ch-image=entered ";

  @BeforeAll
  static void pushImages() {
    Cluster.as(
            "alice",
            """
            set -e
            d=$HOME/entry-it; chmod -R u+rwx $d 2>/dev/null || :; rm -rf $d
            mkdir -p $d/r/bin $d/r/opt; cd $d; cp /bin/busybox r/bin
            for applet in sh cat echo env id readlink; do ln -s busybox r/bin/$applet; done
            cat >r/opt/enter <<'ENTER'
            #!/bin/sh
            echo "$1 at $(readlink /proc/self/cwd)"; shift
            export LOADED=yes
            exec "$@"
            ENTER
            chmod 755 r/opt/enter
            tar -C r -cf r.tar .
            umoci init --layout oci; umoci new --image oci:t
            umoci raw add-layer --image oci:t r.tar
            umoci config --image oci:t --config.workingdir /opt --config.cmd 'never'
            layercake push oci plain
            umoci config --image oci:t --config.entrypoint ./enter --config.entrypoint 'a stack'
            layercake push oci entered
            umoci config --image oci:t --config.entrypoint /no-such
            layercake push oci broken
            """)
        .text();
  }

  @AfterEach
  void noJobIsLeftAndNoNodeIsDrained() {
    Cluster.endJobs();
  }

  @Test
  void itGetsTheCommandAndItsArguments() {
    List<String> lines =
        step("--ch-workdir=image", "sh -c 'echo \"$LOADED $1\"; id -u' x 'a  b'").lines();
    String uid = Cluster.as("alice", "id -u").text();
    assertEquals(List.of("a stack at /opt", "yes a  b", uid), lines);
  }

  @Test
  void itRunsInEachTaskAndPassesStdinAndTheExitCode() {
    Cluster.Result result =
        Cluster.as(
            "alice",
            "echo in | "
                + ENTERED
                + "--ch-workdir=image -N2 -n4 sh -c 'cat; echo $SLURM_PROCID; exit 9'");
    assertEquals(9, result.exit());
    assertEquals(12, result.out().lines().count(), result.out());
    assertEquals(
        Set.of("a stack at /opt", "in", "0", "1", "2", "3"),
        Set.copyOf(result.out().lines().toList()));
  }

  @Test
  void withoutTheOptionTheCommandRunsByItself() {
    assertEquals("", Cluster.as("alice", "srun --ch-image=entered sh -c 'echo $LOADED'").text());
  }

  @Test
  void anImageWithoutOneRunsTheCommandByItself() {
    assertEquals("x", Cluster.as("alice", "srun --ch-entrypoint --ch-image=plain echo x").text());
  }

  @Test
  void anAllocationsHoldsForItsStepsAndNotForItsScriptOrSessions() {
    String script = "srun -n1 echo step; ssh n1 'echo $LOADED session'";
    assertEquals(
        List.of("a stack at /opt", "step", "session"),
        Cluster.salloc(
                "alice", "-w n1 --ch-entrypoint --ch-workdir=image --ch-image=entered", script)
            .lines());
    assertEquals(
        List.of("a stack at /opt", "x"),
        Cluster.as(
                "alice",
                "SLURM_CH_ENTRYPOINT=1 SLURM_CH_IMAGE=entered srun --ch-workdir=image echo x")
            .lines());
  }

  @Test
  void rootInsideAndMpiGoWithIt() {
    assertEquals(
        List.of("a stack at /opt", "0 0"),
        step("--ch-workdir=image --ch-root --mpi=pmi2", "sh -c 'echo \"$PMI_RANK $(id -u)\"'")
            .lines());
  }

  @Test
  void oneThatIsNotThereEndsTheStep() {
    Cluster.as("alice", "srun -n2 --ch-entrypoint --ch-image=broken echo ran")
        .refused(127, "entry point \"/no-such\": No such file or directory");
    Cluster.as("alice", ENTERED + "--ch-workdir=/ echo ran").refused(127, "\"./enter\"");
  }

  @Test
  void itIsRefusedWhereItHasNoMeaning() {
    Cluster.as("alice", "srun --ch-entrypoint echo ran").refused(1, "--ch-entrypoint needs");
    Cluster.as("alice", "srun --ch-entrypoint --ch-image=none echo ran").refused(1, "none");
    Cluster.as("alice", "sbatch --ch-batch --ch-entrypoint --ch-image=entered --wrap 'echo ran'")
        .refused(1, "--ch-entrypoint is for srun steps");
    Cluster.as(
            "alice",
            "printf '# of two\\n0-1 /bin/echo ran\\n' >$HOME/programs; "
                + ENTERED
                + "-n2 --multi-prog $HOME/programs")
        .refused(64, "--multi-prog");
  }

  private static Cluster.Result step(String options, String command) {
    return Cluster.as("alice", ENTERED + options + " " + command);
  }
}
