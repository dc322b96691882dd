package org.layercake.it;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** A step with {@code --ch-image} behaves as one without, but for what it sees. */
class StepIT {
  @BeforeAll
  static void pushImages() {
    Images.busybox(
        "alice",
        "step",
        """
        printf '#!/bin/sh\\necho only here\\n' >"$d/usr/bin/only-in-image"
        chmod 755 "$d/usr/bin/only-in-image"
        mkdir "$d/proj"
        """);
    Images.busybox("alice", "shell-less", "mv \"$d/bin/busybox\" \"$d/cat\"; rm -r \"$d/bin\"");
  }

  @AfterEach
  void noNodeIsDrained() {
    Cluster.assertNodesAreWell();
  }

  @Test
  void fourTasksOnTwoNodesRunInTheImageAsTheUser() {
    List<String> lines =
        srun("-N2 -n4", "sh -c '. /etc/os-release; echo $ID $SLURM_PROCID $(id -u)'").lines();
    String uid = Cluster.as("alice", "id -u").text();
    Set<String> expected =
        Set.of(0, 1, 2, 3).stream()
            .map(task -> "layercake-step " + task + " " + uid)
            .collect(Collectors.toSet());
    assertEquals(expected, Set.copyOf(lines));
    assertEquals(4, lines.size());
  }

  @Test
  void aCommandThatExistsOnlyInTheImageRuns() {
    assertEquals("only here", srun("", "only-in-image").text());
  }

  @Test
  void anImageWithoutAnyShellRuns() {
    String line = Cluster.as("alice", "srun --ch-image=shell-less /cat /etc/os-release").text();
    assertEquals("ID=layercake-shell-less", line);
  }

  @Test
  void whatMustBePushedFirstIsRefusedBeforeSubmissionWithTheLineToType() {
    Cluster.as("alice", "srun --ch-image=./x.sqsh echo ran")
        .refused(1, "layercake push ./x.sqsh x, then --ch-image=x");
    Cluster.as("alice", "SLURM_CH_IMAGE=nvcr.io/a/b:c srun echo ran")
        .refused(1, "layercake push docker://nvcr.io/a/b:c b:c, then --ch-image=b:c");
  }

  @Test
  void stdinStdoutAndStderrArePassedThrough() {
    Cluster.Result result =
        Cluster.as("alice", "seq 100000 | srun --ch-image=step sh -c 'cat; echo oops >&2'");
    assertEquals(100000, result.lines().size());
    assertEquals("oops", result.err().strip());
  }

  @Test
  void theExitCodeIsTheCommands() {
    assertEquals(42, srun("", "sh -c 'exit 42'").exit());
    assertEquals(2, srun("", "no-such-command").exit());
  }

  @Test
  void aSignalOfTheStepReachesTheTask() {
    Cluster.Result result =
        Cluster.as(
            "alice",
            """
            rm -f $HOME/signal.ready
            srun --ch-image=step sh -c 'trap "echo got it; exit 7" USR1; touch $HOME/signal.ready; while :; do sleep 0.1; done' &
            until [ -e $HOME/signal.ready ]; do sleep 0.1; done
            scancel -s USR1 --me
            wait $!
            """);
    assertEquals("got it", result.out().strip());
    assertEquals(7, result.exit());
  }

  @Test
  void aPtyIsATerminalInside() {
    Cluster.Result result =
        Cluster.as(
            "alice",
            "script -qec \"srun --pty --ch-image=step sh -c 'tty && . /etc/os-release && echo"
                + " \\$ID'\" /dev/null");
    assertTrue(result.text().contains("/dev/pts/"), result.out());
    assertTrue(result.text().contains("layercake-step"), result.out());
  }

  @Test
  void aShellOnATerminalInterruptsStopsAndResumesWhatItRuns() {
    Cluster.as(
            "alice",
            """
            cat >$HOME/keys.py <<'END'
            import os, pty, select, sys, time
            pid, terminal = pty.fork()
            if pid == 0: os.execvp("srun", "srun --pty --ch-image=step sh -i".split())
            seen = b""
            def came(text, times, seconds):
                global seen
                deadline = time.monotonic() + seconds
                while seen.count(text) < times and time.monotonic() < deadline:
                    if select.select([terminal], [], [], 0.2)[0]: seen += os.read(terminal, 65536)
                found = seen.count(text) >= times
                if found: seen = seen[seen.rindex(text) + len(text):]
                return found
            def type_(text): os.write(terminal, text)
            def await_(text, times=1):
                if not came(text, times, 60): sys.exit("never came: %r in %r" % (text, seen))
            def ask(command, answer): # again when a signal has taken what was typed
                for _ in range(60):
                    type_(command)
                    if came(answer, 1, 1): return
                sys.exit("never came: %r in %r" % (answer, seen))
            def run(command):
                type_(b"echo be''gun; %s\\n" % command)
                await_(b"begun") # by now the terminal shows what is typed, and cat repeats it
            ask(b"echo rea''dy\\n", b"ready")
            run(b"cat"); type_(b"first\\n"); await_(b"first", 2)
            type_(b"\\x03"); ask(b"echo interrup''ted $?\\n", b"interrupted 130")
            run(b"cat"); type_(b"second\\n"); await_(b"second", 2)
            type_(b"\\x1a"); await_(b"Stopped"); ask(b"echo rea''dy\\n", b"ready")
            run(b"fg"); type_(b"third\\n"); await_(b"third", 2)
            type_(b"\\x04"); ask(b"echo en''ded $?\\n", b"ended 0")
            type_(b"exit 7\\n")
            print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
            END
            """)
        .text();
    assertEquals("7", Cluster.as("alice", "python3 $HOME/keys.py").text());
  }

  @Test
  void labelAndMultiProgWork() {
    assertEquals(Set.of("0: hi", "1: hi"), Set.copyOf(srun("-n2 --label", "echo hi").lines()));
    String out =
        Cluster.as(
                "alice",
                "printf '0 echo zero\\n1 only-in-image\\n' >$HOME/prog; srun -n2 --ch-image=step"
                    + " --multi-prog $HOME/prog")
            .text();
    assertEquals(Set.of("zero", "only here"), Set.copyOf(out.lines().toList()));
  }

  @Test
  void theTaskIsInItsStepsCgroup() {
    String bare = Cluster.as("alice", "srun -w n1 cat /proc/self/cgroup").text();
    String inside = srun("-w n1", "cat /proc/self/cgroup").text();
    assertEquals(withoutJob(bare), withoutJob(inside));
    assertTrue(inside.contains("step_0"), inside);
  }

  @Test
  void scancelEndsTheStepAndLeavesNothing() {
    Process job = Cluster.start("alice", "srun -w n1 -J tobecancelled --ch-image=step sleep 1000");
    Cluster.await(
        "the task runs",
        () -> Cluster.on("n1", "pgrep -x sleep -u alice -a").out().contains("sleep 1000"));
    Cluster.as("alice", "scancel -n tobecancelled").text();
    Cluster.await("srun ends", () -> !job.isAlive());
    Cluster.await(
        "nothing of alice's is left", () -> Cluster.on("n1", "pgrep -u alice").exit() == 1);
    assertNotEquals(0, job.exitValue());
  }

  @Test
  void allTasksOfAJobOnANodeShareTheirNamespaces() {
    String script =
        "srun -n2 sh -c 'readlink /proc/self/ns/user; readlink /proc/self/ns/mnt; readlink"
            + " /proc/self/ns/net' | sort -u; srun sh -c 'readlink /proc/self/ns/user; readlink"
            + " /proc/self/ns/mnt; readlink /proc/self/ns/net' | sort -u";
    List<String> lines =
        Cluster.as("alice", "salloc -Q -N1 -n2 --ch-image=step sh -c \"" + script + "\"").lines();
    assertEquals(6, lines.size(), lines.toString());
    assertEquals(lines.subList(0, 3), lines.subList(3, 6));
  }

  @Test
  void theBatchScriptStaysOnTheHostAndItsStepsAreInside() {
    String out =
        Cluster.as(
                "alice",
                """
                cd $HOME && rm -f batch.out && sbatch -Q -W -o batch.out --ch-image=step --wrap 'hostname; srun cat /etc/os-release'
                cat batch.out
                """)
            .text();
    assertTrue(out.contains("ID=layercake-step"), out);
    assertTrue(out.contains("runs on the host"), out);
  }

  @Test
  void withoutTheOptionNothingChanges() {
    String out = Cluster.as("alice", "srun sh -c '. /etc/os-release; echo $ID'").text();
    assertEquals("debian", out);
  }

  private static String withoutJob(String cgroups) {
    return cgroups.replaceAll("job_\\d+", "job");
  }

  private static Cluster.Result srun(String options, String command) {
    return Cluster.as("alice", "srun " + options + " --ch-image=step " + command);
  }
}
