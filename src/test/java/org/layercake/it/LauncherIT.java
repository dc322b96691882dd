package org.layercake.it;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** What a node keeps while jobs run, and that it keeps nothing after them. */
class LauncherIT {
  // A step that runs on the host by mistake prints another.
  private static final String WHERE = "cat /etc/os-release";
  private static final String IN_IMAGE = "ID=layercake-launcher";

  @BeforeAll
  static void pushImages() {
    Images.busybox("alice", "launcher", "");
    Images.busybox("bob", "launcher", "");
  }

  @BeforeEach
  void noOtherJobRuns() {
    Cluster.awaitNoJobs();
  }

  @AfterEach
  void noNodeIsDrained() {
    Cluster.as("alice", "scancel --me");
    Cluster.as("bob", "scancel --me");
    Cluster.assertNodesAreWell();
  }

  @Test
  void aSecondStepFetchesMountsAndStartsNothing() {
    List<String> lines =
        Cluster.as(
                "alice",
                "salloc -Q -N1 -w n1 --ch-image=launcher sh -c 'echo $SLURM_JOB_ID; for i in 1 2;"
                    + " do srun readlink /proc/self/ns/mnt; done'")
            .lines();
    assertEquals(3, lines.size(), lines::toString);
    assertEquals(lines.get(1), lines.get(2));
    assertNotEquals(Cluster.on("n1", "readlink /proc/self/ns/mnt").text(), lines.get(1));
    String ready = "grep -c 'event=ready job=" + lines.get(0) + " '";
    assertEquals("1", Cluster.on("n1", ready + " /var/log/layercake-launcher.log").text());
  }

  @Test
  void twoUsersOfTheSameBytesHaveFilesMountsAndHoldersOfTheirOwn() {
    Process alices = Cluster.start("alice", "srun -w n1 --ch-image=launcher sleep 1000");
    Process bobs = Cluster.start("bob", "srun -w n1 --ch-image=launcher sleep 1001");
    Cluster.await(
        "both tasks run",
        () -> Cluster.on("n1", "pgrep -x sleep -a").out().matches("(?s).*1000.*1001.*"));
    Cluster.await(
        "two holders",
        () -> Cluster.on("n1", "pgrep -x layercake-pause | wc -l").text().equals("2"));
    assertEquals("2", Cluster.on("n1", "grep -c /run/layercake/images/ /proc/mounts").text());
    String alicesFile = Images.cached("n1", "alice", "launcher");
    String bobsFile = Images.cached("n1", "bob", "launcher");
    assertFalse(alicesFile.equals(bobsFile), alicesFile);
    assertEquals(Images.digest("alice", "launcher"), Images.digest("bob", "launcher"));
    String digest = Images.digest("bob", "launcher").substring("sha256:".length());
    String seenByAll = Cluster.on("n1", "cat /proc/mounts; ps -eo args").text();
    assertFalse(seenByAll.contains(digest), seenByAll);
    assertEquals(
        "nobody",
        Cluster.on("n1", "ps -o user= -C imageserver")
            .text()
            .lines()
            .distinct()
            .findFirst()
            .orElse(""));
    Cluster.as("alice", "scancel --me");
    Cluster.as("bob", "scancel --me");
    Cluster.await("both sruns end", () -> !alices.isAlive() && !bobs.isAlive());
  }

  @Test
  void theLogSaysWhichDigestAJobRanAndItCanBeRunAgainWhenTheTagHasMoved() {
    Images.busybox("alice", "moved", "");
    String digest = Images.digest("alice", "moved");
    String job =
        Cluster.as("alice", "srun -w n1 --ch-image=moved sh -c 'echo $SLURM_JOB_ID'").text();
    String log = "grep 'event=ready job=" + job + " ' /var/log/layercake-launcher.log";
    assertTrue(Cluster.on("n1", log).text().contains(" digest=" + digest + " "));
    Images.busybox("alice", "moved", "echo new >$d/etc/new");
    String which = " sh -c 'if [ -e /etc/new ]; then echo new; else echo old; fi'";
    assertEquals("new", Cluster.as("alice", "srun --ch-image=moved" + which).text());
    assertEquals("old", Cluster.as("alice", "srun --ch-image=moved@" + digest + which).text());
  }

  @Test
  void aStepAfterTheImageServersDeathGetsAnotherMount() {
    String out =
        Cluster.sallocAround(
                "alice",
                "-N1 -w n1 --ch-image=launcher",
                () -> {
                  Cluster.on("n1", "pkill -KILL -x imageserver").text();
                  Cluster.await(
                      "its death is logged",
                      () ->
                          Cluster.on("n1", "grep imageserver-died /var/log/layercake-launcher.log")
                              .text()
                              .contains(Images.digest("alice", "launcher")));
                },
                "srun " + WHERE)
            .text();
    assertEquals(IN_IMAGE, out);
  }

  @Test
  void stepsAndSessionsGoOnWhenTheirHolderWasKilledAndOtherContainersCanBeMade() {
    String where = "readlink /proc/self/ns/mnt";
    List<String> lines =
        Cluster.sallocAround(
                "alice",
                "-N1 -w n1 --ch-image=launcher",
                () -> {
                  Cluster.on("n1", "pkill -KILL -x -u alice layercake-pause").text();
                  Cluster.await(
                      "it is gone",
                      () -> Cluster.on("n1", "pgrep -x -u alice layercake-pause").exit() == 1);
                },
                "srun " + where + "; ssh n1 " + where + "; srun --ch-mount=/scratch " + where)
            .lines();
    assertEquals(3, lines.size(), lines.toString());
    assertEquals(lines.get(0), lines.get(1));
    assertNotEquals(lines.get(0), lines.get(2));
  }

  @Test
  void afterTheLastJobThereIsNoHolderNoMountAndNoState() {
    assertEquals(
        List.of(IN_IMAGE, IN_IMAGE),
        Cluster.as("alice", "srun -N2 --ch-image=launcher " + WHERE).lines());
    for (String node : List.of("n1", "n2")) {
      Cluster.await(
          "no holder on " + node, () -> Cluster.on(node, "pgrep -x layercake-pause").exit() == 1);
      Cluster.await(
          "no image server on " + node, () -> Cluster.on(node, "pgrep -x imageserver").exit() == 1);
      Cluster.await(
          "no mount on " + node,
          () -> Cluster.on(node, "grep /run/layercake/images/ /proc/mounts").exit() == 1);
      Cluster.await(
          "no state on " + node,
          () ->
              Cluster.on(node, "find /run/layercake/jobs /run/layercake/images -mindepth 1")
                  .text()
                  .isEmpty());
    }
  }

  @Test
  void aKilledLauncherComesBackToTheSameContainer() {
    Process job =
        Cluster.start(
            "alice",
            """
            rm -f $HOME/first $HOME/go
            salloc -Q -N1 -w n1 --ch-image=launcher sh -c '
              srun readlink /proc/self/ns/mnt >$HOME/first
              until [ -e $HOME/go ]; do sleep 0.1; done
              srun readlink /proc/self/ns/mnt'
            """);
    Cluster.await(
        "the first step is done", () -> Cluster.as("alice", "test -s $HOME/first").exit() == 0);
    Cluster.on("n1", "kill -9 $(cat /run/layercake/launcher.pid)").text();
    assertEquals(0, Cluster.cluster("launcher", "n1", "start").exit());
    String first = Cluster.as("alice", "cat $HOME/first; touch $HOME/go").text();
    Cluster.await("the job ends", () -> !job.isAlive());
    assertNotEquals(Cluster.on("n1", "readlink /proc/self/ns/mnt").text(), first);
    assertEquals(List.of(first), printed(job));
    Cluster.await(
        "no holder is left", () -> Cluster.on("n1", "pgrep -x layercake-pause").exit() == 1);
  }

  @Test
  void aStepThatFindsNoLauncherWaitsForTheNext() {
    assertEquals(0, Cluster.cluster("launcher", "n1", "stop").exit());
    Process job = Cluster.start("alice", "srun -w n1 --ch-image=launcher " + WHERE);
    try {
      Cluster.await(
          "the task waits", () -> Cluster.on("n1", "pgrep -f 'slurmstepd: .*\\.0]'").exit() == 0);
    } finally {
      assertEquals(0, Cluster.cluster("launcher", "n1", "start").exit());
    }
    Cluster.await("the step ends", () -> !job.isAlive());
    assertEquals(0, job.exitValue());
    assertEquals(List.of(IN_IMAGE), printed(job));
  }

  @Test
  void aFetchThatDiedWithItsLauncherIsBegunAnewByTheNext() {
    Images.busybox("alice", "launcher-slow", "head -c 30000000 /dev/urandom >$d/bytes");
    Cluster.withSlowWholeFetch(
        () -> {
          Process job = Cluster.start("alice", "srun -w n1 --ch-image=launcher-slow " + WHERE);
          String staging = "du -s /var/cache/layercake/staging | awk '{ exit $1 < 2000 }'";
          Cluster.await("part of it is there", () -> Cluster.on("n1", staging).exit() == 0);
          assertEquals(0, Cluster.cluster("launcher", "n1", "kill").exit());
          assertEquals(0, Cluster.cluster("launcher", "n1", "start").exit());
          Cluster.await("the step ends", () -> !job.isAlive());
          assertEquals(0, job.exitValue());
          assertEquals(List.of("ID=layercake-launcher-slow"), printed(job));
        });
  }

  @Test
  void aStepThatWaitsWhenTheLauncherIsStoppedAsksTheNext() {
    Images.busybox("alice", "launcher-upgrade", "head -c 30000000 /dev/urandom >$d/bytes");
    Cluster.as("alice", "rm -f $HOME/upgrade").text();
    Cluster.withSlowWholeFetch(
        () -> {
          String step = "srun -w n1 --ch-image=launcher-upgrade " + WHERE;
          Process job = Cluster.start("alice", step + " >$HOME/upgrade 2>&1");
          // Only waiting tasks are told of the fetch, which the job's prolog has begun.
          Cluster.await(
              "the step waits",
              () -> Cluster.as("alice", "grep -q fetching $HOME/upgrade").exit() == 0);
          assertEquals(0, Cluster.cluster("launcher", "n1", "stop").exit());
          assertTrue(job.isAlive());
          assertEquals(0, Cluster.cluster("launcher", "n1", "start").exit());
          Cluster.await("the step ends", () -> !job.isAlive());
          assertEquals(0, job.exitValue());
          assertEquals(
              "ID=layercake-launcher-upgrade",
              Cluster.as("alice", "grep ^ID= $HOME/upgrade").text());
        });
  }

  @Test
  void aJobRunsOneImageOnAllItsNodesThoughTheTagMovesAndGoes() {
    Images.busybox("alice", "launcher-job", "echo old >$d/etc/version");
    assertEquals(0, Cluster.cluster("launcher", "n2", "stop").exit());
    Process job;
    try {
      job =
          Cluster.start(
              "alice",
              """
              rm -f $HOME/one $HOME/two
              salloc -Q -N2 -w n1,n2 --ch-image=launcher-job sh -c '
                srun -N1 -w n1 cat /etc/version && touch $HOME/one
                until [ -e $HOME/two ]; do sleep 0.1; done
                srun -N2 cat /etc/version'
              """);
      Cluster.await(
          "the first node runs it", () -> Cluster.as("alice", "test -e $HOME/one").exit() == 0);
      Images.busybox("alice", "launcher-job", "echo new >$d/etc/version");
      Cluster.as("alice", "layercake rm launcher-job").text();
    } finally {
      assertEquals(0, Cluster.cluster("launcher", "n2", "start").exit());
    }
    Cluster.as("alice", "touch $HOME/two").text();
    Cluster.await("the job ends", () -> !job.isAlive());
    assertEquals(List.of("old", "old", "old"), printed(job));
  }

  @Test
  void theHolderIsInTheJobsExternStep() {
    Process job = Cluster.start("alice", "srun -w n1 --ch-image=launcher sleep 1000");
    Cluster.await(
        "the holder runs", () -> Cluster.on("n1", "pgrep -x -u alice layercake-pause").exit() == 0);
    String cgroups =
        Cluster.on("n1", "cat /proc/$(pgrep -x -u alice layercake-pause)/cgroup").text();
    assertTrue(cgroups.contains("step_extern"), cgroups);
    Cluster.as("alice", "scancel --me");
    Cluster.await("srun ends", () -> !job.isAlive());
  }

  @Test
  void garbageOnTheSocketIsAnsweredAndForgotten() {
    for (String hex :
        List.of("ffffffff", "00000001ff", "000000030100ff", "0000000301000100000000")) {
      String reply = Cluster.as("alice", "srun -w n1 " + Protocol.raw(hex)).text();
      assertTrue(reply.startsWith("000000") && reply.substring(8, 10).equals("4f"), reply);
    }
    Cluster.as("alice", "srun -w n1 " + Protocol.raw("0000000301000100000009110000002a00000000"))
        .text();
    assertEquals(IN_IMAGE, Cluster.as("alice", "srun -w n1 --ch-image=launcher " + WHERE).text());
  }

  @Test
  void aClientThatDawdlesIsCutOffAndOneThatFloodsBlocksOnlyItself() {
    String dawdle =
        Protocol.python(
            "import time",
            "started = time.monotonic()",
            "try:",
            "    while time.monotonic() - started < 30:",
            "        s.sendall(b\"\\0\")",
            "        time.sleep(1)",
            "except OSError:",
            "    pass",
            "print(\"cut off\" if time.monotonic() - started < 15 else \"still there\")");
    assertEquals("cut off", Cluster.as("alice", "srun -w n1 " + dawdle).text());
    String flood =
        Protocol.python(
            "import os, resource, time",
            "resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))",
            "many = []",
            "for i in range(1500):",
            "    many.append(socket.socket(socket.AF_UNIX))",
            "    many[-1].connect(\"/run/layercake/launcher.sock\")",
            "open(os.path.expanduser(\"~/flooded\"), \"w\").close()",
            "while os.path.exists(os.path.expanduser(\"~/flooded\")): time.sleep(0.1)");
    Process alices = Cluster.start("alice", "rm -f ~/flooded; srun -w n1 " + flood);
    Cluster.await("alice floods", () -> Cluster.as("alice", "test -e ~/flooded").exit() == 0);
    assertEquals(IN_IMAGE, Cluster.as("bob", "srun -w n1 --ch-image=launcher " + WHERE).text());
    Cluster.as("alice", "rm ~/flooded").text();
    Cluster.await("alice's job ends", () -> !alices.isAlive());
  }

  @Test
  void nothingIsFetchedForAJobThatIsNotOnTheNode() {
    assertEquals(
        "ABORT 77",
        Cluster.as("alice", "srun -w n1 " + Protocol.enter(4000000, "image=launcher")).text());
  }

  /** What the steps of a job that has ended printed, without the lines of srun and plugin. */
  private static List<String> printed(Process job) {
    try {
      String out = new String(job.getInputStream().readAllBytes(), UTF_8);
      return out.lines().filter(line -> !line.matches("(layercake|srun): .*")).toList();
    } catch (IOException e) {
      throw new AssertionError(e);
    }
  }
}
