package org.layercake.it;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** Containers that start while their image is still on its way, on n2; its link is slow. */
class InstantStartIT {
  private static final String CONFIG = "/etc/layercake/launcher.conf";

  @BeforeAll
  static void configure() {
    Cluster.on("n2", "cp %1$s %1$s.whole && echo 'instant-start = true' >>%1$s".formatted(CONFIG))
        .text();
    restartLauncher();
  }

  @AfterAll
  static void restore() {
    Cluster.on("n2", "mv %1$s.whole %1$s".formatted(CONFIG)).text();
    restartLauncher();
  }

  @AfterEach
  void endJobs() {
    Cluster.on("head", "ceph osd unset pause").text();
    Cluster.cluster("launcher", "n2", "start").text();
    Cluster.endJobs();
  }

  @Test
  void aStepRunsBeforeItsImageHasArrivedAndWhatArrivesIsTheImage() {
    push("instant-early", 60);
    String cached = cached("instant-early");
    Cluster.withSlowLink(
        "n2",
        () -> {
          assertEquals(
              "ID=layercake-instant-early", run("instant-early", "cat /etc/os-release").text());
          assertNotEquals(
              0, Cluster.on("n2", "test -e " + cached).exit(), "it has arrived already");
        });
    Cluster.await("it has arrived", () -> Cluster.on("n2", "test -e " + cached).exit() == 0);
    Cluster.as("alice", "layercake pull instant-early $HOME/whole").text();
    assertEquals(
        Cluster.as("alice", "sha256sum <$HOME/whole; rm $HOME/whole").text(),
        Cluster.on("n2", "sha256sum <" + cached).text());
    assertEquals("", Cluster.on("n2", "ls /var/cache/layercake/staging").text());
    assertEquals(sums("instant-early"), run("instant-early", SUMS).text());
  }

  @Test
  void whatIsReadWhileItComesIsRightAlsoWithSeveralReaders() {
    push("instant-read", 40);
    Cluster.withSlowLink(
        "n2",
        () -> {
          String out =
              Cluster.as(
                      "alice",
                      "srun -w n2 -n4 -O --ch-image=instant-read sh -c '" + SUMS + "' | sort -u")
                  .text();
          assertEquals(sums("instant-read"), out);
        });
  }

  @Test
  void aReaderWaitsForALauncherThatIsKilledAndComesBack() {
    push("instant-killed", 80);
    Cluster.withSlowLink(
        "n2",
        () -> {
          assertEquals(
              sums("instant-killed"),
              readMeanwhile(
                  "instant-killed",
                  () -> {
                    Cluster.cluster("launcher", "n2", "kill").text();
                    Cluster.cluster("launcher", "n2", "start").text();
                  }));
        });
    String cached = cached("instant-killed");
    Cluster.await(
        "the next launcher has finished it",
        () -> Cluster.on("n2", "test -e " + cached).exit() == 0);
    String log = launcherLog();
    String digest = Images.digest("alice", "instant-killed");
    assertTrue(
        log.lastIndexOf("event=recover ") < log.indexOf("event=fetched digest=" + digest), log);
  }

  @Test
  void aReaderWaitsForCephToComeBack() {
    push("instant-paused", 60);
    Cluster.withSlowLink(
        "n2",
        () -> {
          assertEquals(
              sums("instant-paused"),
              readMeanwhile(
                  "instant-paused",
                  () -> {
                    Cluster.on("head", "ceph osd set pause").text();
                    Cluster.await(
                        "the launcher waits for Ceph",
                        () -> launcherLog().contains("event=fill-waits"));
                    Cluster.on("head", "ceph osd unset pause").text();
                  }));
        });
  }

  @Test
  void aDamagedChunkIsAnIoErrorAndNeverZerosAndTheRestIsRead() {
    push("instant-damaged", 10);
    // The fourth file's bytes are in the middle of the image, whose chunks are named by content.
    Cluster.as(
            "alice",
            """
            set -e; layercake pull instant-damaged $HOME/whole
            rados="rados -n client.layercake.alice --keyring $HOME/.config/layercake/keyring -p layercake -N u.alice"
            damaged=
            for chunk in $($rados ls | grep ^c/); do
              $rados get $chunk $HOME/chunk
              if grep -qF marker-of-file-4 $HOME/chunk; then
                head -c $(stat -c %s $HOME/chunk) /dev/zero | $rados put $chunk -; damaged=$chunk
              fi
            done
            rm $HOME/whole $HOME/chunk; [ "$damaged" ]
            """)
        .text();
    Cluster.Result result =
        run("instant-damaged", "cat /data/4 >/dev/null; cat /data/9 | wc -c; cat /etc/os-release");
    assertTrue(result.err().contains("Input/output error"), result.err());
    assertEquals("1000000\nID=layercake-instant-damaged", result.text());
    assertTrue(launcherLog().contains("event=chunk-lost"));
    Cluster.awaitNoJobs();
    Cluster.await(
        "nothing is left of it",
        () -> Cluster.on("n2", "ls /var/cache/layercake/staging").text().isEmpty());
  }

  @Test
  void anImageThatCannotBeHadAtAllIsRefusedAsEver() {
    run("instant-absent", "true").refused(66, "instant-absent");
    push("instant-gone", 1);
    Cluster.as(
            "alice",
            """
            rados="rados -n client.layercake.alice --keyring $HOME/.config/layercake/keyring -p layercake -N u.alice"
            for chunk in $($rados ls | grep ^c/); do $rados rm $chunk; done
            """)
        .text();
    run("instant-gone", "true").refused(74, "instant-gone", "missing");
  }

  private static final String SUMS =
      "cd /data; for f in $(ls); do read x <$f; echo $f $x $(md5sum <$f); done";

  /**
   * An image with so many files of 1 MB that do not compress, each of which begins with its name.
   */
  private static void push(String name, int files) {
    Images.busybox(
        "alice",
        name,
        """
        ln -s busybox $d/bin/md5sum; mkdir $d/data; i=0
        while [ $i -lt %d ]; do
          { echo marker-of-file-$i; head -c 1000000 /dev/urandom; } | head -c 1000000 >$d/data/$i; i=$((i+1))
        done
        """
            .formatted(files));
  }

  /** What {@link #SUMS} prints, of the files as the image has them in Ceph. */
  private static String sums(String name) {
    return Cluster.as(
            "alice",
            """
            set -e; layercake pull %s $HOME/whole >&2; rm -rf $HOME/tree
            unsquashfs -quiet -no-progress -d $HOME/tree $HOME/whole data >&2
            %s; rm -rf $HOME/tree $HOME/whole
            """
                .formatted(name, SUMS.replace("/data", "$HOME/tree/data")))
        .text();
  }

  /** Does something while a job on n2 reads all files of an image; what it has read. */
  private static String readMeanwhile(String image, Runnable act) {
    Cluster.Result result =
        Cluster.salloc(
            "alice",
            "-w n2 --ch-image=" + image,
            "srun touch $HOME/reading; srun sh -c '" + SUMS + "'",
            () -> {
              Cluster.await(
                  "the step reads", () -> Cluster.as("alice", "test -e $HOME/reading").exit() == 0);
              act.run();
            });
    Cluster.as("alice", "rm $HOME/reading").text();
    return result.text();
  }

  private static Cluster.Result run(String image, String script) {
    return Cluster.as("alice", "srun -w n2 --ch-image=" + image + " sh -c '" + script + "'");
  }

  private static String cached(String image) {
    return "/var/cache/layercake/images/"
        + Images.digest("alice", image).replace("sha256:", "")
        + ".sqfs";
  }

  private static String launcherLog() {
    return Cluster.on("n2", "cat /var/log/layercake-launcher.log").text();
  }

  private static void restartLauncher() {
    Cluster.cluster("launcher", "n2", "stop").text();
    Cluster.cluster("launcher", "n2", "start").text();
  }
}
