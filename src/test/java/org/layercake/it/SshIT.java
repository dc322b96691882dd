package org.layercake.it;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Collections;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** An ssh session on a node is in the container of the user's job there, or it is not at all. */
class SshIT {
  @BeforeAll
  static void pushImages() {
    Images.busybox("alice", "ssh", "");
    Images.busybox("alice", "ssh-other", "");
    Images.busybox("bob", "ssh", "");
  }

  @AfterEach
  void noJobIsLeftAndNoNodeIsDrained() {
    Cluster.endJobs();
  }

  @Test
  void aSessionIsInTheContainerOfTheJobsSteps() {
    List<String> lines =
        salloc(
                "-N2 --ch-image=ssh",
                """
                for node in n1 n2; do
                  ssh $node cat /etc/os-release
                  ssh $node readlink /proc/self/ns/mnt
                  srun -N1 -w $node readlink /proc/self/ns/mnt
                done
                """)
            .lines();
    assertEquals(6, lines.size(), lines.toString());
    for (int node = 0; node < 2; node++) {
      assertEquals("ID=layercake-ssh", lines.get(3 * node));
      assertEquals(lines.get(3 * node + 1), lines.get(3 * node + 2));
    }
  }

  @Test
  void aSessionIsInTheJobsExternStepAndHasItsId() {
    List<String> lines =
        salloc(
                "-w n1 --ch-image=ssh",
                "ssh n1 'cat /proc/self/cgroup'; ssh n1 'echo $SLURM_JOB_ID'; echo $SLURM_JOB_ID")
            .lines();
    String job = lines.get(lines.size() - 1);
    assertEquals(job, lines.get(lines.size() - 2));
    assertTrue(lines.toString().contains("/job_" + job + "/step_extern"), lines.toString());
  }

  @Test
  void aSessionWithRootInsideHasTheUsersHome() {
    List<String> lines =
        salloc(
                "-w n1 --ch-root --ch-image=ssh",
                "ssh n1 'id -u; pwd; echo $HOME ~root $SHELL; grep Seccomp: /proc/self/status'")
            .lines();
    assertEquals("0", lines.get(0), lines.toString());
    assertEquals("/home/alice", lines.get(1));
    assertEquals("/home/alice /home/alice /bin/sh", lines.get(2));
    assertEquals("Seccomp:\t2", lines.get(3));
  }

  @Test
  void theExitCodeIsTheCommandsAndStderrIsItsOwn() {
    Cluster.Result result = salloc("-w n1 --ch-image=ssh", "ssh n1 'echo oops >&2; exit 42'");
    assertEquals(42, result.exit());
    assertEquals("oops", result.err().strip());
    assertEquals("", result.out());
  }

  @Test
  void whoHasNoJobOnTheNodeIsRefused() {
    Process alices = Cluster.start("alice", "srun -w n1 --ch-image=ssh sleep 1000");
    Cluster.await("the task runs", () -> Cluster.on("n1", "pgrep -x sleep -u alice").exit() == 0);
    Cluster.Result bobs = Cluster.as("bob", "ssh n1 echo in");
    assertEquals(255, bobs.exit());
    assertEquals("", bobs.out());
    assertTrue(bobs.err().contains("no active jobs"), bobs.err());
    Cluster.as("alice", "scancel --me").text();
    Cluster.await("srun ends", () -> !alices.isAlive());
  }

  @Test
  void whoHasAnotherJobOnTheNodeComesToThatOne() {
    Process alices = Cluster.start("alice", "srun -w n1 --ch-image=ssh-other sleep 1000");
    Cluster.await("the task runs", () -> Cluster.on("n1", "pgrep -x sleep -u alice").exit() == 0);
    String script = "ssh n1 'cat /etc/os-release; id -un'";
    List<String> lines = Cluster.salloc("bob", "-w n1 --ch-image=ssh", script).lines();
    assertEquals(List.of("ID=layercake-ssh", "bob"), lines);
    Cluster.as("alice", "scancel --me").text();
    Cluster.await("srun ends", () -> !alices.isAlive());
  }

  @Test
  void aJobWithoutContainerHasTheHostsShell() {
    String script = "ssh n1 '. /etc/os-release; echo $ID; readlink /proc/self/ns/mnt'";
    List<String> lines = salloc("-w n1", script).lines();
    String host = Cluster.on("n1", "readlink /proc/self/ns/mnt").text();
    assertEquals(List.of("debian", host), lines);
  }

  @Test
  void ofTwoJobsTheSessionIsInTheContainerOfTheOneThatAdoptedIt() {
    Process first = Cluster.start("alice", "srun -w n1 --ch-image=ssh-other sleep 1000");
    Cluster.await("the task runs", () -> Cluster.on("n1", "pgrep -x sleep -u alice").exit() == 0);
    String script = "ssh -tt n1 'cat /etc/os-release /proc/self/cgroup'; echo job $SLURM_JOB_ID";
    for (String options : List.of("-w n1 --ch-image=ssh", "-w n1")) {
      String out = salloc(options, script).text().replace("\r", "");
      String second = out.substring(out.lastIndexOf(' ') + 1);
      boolean inSecond = out.contains("/job_" + second + "/step_extern");
      // Of a job without container the launcher knows nothing, so then it sees no choice.
      if (inSecond || options.contains("image")) {
        assertTrue(out.contains("layercake: this session is in job "), out);
      }
      if (!inSecond) {
        assertTrue(out.contains("ID=layercake-ssh-other"), out);
      } else if (options.contains("image")) {
        assertTrue(out.contains("ID=layercake-ssh\n"), out);
      } else {
        assertTrue(out.contains("ID=debian"), out);
      }
    }
    Cluster.as("alice", "scancel --me").text();
    Cluster.await("srun ends", () -> !first.isAlive());
  }

  @Test
  void fromAJobsOwnNodesTheSessionIsInThatJob() {
    Cluster.as("alice", "rm -f $HOME/first $HOME/second $HOME/done").text();
    Process second =
        Cluster.start(
            "alice",
            """
            until [ -e $HOME/first ]; do sleep 0.1; done
            salloc -Q -w n1 --ch-image=ssh-other sh -c '
              srun true; touch $HOME/second; until [ -e $HOME/done ]; do sleep 0.1; done'
            """);
    List<String> lines =
        salloc(
                "-N2 --ch-image=ssh",
                """
                touch $HOME/first; until [ -e $HOME/second ]; do sleep 0.1; done
                srun -N1 -w n2 --ch-image=none ssh -tt n1 'cat /etc/os-release; echo $SLURM_JOB_ID'
                touch $HOME/done; echo $SLURM_JOB_ID
                """)
            .lines();
    String job = lines.get(lines.size() - 1);
    assertTrue(
        lines.get(0).startsWith("layercake: this session is in job " + job + ", in ssh:latest"),
        lines.toString());
    assertEquals(List.of("ID=layercake-ssh", job), lines.subList(1, 3));
    Cluster.await("the second job ends", () -> !second.isAlive());
  }

  @Test
  void aClaimedJobDoesNotCountAgainstTheOneThatAdopted() {
    // .bashrc is read on the host, before ssh-entry: all that a user can say is said there.
    Cluster.as("alice", "echo 'export SLURM_JOB_ID=4000000' >$HOME/.bashrc").text();
    try {
      assertEquals(
          "ID=layercake-ssh", salloc("-w n1 --ch-image=ssh", "ssh n1 cat /etc/os-release").text());
    } finally {
      Cluster.as("alice", "rm $HOME/.bashrc").text();
    }
  }

  @Test
  void whatTheUsersFilesAndVariablesSayDoesNotChangeWhereTheSessionIs() {
    Cluster.as(
            "alice",
            """
            cd $HOME; rm -f rc.out
            echo 'echo ran >$HOME/rc.out' >.ssh/rc
            echo SLURM_JOB_ID=4000000 >.ssh/environment
            echo 'readlink /proc/self/ns/mnt >$HOME/bashrc.out' >.bashrc
            """)
        .text();
    try {
      List<String> lines =
          salloc(
                  "-w n1 --ch-image=ssh",
                  """
                  echo $SLURM_JOB_ID
                  SLURM_JOB_ID=4000000 ssh -o SendEnv=SLURM_JOB_ID n1 'echo $SLURM_JOB_ID; cat /etc/os-release; ls $HOME/rc.out'
                  """)
              .out()
              .lines()
              .toList();
      assertEquals(List.of(lines.get(0), lines.get(0), "ID=layercake-ssh"), lines);
      // The one that counts for users: what is in .bashrc runs on the host, as in a plain session.
      assertEquals(
          Cluster.on("n1", "readlink /proc/self/ns/mnt").text(),
          Cluster.as("alice", "cat $HOME/bashrc.out").text());
    } finally {
      Cluster.as("alice", "rm -f $HOME/.bashrc $HOME/.ssh/rc $HOME/.ssh/environment").text();
    }
  }

  @Test
  void forwardingNeedsAJobAndIsTheNodesOwn() {
    String script = "ssh -W 127.0.0.1:22 n1 </dev/null | head -c 8";
    assertEquals("SSH-2.0-", salloc("-w n1 --ch-image=ssh", script).text());
    Cluster.Result result = Cluster.as("bob", "ssh -W 127.0.0.1:22 n1 </dev/null");
    assertEquals("", result.out());
    assertEquals(255, result.exit());
  }

  @Test
  void aSessionWaitsForItsContainerAndOnlyATerminalIsTold() {
    Images.busybox("alice", "ssh-slow", "head -c 30000000 /dev/urandom >$d/bytes");
    Cluster.withSlowWholeFetch(
        () -> {
          String script = "ssh -tt n1 cat /etc/os-release";
          String out = salloc("-w n1 --ch-image=ssh-slow", script).text();
          assertTrue(
              out.startsWith("layercake: fetching ssh-slow:latest from pool layercake: "), out);
          assertTrue(out.endsWith("ID=layercake-ssh-slow"), out);
        });
    Images.busybox("alice", "ssh-slow", "head -c 30000001 /dev/urandom >$d/bytes");
    Cluster.withSlowWholeFetch(
        () -> {
          Cluster.Result result = salloc("-w n1 --ch-image=ssh-slow", "ssh n1 cat /etc/os-release");
          assertEquals("ID=layercake-ssh-slow\n", result.out());
          assertEquals("", result.err());
        });
  }

  @Test
  void administratorsAndRootAlwaysGetOntoTheBareNode() {
    String key =
        Cluster.as(
                "root",
                "cd; mkdir -p .ssh; ssh-keygen -q -t ed25519 -N '' -f .ssh/it; cat .ssh/it.pub")
            .text();
    Cluster.on("n1", "mkdir -p /root/.ssh && echo '" + key + "' >/root/.ssh/authorized_keys")
        .text();
    assertEquals(0, Cluster.cluster("launcher", "n1", "stop").exit());
    String where = "'. /etc/os-release; echo $ID $USER'";
    try {
      assertEquals("debian dana", Cluster.as("dana", "ssh n1 " + where).text());
      assertEquals("debian root", Cluster.as("root", "ssh -i /root/.ssh/it n1 " + where).text());
    } finally {
      assertEquals(0, Cluster.cluster("launcher", "n1", "start").exit());
      Cluster.on("n1", "rm -r /root/.ssh").text();
      Cluster.as("root", "rm -r /root/.ssh").text();
    }
  }

  @Test
  void aSiteMayKeepSessionsOfJobsWithoutContainerOut() {
    String change = " /etc/ssh/sshd_config && kill -HUP $(cat /run/sshd.pid)";
    Cluster.on("n1", "sed -i 's/ssh-entry/& --containers-only/'" + change).text();
    try {
      Cluster.Result result = salloc("-w n1", "ssh n1 echo in");
      result.refused(77, "has no container", "--ch-image");
      assertEquals("", result.out());
      assertEquals(
          "ID=layercake-ssh", salloc("-w n1 --ch-image=ssh", "ssh n1 cat /etc/os-release").text());
    } finally {
      Cluster.on("n1", "sed -i 's/ --containers-only//'" + change).text();
    }
  }

  @Test
  void theContainerOfAStepIsTheJobsWhenItHasNoOther() {
    String script = "srun --ch-image=ssh true; ssh n1 cat /etc/os-release";
    assertEquals("ID=layercake-ssh", salloc("-w n1", script).text());
  }

  @Test
  void aJobAnnouncedWhileTheLauncherWasDownIsInItsContainerAllTheSame() {
    assertEquals(0, Cluster.cluster("launcher", "n1", "stop").exit());
    Process job;
    try {
      job = Cluster.start("alice", "salloc -Q -K -w n1 --ch-image=ssh sleep 1000");
      Cluster.await(
          "the job runs",
          () -> Cluster.as("alice", "squeue -h -t R -o %i --me").text().length() > 0);
      Cluster.as("alice", "ssh n1 echo in").refused(255, "launcher");
    } finally {
      assertEquals(0, Cluster.cluster("launcher", "n1", "start").exit());
    }
    assertEquals("ID=layercake-ssh", Cluster.as("alice", "ssh n1 cat /etc/os-release").text());
    Cluster.as("alice", "scancel --me").text();
    Cluster.await("salloc ends", () -> !job.isAlive());
  }

  @Test
  void aContainerThatCannotBeIsSaidAndTheHostIsNoSubstitute() {
    Cluster.Result result = salloc("-w n1 --ch-image=no-such", "ssh n1 echo in");
    result.refused(66, "no-such");
    assertEquals("", result.out());
  }

  @Test
  void withoutLauncherOnlyJobsWithContainersAreRefused() {
    Process holding = Cluster.start("alice", "salloc -Q -K -w n1 --ch-image=ssh srun sleep 1000");
    Cluster.await("the task runs", () -> Cluster.on("n1", "pgrep -x sleep -u alice").exit() == 0);
    assertEquals(0, Cluster.cluster("launcher", "n1", "stop").exit());
    try {
      Cluster.Result result = Cluster.as("alice", "ssh n1 echo in");
      result.refused(255, "launcher");
      assertEquals("", result.out());
      assertEquals("bob", Cluster.salloc("bob", "-w n1", "ssh n1 id -un").text());
      assertEquals(0, Cluster.on("n1", "PAM_USER=root /usr/lib/layercake/pam-hook").exit(), "root");
    } finally {
      assertEquals(0, Cluster.cluster("launcher", "n1", "start").exit());
    }
    assertEquals("ID=layercake-ssh", Cluster.as("alice", "ssh n1 cat /etc/os-release").text());
    Cluster.as("alice", "scancel --me").text();
    Cluster.await("salloc ends", () -> !holding.isAlive());
  }

  @Test
  void aLauncherThatHangsKeepsOutOnlyWhoHasAContainer() {
    Process holding = Cluster.start("alice", "salloc -Q -K -w n1 --ch-image=ssh srun sleep 1000");
    Cluster.await("the task runs", () -> Cluster.on("n1", "pgrep -x sleep -u alice").exit() == 0);
    Cluster.on("n1", "kill -STOP $(cat /run/layercake/launcher.pid)").text();
    try {
      Cluster.Result result = Cluster.as("alice", "ssh n1 echo in");
      result.refused(255, "does not answer");
      assertEquals("", result.out());
      assertEquals("bob", Cluster.salloc("bob", "-w n1", "ssh n1 id -un").text());
    } finally {
      Cluster.on("n1", "kill -CONT $(cat /run/layercake/launcher.pid)").text();
    }
    assertEquals("ID=layercake-ssh", Cluster.as("alice", "ssh n1 cat /etc/os-release").text());
    Cluster.as("alice", "scancel --me").text();
    Cluster.await("salloc ends", () -> !holding.isAlive());
  }

  @Test
  void aSessionOutlivesTheLauncherAndTheNextJoinsTheSameContainer() {
    Cluster.as("alice", "rm -f $HOME/in $HOME/go $HOME/out").text();
    Process job =
        Cluster.start(
            "alice",
            """
            salloc -Q -w n1 --ch-image=ssh ssh n1 '
              readlink /proc/self/ns/mnt >$HOME/in
              until [ -e $HOME/go ]; do sleep 0.1; done
              cat /etc/os-release >$HOME/out; sleep 1000'
            """);
    Cluster.await("the session runs", () -> Cluster.as("alice", "test -s $HOME/in").exit() == 0);
    assertEquals(0, Cluster.cluster("launcher", "n1", "kill").exit());
    try {
      Cluster.as("alice", "touch $HOME/go").text();
      Cluster.await("it goes on", () -> Cluster.as("alice", "test -s $HOME/out").exit() == 0);
    } finally {
      assertEquals(0, Cluster.cluster("launcher", "n1", "start").exit());
    }
    assertEquals(
        Cluster.as("alice", "cat $HOME/in").text(),
        Cluster.as("alice", "ssh n1 readlink /proc/self/ns/mnt").text());
    Cluster.as("alice", "scancel --me").text();
    Cluster.await("salloc ends", () -> !job.isAlive());
  }

  @Test
  void aSessionEndsWithItsJobAndLeavesNothing() {
    Process job =
        Cluster.start("alice", "salloc -Q -w n1 --ch-image=ssh ssh n1 'sleep 1000 & sleep 1001'");
    Cluster.await(
        "the session runs", () -> Cluster.on("n1", "pgrep -x sleep -u alice").exit() == 0);
    Cluster.as("alice", "scancel --me").text();
    Cluster.await("salloc ends", () -> !job.isAlive());
    Cluster.await(
        "nothing of alice's is left", () -> Cluster.on("n1", "pgrep -u alice").exit() == 1);
    Cluster.await(
        "no marker is left",
        () -> Cluster.on("n1", "ls /run/layercake/contained").text().isEmpty());
  }

  @Test
  void fiftySessionsAndFiftyStepsAtOnceAllSucceed() {
    String script =
        "for i in $(seq 50); do ssh n1 cat /etc/os-release & srun --overlap -n1 cat /etc/os-release"
            + " & done; wait";
    List<String> lines = salloc("-w n1 -n1 --ch-image=ssh", script).lines();
    assertEquals(Collections.nCopies(100, "ID=layercake-ssh"), lines);
  }

  private static Cluster.Result salloc(String options, String script) {
    return Cluster.salloc("alice", options, script);
  }
}
