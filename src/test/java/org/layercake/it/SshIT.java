package org.layercake.it;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** An ssh session on a node is in the container of the user's job there, or it is not at all. */
class SshIT {
  @BeforeAll
  static void pushImages() {
    Images.busybox("alice", "ssh", "ln -s busybox \"$d/bin/stty\"");
    Images.busybox("alice", "ssh-other", "");
    Images.busybox("bob", "ssh", "");
  }

  @AfterEach
  void noJobIsLeftAndNoNodeIsDrained() {
    Cluster.as("alice", "scancel --me");
    Cluster.as("bob", "scancel --me");
    Cluster.await("no job is left", () -> Cluster.as("root", "squeue -h").text().isEmpty());
    Cluster.assertNodesAreWell();
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
  void theExitCodeIsTheCommandsAndStderrIsItsOwn() {
    Cluster.Result result = salloc("-w n1 --ch-image=ssh", "ssh n1 'echo oops >&2; exit 42'");
    assertEquals(42, result.exit());
    assertEquals("oops", result.err().strip());
    assertEquals("", result.out());
  }

  @Test
  void theWholeOfLongBinaryInputAndOutputPasses() {
    Cluster.Result result =
        salloc(
            "-w n1 --ch-image=ssh",
            """
            head -c 50000000 /dev/urandom >$HOME/bytes
            ssh n1 cat <$HOME/bytes | cmp - $HOME/bytes && echo same
            rm $HOME/bytes
            """);
    assertEquals("same", result.text());
    assertEquals("", result.err());
  }

  @Test
  void sftpScpAndRsyncSeeTheContainersFilesThoughTheImageHasNone() {
    Cluster.Result result =
        salloc(
            "-w n1 --ch-image=ssh",
            """
            cd $HOME; rm -rf sftp; mkdir sftp; cd sftp; echo up >here
            printf 'put here sftp/there\\nget /etc/os-release\\n' | sftp -q -b - n1 >/dev/null
            scp -q n1:/etc/os-release by-scp
            scp -q -O n1:/etc/os-release by-old-scp
            scp -q -O here "n1:'sftp/old there'"
            rsync -q n1:/etc/os-release by-rsync
            cat there os-release by-scp by-old-scp by-rsync 'old there'
            """);
    String release = "ID=layercake-ssh";
    assertEquals(List.of("up", release, release, release, release, "up"), result.lines());
    assertEquals("", result.err());
  }

  @Test
  void anInteractiveSessionHasATerminalOfTheRightSizeAndALoginShell() {
    Cluster.Result result =
        salloc(
            "-w n1 --ch-image=ssh",
            """
            cd $HOME; rm -f typed.out
            printf 'stty size; tty; . /etc/os-release; echo $0 $ID\\nexit 7\\n' >typed
            (cat typed; until [ -e typed.out ]; do sleep 0.1; done) |
              script -qec 'stty rows 33 cols 77; ssh -t n1; echo exit $?; touch typed.out' /dev/null
            """);
    assertTrue(result.out().contains("33 77"), result.out());
    assertTrue(result.out().contains("/dev/pts/"), result.out());
    assertTrue(result.out().contains("-sh layercake-ssh"), result.out());
    assertTrue(result.out().contains("exit 7"), result.out());
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
  void theContainerOfAStepIsTheJobsWhenItHasNoOther() {
    String script = "srun --ch-image=ssh true; ssh n1 cat /etc/os-release";
    assertEquals("ID=layercake-ssh", salloc("-w n1", script).text());
  }

  @Test
  void aJobAnnouncedWhileTheLauncherWasDownIsInItsContainerAllTheSame() {
    assertEquals(0, Cluster.cluster("launcher", "n1", "stop").exit());
    Process job;
    try {
      job = Cluster.start("alice", "salloc -Q -w n1 --ch-image=ssh sleep 1000");
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
    Process holding = Cluster.start("alice", "salloc -Q -w n1 --ch-image=ssh srun sleep 1000");
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
  void fiftySessionsAtOnceAllSucceed() {
    String script = "for i in $(seq 50); do ssh n1 echo in & done; wait";
    String out = salloc("-w n1 --ch-image=ssh", script).text();
    assertEquals(50, out.lines().filter("in"::equals).count(), out);
  }

  private static Cluster.Result salloc(String options, String script) {
    return Cluster.salloc("alice", options, script);
  }
}
