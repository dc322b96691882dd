package org.layercake.it;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** {@code --ch-mount}: devices and file systems, read-only, escaped, added up, refused. */
class MountIT {
  @BeforeAll
  static void pushImageAndMakeSources() {
    Images.busybox("alice", "mount", "ln -s /etc \"$d/link\"");
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
    "/scratch:/etc/os-release, 64, /etc/os-release"
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
    "/scratch:/, /"
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
  void mountsWithoutAnImageAreRefused() {
    Cluster.as("alice", "srun --ch-mount=/scratch echo ran").refused(1, "--ch-image");
  }

  private static Cluster.Result srun(String mount, String command) {
    return Cluster.as("alice", "srun --ch-image=mount --ch-mount=" + mount + " " + command);
  }
}
