package org.layercake.it;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Collections;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** {@code --ch-mount}: devices and file systems, read-only, escaped, added up, refused. */
class MountIT {
  @BeforeAll
  static void pushImageAndMakeSources() {
    Images.busybox(
        "alice",
        "mount",
        """
        mkdir -p "$d/srv" "$d/var/tmp" "$d/run"; mkdir -m 700 "$d/root"
        ln -s /etc "$d/link"; ln -s srv "$d/relative"; ln -s /opt/none/yet "$d/dangling"
        ln -s ../run "$d/var/run"; ln -s /var/tmp "$d/tmp"; ln -s /proc "$d/processes"
        """);
    Cluster.on(
            "head",
            """
            set -e
            d=/scratch/mount-it; rm -rf $d
            mkdir -p $d/open "$d/a,b:c" $d/other $d/closed
            echo open >$d/open/file; echo odd >"$d/a,b:c/file"; echo other >$d/other/file
            chown -R alice: $d; chown root: $d/closed; chmod 700 $d/closed
            """)
        .text();
  }

  @AfterEach
  void noNodeIsDrained() {
    Cluster.assertNodesAreWell();
  }

  @Test
  void aDirectoryIsMountedReadWriteWhereItIs() {
    String out =
        srun("/scratch", "sh -c 'cat /scratch/mount-it/open/file; touch /scratch/mount-it/new'")
            .text();
    assertEquals("open", out);
    Cluster.as("alice", "rm /scratch/mount-it/new").text();
  }

  @Test
  void aReadOnlyMountRefusesWritesAtADestinationTheImageDoesNotHave() {
    Cluster.Result result =
        srun(
            "/scratch/mount-it/open:/data/deep/down:ro",
            "sh -c 'cat /data/deep/down/file; touch /data/deep/down/new'");
    assertEquals("open", result.out().strip());
    assertTrue(result.err().contains("Read-only file system"), result.err());
  }

  @Test
  void aDeviceIsMounted() {
    assertEquals("ok", srun("/dev/fuse", "sh -c 'test -c /dev/fuse && echo ok'").text());
  }

  // Python opens a terminal by what it finds in /dev.
  @Test
  void newNamesInDevAreADeviceAFileAndADirectoryBesideAllThatTheNodeHas() {
    Images.debian("alice");
    String look =
        "import os; a, b = os.openpty(); print(os.ttyname(b), os.path.exists(\"/dev/fuse\"));"
            + " print(open(\"/dev/xfile\").read() + open(\"/dev/x/dir/file\").read(), end=\"\");"
            + " print(open(\"/dev/xnull\", \"r+b\", 0).write(b\"lost\"))";
    List<String> lines =
        Cluster.as(
                "alice",
                "srun -w n1 --ch-image=debian --ch-mount=/dev/null:/dev/xnull"
                    + " --ch-mount=/scratch/mount-it/open/file:/dev/xfile:ro"
                    + " --ch-mount=/scratch/mount-it/other:/dev/x/dir python3 -c '"
                    + look
                    + "'")
            .lines();
    assertTrue(lines.get(0).matches("/dev/pts/\\d+ True"), lines.toString());
    assertEquals(List.of("open", "other", "4"), lines.subList(1, lines.size()));
    assertEquals("", Cluster.on("n1", "ls -d /dev/x* || :").text());
  }

  @Test
  void aMountBelowADirectoryOfTheImageThatIsTheOwnersAloneIsThere() {
    for (String root : List.of("", "--ch-root ")) {
      String out =
          Cluster.as(
                  "alice",
                  "srun --ch-image=mount "
                      + root
                      + "--ch-mount=/scratch/mount-it/open:/root/.cache cat /root/.cache/file")
              .text();
      assertEquals("open", out);
    }
  }

  @Test
  void repeatedOptionsAndListsAddUp() {
    String out =
        Cluster.as(
                "alice",
                "srun --ch-image=mount --ch-mount=/scratch/mount-it/open:/a,/scratch/mount-it/other:/b:ro"
                    + " --ch-mount=/scratch:/c cat /a/file /b/file /c/mount-it/open/file")
            .text();
    assertEquals("open\nother\nopen", out);
  }

  @Test
  void anEscapedCommaOrColonIsPartOfTheName() {
    assertEquals("odd", srun("/scratch/mount-it/a\\\\,b\\\\:c:/odd", "cat /odd/file").text());
  }

  @Test
  void namesOfAnyBytesAreMountedInOneList() {
    Cluster.Result result =
        Cluster.as(
            "alice",
            """
            mkdir /scratch/mount-it/names; cd /scratch/mount-it/names
            newline='new
            line'
            for name in 'a b' a,b a:b 'a\\b' ü "q\\"uo'te" "$newline" %41 'a;b=c' \
                "$(printf '\\377\\376')" '$HOME' '~x' -x '[*]'; do
              mkdir "./$name"; printf '%s,' "$name" >"./$name/file"
            done
            list=
            for name in *; do
              escaped=$(printf %s "$name" | sed 's/[,:$~\\\\]/\\\\&/g')
              list="$list,$PWD/$escaped:/m/$escaped"
            done
            cat ./*/file >../names.here
            srun --ch-image=mount "--ch-mount=${list#,}" sh -c 'cd /m; cat ./*/file' >../names.inside
            cmp ../names.here ../names.inside && tr -cd , <../names.here | wc -c
            rm -r ../names*
            """);
    assertEquals("15", result.text()); // one of the names has a comma
  }

  @Test
  void mountsOfTheAllocationAndOfTheStepAddUp() {
    String out =
        Cluster.as(
                "alice",
                "salloc -Q --ch-image=mount --ch-mount=/scratch/mount-it/open:/a srun"
                    + " --ch-mount=/scratch/mount-it/other:/b cat /a/file /b/file")
            .text();
    assertEquals("open\nother", out);
  }

  @ParameterizedTest
  @CsvSource({
    "/scratch/mount-it/missing:/x, 66, mount-it/missing",
    "/scratch/mount-it/closed/x:/x, 77, mount-it/closed/x",
    "/scratch:/etc/os-release, 64, /etc/os-release",
    "/scratch:/processes/sys, 64, nothing can be mounted on /proc",
    "/scratch:/sys/mount-it, 64, /sys/mount-it",
    "/scratch:/tmp/none, 64, create it there first",
    "/proc/self/fd/0:/x, 66, a link of a process in /proc",
    "/dev/stdin:/x, 66, a link of a process in /proc"
  })
  void aMountThatCannotBeIsRefusedOnTheNodeWithItsName(String mount, int code, String word) {
    srun(mount, "echo ran").refused(code, word);
  }

  @ParameterizedTest
  @CsvSource({
    "/scratch/../etc:/x, ..",
    "/scratch:x, x",
    "/scratch:/x/../y, ..",
    "/scratch:/x:rx, rx",
    "\\$SCRATCH/a:/x, $SLURM_SUBMIT_DIR",
    "\\~bob:/x, ~bob",
    "a/../b:/x, ..",
    "/scratch:/, /",
    "/scratch:/proc, nothing can be mounted on /proc",
    "/scratch:/proc/1, nothing can be mounted on /proc"
  })
  void aMountOfTheWrongFormIsRefusedBeforeSubmission(String mount, String word) {
    Cluster.Result result = srun(mount, "echo ran");
    result.refused(1, word);
    assertTrue(!result.err().contains("queued"), result.err());
  }

  @Test
  void noShellIsNeededToSayWhereASourceIs() {
    Cluster.Result result =
        Cluster.as(
            "alice",
            """
            cd /scratch/mount-it/open
            cat >$HOME/mount-it.sh <<'END'
            #!/bin/sh
            #SBATCH --ch-image=mount --ch-mount=.:/a,../other:/b,$PWD/file:/c
            #SBATCH --ch-mount=~:/d,/proj/a:$HOME/proj-of-$USER,$SLURM_SUBMIT_DIR:/e
            srun cat /a/file /b/file /c /e/file
            srun test -e /d/mount-it.sh && srun test -d $HOME/proj-of-alice && echo there
            END
            mkdir $HOME/proj-of-alice
            sbatch -Q -W -o $HOME/mount-it.out $HOME/mount-it.sh
            rmdir $HOME/proj-of-alice
            grep -v ^layercake: $HOME/mount-it.out
            rm $HOME/mount-it.*
            """);
    assertEquals("open\nother\nopen\nopen\nthere", result.text());
  }

  @Test
  void aRelativeSourceIsWhereTheCommandIsCalled() {
    assertEquals(
        "other",
        Cluster.as(
                "alice",
                "cd /scratch/mount-it/open; srun --ch-image=mount --ch-mount=../other:/x cat"
                    + " /x/file")
            .text());
  }

  @Test
  void aDestinationThroughALinkOfTheImageStaysInside() {
    assertEquals(
        "open", srun("/scratch/mount-it/open:/link/inside", "cat /etc/inside/file").text());
    assertEquals(0, Cluster.on("n1", "test ! -e /etc/inside").exit());
  }

  @Test
  void destinationsThroughLinksOfTheImageAreShownByBothNames() {
    String mounts = "/relative/a,/dangling/b,/var/run/c,/link/d,/tmp/mount-it";
    String list = "/scratch/mount-it/open:" + mounts.replace(",", ",/scratch/mount-it/open:");
    Cluster.on("n1", "install -d -o alice /tmp/mount-it").text();
    List<String> lines =
        Cluster.as(
                "alice",
                "srun -w n1 --ch-image=mount --ch-mount="
                    + list
                    + " sh -c 'for d in relative/a srv/a dangling/b opt/none/yet/b var/run/c run/c"
                    + " link/d etc/d tmp/mount-it; do cat /$d/file; done; ls /var/tmp'")
            .lines();
    assertEquals(Collections.nCopies(9, "open"), lines);
    Cluster.on("n1", "rmdir /tmp/mount-it").text();
  }

  @Test
  void nothingBelowAReadOnlyMountOfTheWholeNodeCanBeWritten() {
    List<String> lines =
        Cluster.as(
                "alice",
                """
                srun -w n1 --ch-image=mount --ch-mount=/:/host:ro sh -c '
                  grep -o " /host[^ ]* [^ ]*" /proc/self/mountinfo | while read -r place options; do
                    place=$(printf %b "$place")
                    case $options in ro|ro,*) ;; *) echo "$place is $options" ;; esac
                    if test -d "$place" && mkdir "$place/mount-it" 2>/dev/null; then echo "wrote $place"; fi
                    echo seen
                  done
                  for place in /host/tmp /host/scratch "/host$HOME" /host/dev/shm; do
                    touch $place/mount-it 2>&1
                  done
                  true
                '
                """)
            .lines();
    int seen = Collections.frequency(lines, "seen");
    assertTrue(seen > 5, lines.toString());
    assertEquals(Collections.nCopies(seen, "seen"), lines.subList(0, seen));
    assertEquals(4, lines.size() - seen, lines.toString());
    for (String line : lines.subList(seen, lines.size())) {
      assertTrue(line.endsWith(": Read-only file system"), line);
    }
  }

  @Test
  void mountsWithoutAnImageAreRefused() {
    Cluster.as("alice", "srun --ch-mount=/scratch echo ran").refused(1, "--ch-image");
  }

  private static Cluster.Result srun(String mount, String command) {
    return Cluster.as("alice", "srun --ch-image=mount --ch-mount=" + mount + " " + command);
  }
}
