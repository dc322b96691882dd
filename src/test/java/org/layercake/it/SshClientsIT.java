package org.layercake.it;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Collections;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What people do over ssh works in a container as on a node. */
class SshClientsIT {
  @BeforeAll
  static void pushImages() {
    String links = "for applet in stty httpd setsid; do ln -s busybox \"$d/bin/$applet\"; done";
    Images.busybox("alice", "clients", links);
    Images.busybox("alice", "shell-less", "rm -r \"$d/bin\"");
    Images.debian("alice");
  }

  @AfterEach
  void noJobIsLeftAndNoNodeIsDrained() {
    Cluster.endJobs();
  }

  @Test
  void muchBinaryInputAndOutputPasses() {
    Cluster.Result result =
        salloc(
            "-w n1 --ch-image=clients",
            """
            head -c 268435456 /dev/urandom >$HOME/bytes
            ssh n1 cat <$HOME/bytes | cmp - $HOME/bytes && echo same
            rm $HOME/bytes
            """);
    assertEquals("same", result.text());
    assertEquals("", result.err());
  }

  @ParameterizedTest
  @ValueSource(strings = {"clients", "shell-less"})
  void sftpScpAndRsyncSeeTheContainersFilesThoughTheImageHasNone(String image) {
    Cluster.Result result =
        salloc(
            "-w n1 --ch-image=" + image,
            """
            cd $HOME; rm -rf sftp; mkdir sftp; cd sftp; echo up >here
            printf 'put here sftp/there\\nget /etc/os-release\\n' | sftp -q -b - n1 >/dev/null
            scp -q n1:/etc/os-release by-scp
            scp -q -O n1:/etc/os-release by-old-scp
            scp -q -O here "n1:'sftp/old there'"
            rsync -q n1:/etc/os-release by-rsync
            rsync -q here "n1:sftp/rsync there"
            cat there os-release by-scp by-old-scp by-rsync 'old there' 'rsync there'
            """);
    String release = "ID=layercake-" + image;
    assertEquals(List.of("up", release, release, release, release, "up", "up"), result.lines());
    assertEquals("", result.err());
  }

  @Test
  void withoutAShellOnlyFilesAreTransferred() {
    Cluster.Result result = salloc("-w n1 --ch-image=shell-less", "ssh n1 echo ran");
    result.refused(127, "an image needs a shell for ssh");
  }

  @Test
  void anInteractiveSessionHasATerminalOfTheRightSizeAndALoginShell() {
    Cluster.Result result =
        salloc(
            "-w n1 --ch-image=clients",
            """
            cd $HOME; rm -f typed.out
            printf 'stty size; tty; . /etc/os-release; echo $0 $ID\\nexit 7\\n' >typed
            (cat typed; until [ -e typed.out ]; do sleep 0.1; done) |
              script -qec 'stty rows 33 cols 77; ssh -t n1; echo exit $?; touch typed.out' /dev/null
            """);
    assertTrue(result.out().contains("33 77"), result.out());
    assertTrue(result.out().contains("/dev/pts/"), result.out());
    assertTrue(result.out().contains("-sh layercake-clients"), result.out());
    assertTrue(result.out().contains("exit 7"), result.out());
  }

  @Test
  void aWindowThatIsResizedIsResizedInside() {
    Cluster.as(
            "alice",
            """
            cat >$HOME/resize.py <<'END'
            import fcntl, os, pty, select, struct, termios, time
            pid, terminal = pty.fork()
            if pid == 0: os.execvp("ssh", ["ssh", "-tt", "n1"])
            seen = b""
            for rows, columns in (33, 77), (44, 99):
                fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
                deadline = time.monotonic() + 30
                while b"%d %d" % (rows, columns) not in seen and time.monotonic() < deadline:
                    os.write(terminal, b"stty size\\n")
                    if select.select([terminal], [], [], 0.2)[0]: seen += os.read(terminal, 65536)
                print(rows, columns, b"%d %d" % (rows, columns) in seen)
            END
            """)
        .text();
    assertEquals(
        List.of("33 77 True", "44 99 True"),
        salloc("-w n1 --ch-image=clients", "python3 $HOME/resize.py").lines());
  }

  @Test
  void theAgentIsForwarded() {
    String key = Cluster.as("alice", "ssh-keygen -lf $HOME/.ssh/id_ed25519.pub").text();
    String script =
        "eval $(ssh-agent) >/dev/null; ssh-add -q; ssh -A n1 ssh-add -l; kill $SSH_AGENT_PID";
    assertEquals(key, salloc("-w n1 --ch-image=debian", script).text());
  }

  @Test
  void aForwardedDisplayHasItsCookieInside() {
    // Nobody has to answer at :77, for nothing is drawn.
    String script = "DISPLAY=:77 ssh -q -Y n1 'echo $DISPLAY; xauth -n list $DISPLAY'";
    List<String> lines = salloc("-w n1 --ch-image=debian", script).lines();
    assertTrue(lines.get(0).matches("localhost:\\d+\\.0"), lines.toString());
    assertTrue(lines.get(1).contains("MIT-MAGIC-COOKIE-1"), lines.toString());
  }

  @Test
  void anEditorsServerStartedInOneSessionIsReachedThroughTheForwardOfAnotherAndEndsWithTheJob() {
    List<String> lines =
        salloc(
                "-w n1 --ch-image=clients",
                """
                ssh n1 sh -s <<'END'
                mkdir -p $HOME/.server && cd $HOME/.server
                setsid httpd -p 127.0.0.1:18080 -h /etc >log 2>&1 </dev/null
                echo started
                END
                ssh -fNM -S $HOME/.server/control -o ExitOnForwardFailure=yes -L 18081:127.0.0.1:18080 n1
                python3 - <<'END'
                import urllib.request
                print(urllib.request.urlopen("http://127.0.0.1:18081/os-release").read().decode())
                END
                ssh -q -S $HOME/.server/control -O exit n1
                """)
            .lines();
    assertEquals(List.of("started", "ID=layercake-clients"), lines.subList(0, 2));
    Cluster.await("the server ends", () -> Cluster.on("n1", "pgrep -u alice").exit() == 1);
  }

  // Only the image has mpi4py.
  @Test
  void mpirunStartsItsWorkersOverSshInTheContainersOfTheOtherNodes() {
    Cluster.as(
            "alice",
            """
            cp /etc/ssh/ssh_known_hosts $HOME/.ssh/known_hosts
            cat >$HOME/workers.py <<'END'
            from mpi4py import MPI
            c = MPI.COMM_WORLD
            print(c.size, len(set(c.allgather(MPI.Get_processor_name()))))
            END
            """)
        .text();
    String script =
        "srun -N1 -n1 -w n1 --overlap mpirun --mca plm rsh --mca ras ^slurm -H n1,n2"
            + " python3 $HOME/workers.py";
    assertEquals(Collections.nCopies(2, "2 2"), salloc("-N2 --ch-image=debian", script).lines());
  }

  @Test
  void gitClonesOverSshFromTheContainerOfAnotherNode() {
    String script =
        """
        cp /etc/ssh/ssh_known_hosts $HOME/.ssh/known_hosts
        srun -N1 -n1 -w n1 --overlap sh -e <<'END'
        export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b
        rm -rf $HOME/project $HOME/clone; git init -q $HOME/project
        git -C $HOME/project commit -q --allow-empty -m first
        ssh -G n2 | grep -i rekeylimit # from what is only in the image
        git clone -q n2:project $HOME/clone && git -C $HOME/clone log --format=%s
        rm -rf $HOME/project $HOME/clone
        END
        """;
    assertEquals(
        List.of("rekeylimit 1073741824 3600", "first"),
        salloc("-N2 --ch-image=debian", script).lines());
  }

  private static Cluster.Result salloc(String options, String script) {
    return Cluster.salloc("alice", options, script);
  }
}
