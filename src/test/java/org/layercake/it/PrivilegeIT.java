package org.layercake.it;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Nobody gains a privilege, and nobody reaches what is another's. */
class PrivilegeIT {
  @BeforeAll
  static void pushImages() {
    Images.busybox(
        "alice",
        "privilege",
        "mkdir $d/setuid; cp $d/bin/busybox $d/setuid/grep; chmod 4755 $d/setuid/grep; for a in chown chmod mknod tr tail; do ln -s busybox $d/bin/$a; done");
    Images.busybox("bob", "intruder", "");
  }

  @BeforeEach
  void noOtherJobRuns() {
    Cluster.awaitNoJobs();
  }

  @AfterEach
  void noNodeIsDrained() {
    Cluster.assertNodesAreWell();
  }

  @Test
  void tasksHaveNoNewPrivilegesAndNoCapability() {
    List<String> lines =
        srun("grep -E '^(NoNewPrivs|CapInh|CapPrm|CapEff|CapAmb):' /proc/self/status").lines();
    for (String line : lines) {
      String[] words = line.split("\\s+", -1);
      assertEquals(words[0].equals("NoNewPrivs:") ? "1" : "0000000000000000", words[1], line);
    }
    assertEquals(5, lines.size());
  }

  @Test
  void aSetuidRootFileOfTheImageGivesNothing() {
    String uid = Cluster.as("alice", "id -u").text();
    assertEquals(
        "Uid: " + uid + " " + uid + " " + uid + " " + uid,
        srun("/setuid/grep ^Uid: /proc/self/status").text().replaceAll("\\s+", " "));
  }

  @Test
  void noDescriptorOfTheLauncherOrTheShimIsLeftOpen() {
    String bare = Cluster.as("alice", "srun sh -c 'ls /proc/self/fd | wc -l'").text();
    assertEquals(bare, srun("sh -c 'ls /proc/self/fd | wc -l'").text());
  }

  @Test
  void rootInsideIsTheUserOutside() {
    String out =
        Cluster.as(
                "alice",
                "rm -f $HOME/by-root; srun --ch-root --ch-image=privilege sh -c 'id -u;"
                    + " touch $HOME/by-root'; stat -c %U $HOME/by-root")
            .text();
    assertEquals("0\nalice", out);
  }

  @Test
  void rootInsideIsToldThatOwnersAndIdsChangeAndNothingDoes() {
    String script =
        """
        grep -E "^(NoNewPrivs|Seccomp):" /proc/self/status | tr -s "\\t\\n" "  "; echo
        touch $HOME/mine; chown 1:1 $HOME/mine /scratch/bobs; mknod $HOME/disk b 8 0
        chmod 777 /scratch/bobs; cat /scratch/bobs; echo x >>/scratch/bobs; test -e $HOME/disk
        echo $?
        """;
    Cluster.as("bob", "echo secret >/scratch/bobs; chmod 600 /scratch/bobs").text();
    Cluster.Result root =
        Cluster.as(
            "alice",
            "srun --ch-root --ch-mount=/scratch --ch-image=privilege sh -c '" + script + "'");
    assertEquals(List.of("NoNewPrivs: 1 Seccomp: 2 ", "1"), root.lines(), root.toString());
    assertEquals("alice", Cluster.as("alice", "stat -c %U $HOME/mine").text());
    assertEquals(
        "bob 600 secret",
        Cluster.as("bob", "echo $(stat -c '%U %a' /scratch/bobs; cat /scratch/bobs)").text());
    assertEquals(
        Cluster.as("alice", "srun grep Seccomp: /proc/self/status").text(),
        srun("grep Seccomp: /proc/self/status").text());
    Cluster.as("bob", "rm /scratch/bobs").text();
  }

  @Test
  void aPrivateImageIsRefusedToOthers() {
    Cluster.as("bob", "srun --ch-image=alice/privilege echo ran").refused(77, "alice/privilege");
    Cluster.as("bob", "srun --ch-image=privilege echo ran").refused(66, "privilege");
    assertEquals(77, Cluster.as("bob", "layercake pull alice/privilege $HOME/stolen").exit());
  }

  @Test
  void aUsersKeyReadsAndWritesNothingOfAnothers() {
    String rados =
        "rados -n client.layercake.bob --keyring $HOME/.config/layercake/keyring -p layercake -N"
            + " u.alice ";
    for (String command : new String[] {"ls", "get t $HOME/stolen", "put t /etc/hostname"}) {
      Cluster.Result result = Cluster.as("bob", rados + command);
      assertNotEquals(0, result.exit(), command);
      assertTrue(result.err().contains("not permitted"), result.err());
    }
  }

  @Test
  void aUserCannotEnterAnothersContainerNorReachItsMounts() {
    Process job = Cluster.start("alice", "srun -J entered -w n1 --ch-image=privilege sleep 1000");
    try {
      Cluster.await(
          "alice's task runs",
          () -> Cluster.on("n1", "pgrep -x sleep -u alice -a").out().contains("sleep 1000"));
      String jobId = Cluster.as("alice", "squeue -h -o %i --me -n entered").text();
      String holder = Cluster.on("n1", "pgrep -x -u alice layercake-pause").text();
      Cluster.Result claimed =
          Cluster.as(
              "bob",
              "srun -w n1 --overlap sh -c 'for f in user mnt; do readlink /proc/"
                  + holder
                  + "/ns/$f || echo denied; done; ls /run/layercake/images || echo denied; ls"
                  + " /proc/"
                  + holder
                  + "/root || echo denied; nsenter -U -m -t "
                  + holder
                  + " true || echo denied'");
      assertEquals(List.of("denied", "denied", "denied", "denied", "denied"), claimed.lines());
      long alices = Long.parseLong(jobId);
      // With an image that he may run: whose job it is decides.
      assertEquals("ABORT 77", asBob(Protocol.enter(alices, "image=intruder")));
      assertEquals("ABORT 66", asBob(Protocol.enter(alices, "")));
      // A session of bob's job that says it is of alice's is still of his own, which has none.
      assertEquals("type 43", asBob(Protocol.session(alices)));
    } finally {
      Cluster.as("alice", "scancel --me");
      Cluster.await("alice's job ends", () -> !job.isAlive());
    }
  }

  private static String asBob(String command) {
    return Cluster.as("bob", "srun -w n1 " + command).text();
  }

  private static Cluster.Result srun(String command) {
    return Cluster.as("alice", "srun --ch-image=privilege " + command);
  }
}
