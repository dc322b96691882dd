package org.layercake.it;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * The same tries to gain a privilege in every kind of container, by a task and in a session: those
 * of {@code privilege/tries.py}.
 */
class PrivilegeTriesIT {
  private static final String WRITABLE_AND_ROOT = "--ch-writable=64M --ch-root";

  // What python3 needs; a directory that alice may write to; what the launcher has.
  private static final String MOUNTS = "--ch-mount=/usr:/usr:ro,/scratch:/ro:ro,/run/layercake:/lc";

  /** A squashfs file, the one source whose devices and owners are kept. */
  @BeforeAll
  static void pushImage() {
    Cluster.as(
            "alice",
            """
            set -e
            d=$HOME/tries; rm -rf $d; mkdir -p $d/bin $d/etc $d/usr $d/ro $d/lc $d/redirected $d/opaque
            cp /bin/busybox $d/bin/; cp /bin/busybox $d/setuid; cp /bin/busybox $d/setgid
            ln -s busybox $d/bin/sh; ln -s busybox $d/bin/cat
            ln -s usr/lib $d/lib; ln -s usr/lib64 $d/lib64
            echo ID=layercake-tries >$d/etc/os-release
            : >$d/metacopy; echo file >$d/opaque/file
            setfattr -n user.overlay.redirect -v /bin $d/redirected
            setfattr -n user.overlay.opaque -v y $d/opaque
            setfattr -n user.overlay.metacopy $d/metacopy
            setfattr -n user.overlay.redirect -v /bin/busybox $d/metacopy
            mksquashfs $d $d.sqfs -all-root -noappend -quiet -no-progress \
              -p 'setuid m 4755 0 0' -p 'setgid m 2755 0 0' \
              -p 'disk b 666 0 0 8 0' -p 'memory c 666 0 0 1 1' -p 'null c 666 0 0 1 3'
            layercake push $d.sqfs tries
            rm -r $d $d.sqfs
            cat >$HOME/tries.py <<'TRIES'
            """
                    .stripIndent()
                + script()
                + "\nTRIES\n")
        .text();
  }

  private static String script() {
    try (InputStream in = PrivilegeTriesIT.class.getResourceAsStream("/privilege/tries.py")) {
      return new String(in.readAllBytes(), StandardCharsets.UTF_8);
    } catch (IOException e) {
      throw new AssertionError(e);
    }
  }

  @AfterEach
  void noNodeIsDrained() {
    Cluster.endJobs();
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "--ch-writable=64M", "--ch-root", WRITABLE_AND_ROOT})
  void nothingIsGainedByATaskOrInASession(String options) {
    holds(options);
  }

  @Test
  void norWithChangesOnADiskNorFromASavedContainer() {
    String disk = "/var/lib/layercake-changes";
    Cluster.on("n1", "install -d -m 700 " + disk).text();
    Cluster.withSettings(
        "n1",
        "writable-directory = " + disk,
        () -> {
          holds(WRITABLE_AND_ROOT);
          Cluster.endJobs();
        });
    for (String options : List.of("", "--ch-root")) {
      allHeld(
          Cluster.as(
              "alice",
              "srun -w n1 --ch-image=tries:saved %s %s python3 -I $HOME/tries.py saved"
                  .formatted(MOUNTS, options)),
          1);
    }
    Cluster.as("alice", "layercake rm tries:saved").text();
  }

  @Test
  void whatTheLauncherHasIsNoMountSource() {
    for (String source : List.of("/run/layercake/changes", "/var/cache/layercake/images")) {
      Cluster.as("alice", "srun -w n1 --ch-image=tries --ch-root --ch-mount=" + source + ":/x true")
          .refused(77, source);
    }
  }

  private static void holds(String options) {
    Cluster.Result result =
        Cluster.salloc(
            "alice",
            "-w n1 --ch-image=tries " + MOUNTS + " " + options,
            """
            srun python3 -I $HOME/tries.py '%1$s' && touch $HOME/tried
            until [ -e $HOME/looked ]; do sleep 0.1; done
            ssh n1 python3 -I $HOME/tries.py \\''%1$s'\\'
            case '%1$s' in *writable*root) srun --ch-image=none layercake save tries:saved >&2 ;; esac
            """
                .formatted(options),
            () -> {
              Cluster.await(
                  "the task has tried",
                  () ->
                      Cluster.as("alice", "test -e $HOME/tried || ! squeue -h --me | grep -q .")
                              .exit()
                          == 0);
              theJobsChangesAreTheUsersOwn();
              Cluster.as("alice", "touch $HOME/looked").text();
            });
    Cluster.as("alice", "rm -f $HOME/tried $HOME/looked").text();
    allHeld(result, 2);
  }

  /** As the node sees them: what is root's inside, too. Devices of the image do not count there. */
  private static void theJobsChangesAreTheUsersOwn() {
    String found =
        Cluster.on(
                "n1",
                """
                cd /run/layercake/changes; find . -path '*/layer/upper*' ! -user alice -ls
                grep $PWD /proc/mounts | grep -v nosuid,nodev || :
                """)
            .text();
    assertEquals("", found);
  }

  private static void allHeld(Cluster.Result result, int times) {
    String failed =
        String.join(
            "\n", result.lines().stream().filter(line -> !line.startsWith("held ")).toList());
    assertEquals("", failed, result.err());
    long tries = script().lines().filter("@attempt"::equals).count();
    assertEquals(times * tries, result.lines().size(), result.out());
  }
}
