package org.layercake.it;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** What is in an image belongs to its user, and with {@code --ch-writable} can be changed. */
class WritableIT {
  private static final String DISK = "/var/lib/layercake-changes";

  @BeforeAll
  static void pushImages() {
    Images.busybox(
        "alice",
        "own",
        """
        mkdir -m 700 "$d/closed"; echo kept >"$d/closed/file"
        echo of the image >"$d/etc/changed"; chmod 600 "$d/etc/changed"
        for applet in rm mv ln chmod cp; do ln -s busybox "$d/bin/$applet"; done
        """);
    Cluster.as("alice", "layercake share own --with bob").text();
  }

  @AfterEach
  void nothingIsLeft() {
    Cluster.awaitNoJobs();
    Cluster.assertNodesAreWell();
    for (String node : List.of("n1", "n2")) {
      Cluster.await(
          "no changes are left on " + node,
          () -> Cluster.on(node, "ls /run/layercake/changes").text().isEmpty());
      assertEquals("", Cluster.on(node, "grep /run/layercake/changes /proc/mounts || :").text());
    }
  }

  @Test
  void filesOfAnImageAreTheUsersWhoeverRunsIt() {
    String look = "sh -c 'stat -c %u:%g / /closed/file /bin; cat /closed/file /etc/changed'";
    for (String user : List.of("alice", "bob")) {
      String own = Cluster.as(user, "echo $(id -u):$(id -g)").text();
      assertEquals(
          List.of(own, own, own, "kept", "of the image"),
          Cluster.as(user, "srun --ch-image=alice/own " + look).lines());
      assertEquals(
          List.of("0:0", "0:0", "0:0", "kept", "of the image"),
          Cluster.as(user, "srun --ch-image=alice/own --ch-root " + look).lines());
    }
  }

  @Test
  void changesAreSeenByAllStepsAndSessionsOfTheJobOnTheirNode() {
    String out =
        Cluster.salloc(
                "alice",
                "-N2 --ch-image=own --ch-writable",
                """
                srun -N1 -w n1 sh -c 'echo changed >/etc/changed; mkdir /made; rm /closed/file; mv /closed /open'
                srun -N1 -w n1 sh -c 'cat /etc/changed; ls -d /made /open'
                srun -N1 -w n1 --ch-mount=/scratch:/new/place sh -c 'cat /etc/changed; echo again >/etc/changed'
                ssh n1 'cat /etc/changed'
                srun -N1 -w n2 cat /etc/changed /closed/file
                """)
            .text();
    assertEquals("changed\n/made\n/open\nchanged\nagain\nof the image\nkept", out);
  }

  @Test
  void neitherAnotherJobNorAnotherUserNorTheImageSeesThem() {
    String before = Cluster.as("alice", "layercake verify own").text();
    String change =
        "srun -w n1 --ch-image=alice/own --ch-writable"
            + " sh -c 'cat /etc/changed; echo other >/etc/changed; cat /etc/changed'";
    String mine =
        changedAround(
            () -> {
              for (String user : List.of("alice", "bob")) {
                assertEquals("of the image\nother", Cluster.as(user, change).text());
              }
            });
    assertEquals("mine", mine);
    assertEquals(
        "of the image", Cluster.as("alice", "srun -w n1 --ch-image=own cat /etc/changed").text());
    assertEquals(before, Cluster.as("alice", "layercake verify own").text());
  }

  @Test
  void withoutTheOptionNothingCanBeChanged() {
    Cluster.Result result =
        Cluster.as("alice", "srun -Q --ch-image=own sh -c 'echo changed >/etc/changed'");
    assertTrue(result.err().contains("Read-only file system"), result.err());
  }

  @Test
  void whenRoomRunsOutTheProgramIsTold() {
    Cluster.Result result =
        Cluster.as(
            "alice",
            "srun -Q -w n1 --ch-image=own --ch-writable=8M dd if=/dev/zero of=/large bs=1024k count=20");
    assertEquals(1, result.exit(), result.err());
    assertTrue(result.err().contains("No space left on device"), result.err());
  }

  @Test
  void theSizeIsTheVariables() {
    String look = "export SLURM_CH_IMAGE=own SLURM_CH_WRITABLE=16M; srun stat -f -c '%S %b' /";
    long blockBytes = Long.parseLong(Cluster.as("alice", look.replace(" %b", "")).text());
    assertEquals(blockBytes + " " + (16L << 20) / blockBytes, Cluster.as("alice", look).text());
  }

  @Test
  void changesOutliveTheLauncherAndTheImagesServer() {
    String mine =
        changedAround(
            () -> {
              Cluster.cluster("launcher", "n1", "kill").text();
              Cluster.cluster("launcher", "n1", "start").text();
              Cluster.on("n1", "pkill -KILL -x imageserver").text();
            });
    assertEquals("mine", mine);
  }

  /** What a job finds that has changed a file, when something else has happened meanwhile. */
  private static String changedAround(Runnable act) {
    Cluster.Result result =
        Cluster.salloc(
            "alice",
            "-w n1 --ch-image=own --ch-writable",
            """
            srun sh -c 'echo mine >/etc/changed' && touch $HOME/changed
            until [ -e $HOME/acted ]; do sleep 0.1; done
            srun cat /etc/changed
            """,
            () -> {
              Cluster.await(
                  "it is changed", () -> Cluster.as("alice", "test -e $HOME/changed").exit() == 0);
              act.run();
              Cluster.as("alice", "touch $HOME/acted").text();
            });
    Cluster.as("alice", "rm $HOME/changed $HOME/acted").text();
    return result.text();
  }

  @Test
  void onADiskOfTheSiteTheyAreTheSameAndGoWithTheirJob() {
    onADisk(
        () -> {
          String out =
              Cluster.salloc(
                      "alice",
                      "-N2 --ch-image=own --ch-writable=512M",
                      """
                      srun -N1 -w n1 sh -c 'echo changed >/etc/changed; rm /closed/file; mv /closed /open'
                      ssh n1 'cat /etc/changed; ls -d /open; chmod 700 /open; stat -c %a:%U /open'
                      srun -N1 -w n2 cat /etc/changed /closed/file
                      srun --ch-image=none -N1 -w n1 layercake save own:disk >/dev/null
                      """)
                  .text();
          assertEquals("changed\n/open\n700:alice\nof the image\nkept", out);
          assertEquals(
              "changed", Cluster.as("alice", "srun --ch-image=own:disk cat /etc/changed").text());
          neitherAnotherJobNorAnotherUserNorTheImageSeesThem();
          changesOutliveTheLauncherAndTheImagesServer();
          whenRoomRunsOutTheProgramIsTold();
          Cluster.as("alice", "srun -w n1 --ch-image=own --ch-writable=900T true")
              .refused(73, "943718400 MiB of changes", "run elsewhere");
          Cluster.as("alice", "layercake rm own:disk").text();
        });
  }

  @Test
  void nothingIsLeftOnADiskWhenLauncherAndJobEndTogether() {
    onADisk(
        () -> {
          Cluster.sallocAround(
                  "alice",
                  "-w n1 --ch-image=own --ch-writable=512M",
                  () -> {
                    assertEquals(1, loopDevices());
                    Cluster.cluster("launcher", "n1", "kill").text();
                  },
                  "true")
              .text();
          Cluster.awaitNoJobs();
          Cluster.cluster("launcher", "n1", "start").text();
        });
  }

  /** Does something while n1 keeps changes on a disk, of which nothing may be left then. */
  private static void onADisk(Runnable act) {
    Cluster.on("n1", "install -d -m 700 " + DISK).text();
    Cluster.withSettings(
        "n1",
        "writable-directory = " + DISK,
        () -> {
          act.run();
          Cluster.await("no loop device is used", () -> loopDevices() == 0);
        });
    assertEquals("", Cluster.on("n1", "ls -A " + DISK + "; rmdir " + DISK).text());
  }

  private static int loopDevices() {
    String files = "cat /sys/block/loop*/loop/backing_file 2>/dev/null | grep -c " + DISK;
    return Integer.parseInt(Cluster.on("n1", files + " || :").text());
  }

  @Test
  void aDirectoryThatOthersMayWriteToIsRefusedAtTheLaunchersStart() {
    Cluster.Result refused =
        Cluster.on(
            "n1",
            """
            cp /etc/layercake/launcher.conf /tmp/refused.conf
            echo writable-directory = /tmp >>/tmp/refused.conf
            layercake-launcher /tmp/refused.conf; code=$?; rm /tmp/refused.conf; exit $code
            """);
    assertEquals(78, refused.exit(), refused.toString());
    assertEquals(1, refused.err().lines().count(), refused.err());
    assertTrue(refused.err().contains("writable-directory \"/tmp\" is not safe"), refused.err());
  }

  @Test
  void whatCannotBeIsRefusedBeforeTheJob() {
    Cluster.as("alice", "srun --ch-writable true").refused(1, "--ch-writable needs an image");
    Cluster.as("alice", "srun --ch-image=own --ch-writable=4 true").refused(1, "512M or 4G");
    Cluster.as("alice", "SLURM_CH_WRITABLE=yes srun --ch-image=own true").refused(1, "512M or 4G");
  }

  @Test
  void moreThanTheJobsMemoryIsRefusedOnTheNode() {
    Cluster.as("alice", "srun --ch-image=own --ch-writable=900T true")
        .refused(64, "943718400 MiB of changes", "--mem");
  }

  @Test
  void aSavedContainerIsAnImageThatOtherJobsRun() {
    String said =
        Cluster.salloc(
                "alice",
                "-w n1 --ch-image=own --ch-writable",
                """
                srun sh -c 'echo changed >/etc/changed; mkdir /made; echo new >/made/file; rm /closed/file'
                srun --ch-image=none layercake save own:saved
                """)
            .text();
    assertTrue(said.startsWith("on n1: pushed alice/own:saved@sha256:"), said);
    String look = "sh -c 'cat /etc/changed /made/file; ls /closed $HOME; stat -c %u /made'";
    String uid = Cluster.as("alice", "id -u").text();
    Cluster.as("alice", "mkdir -p $HOME/of-the-node").text();
    String found = Cluster.as("alice", "srun --ch-image=own:saved " + look).text();
    assertTrue(found.startsWith("changed\nnew\n"), found);
    assertTrue(found.endsWith("\n" + uid), found);
    assertEquals(
        "of the image", Cluster.as("alice", "srun --ch-image=own cat /etc/changed").text());
    String inspected = Cluster.as("alice", "layercake inspect own:saved").text();
    assertTrue(inspected.contains("alice/own@" + Images.digest("alice", "own")), inspected);
    Cluster.as("alice", "layercake rm own:saved; rmdir $HOME/of-the-node").text();
  }

  @Test
  void whatCannotHaveChangedIsNotSaved() {
    String save = "layercake save own:none";
    Cluster.as("alice", save).refused(64, "not in a job", "srun --ch-image=none");
    Cluster.as("alice", "srun -Q -w n1 " + save).refused(66, "no container on this node");
    Cluster.salloc("alice", "-w n1 --ch-image=own", "srun true; srun -Q --ch-image=none " + save)
        .refused(64, "--ch-writable");
    Cluster.as("alice", "layercake inspect own:none").refused(66, "own:none");
  }
}
