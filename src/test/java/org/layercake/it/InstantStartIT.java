package org.layercake.it;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** Containers that start while their image is still on its way, on n2; its link is slow. */
class InstantStartIT {
  @AfterEach
  void endJobs() {
    Cluster.on("head", "ceph osd unset pause").text();
    Cluster.cluster("launcher", "n2", "start").text();
    Cluster.endJobs();
  }

  @Test
  void aStepRunsBeforeItsImageHasArrivedAndWhatArrivesIsTheImage() {
    push("instant-early", 40);
    Cluster.withSlowLink(
        "n2",
        () -> {
          assertEquals(
              "ID=layercake-instant-early", run("instant-early", "cat /etc/os-release").text());
          assertFalse(isCached("instant-early"), "it has arrived already");
        });
    Cluster.await("it has arrived", () -> isCached("instant-early"));
    Cluster.as("alice", "layercake pull instant-early $HOME/whole").text();
    assertEquals(
        Cluster.as("alice", "sha256sum <$HOME/whole; rm $HOME/whole").text(),
        Cluster.on("n2", "sha256sum <" + cached("instant-early")).text());
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
    push("instant-killed", 60);
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
    Cluster.await("the next launcher has finished it", () -> isCached("instant-killed"));
    String log = launcherLog();
    String digest = Images.digest("alice", "instant-killed");
    assertTrue(
        log.lastIndexOf("event=recover ")
            < log.indexOf("event=fetched domain=u.alice digest=" + digest),
        log);
  }

  @Test
  void aReaderWaitsForCephToComeBack() {
    push("instant-paused", 80);
    String digest = Images.digest("alice", "instant-paused"); // while Ceph still tells
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
                        "the launcher waits for Ceph", () -> isLogged("fill-waits", digest));
                    Cluster.on("head", "ceph osd unset pause").text();
                  }));
        });
  }

  @Test
  void cephGoneForLongerThanTheLimitIsAnIoErrorAndNeverZeros() {
    outlast(
        "instant-gone-ceph",
        () -> Cluster.on("head", "ceph osd set pause").text(),
        () -> Cluster.on("head", "ceph osd unset pause").text());
  }

  @Test
  void aLauncherGoneForLongerThanTheLimitIsAnIoErrorAndTheNextOneSaysSo() {
    outlast(
        "instant-gone-launcher",
        () -> Cluster.cluster("launcher", "n2", "kill").text(),
        () -> Cluster.cluster("launcher", "n2", "start").text());
  }

  /** A job on n2 reads while something has been undone for longer than reads wait, and after. */
  private static void outlast(String image, Runnable end, Runnable begin) {
    push(image, 60);
    String script =
        """
        srun sh -c '
          touch $HOME/entered; until [ -e $HOME/ended ]; do sleep 0.1; done
          for f in /data/*; do cat $f >/dev/null || exit 7; done'
        echo exit $?
        touch $HOME/failed; until [ -e $HOME/begun ]; do sleep 0.1; done
        srun sh -c '%s'; rm $HOME/entered $HOME/ended $HOME/failed $HOME/begun
        """
            .formatted(SUMS);
    Runnable meanwhile =
        () -> {
          awaitFile("entered");
          end.run();
          Cluster.as("alice", "touch $HOME/ended").text();
          awaitFile("failed");
          begin.run();
          Cluster.speedUp("n2");
          Cluster.as("alice", "touch $HOME/begun").text();
        };
    Cluster.withSlowLink(
        "n2",
        () ->
            Cluster.withSettings(
                "n2",
                "read-timeout = 3",
                () -> {
                  Cluster.Result result =
                      Cluster.salloc("alice", "-w n2 --ch-image=" + image, script, meanwhile);
                  assertTrue(result.err().contains("Input/output error"), result.err());
                  assertEquals("exit 7\n" + sums(image), result.text());
                  Cluster.await(
                      "the log says so",
                      () -> isLogged("read-failed", Images.digest("alice", image)));
                }));
  }

  private static void awaitFile(String name) {
    Cluster.await(
        "there is " + name, () -> Cluster.as("alice", "test -e $HOME/" + name).exit() == 0);
  }

  @Test
  void whatStartsHaveReadComesFirstTheNextTime() {
    push("instant-again", 60);
    String digest = Images.digest("alice", "instant-again").replace("sha256:", "");
    Cluster.withSlowLink(
        "n2", () -> run("instant-again", "cat /data/5 /data/17 /data/33 >/dev/null").text());
    Cluster.await(
        "what was read is recorded",
        () ->
            launcherLog().contains("event=start-recorded domain=u.alice digest=sha256:" + digest));
    Cluster.awaitNoJobs();
    Cluster.on("n2", "rm " + cached("instant-again")).text();
    Cluster.withSlowLink(
        "n2",
        () -> {
          run("instant-again", "true").text();
          String there =
              "grep -aoE 'marker-of-file-[0-9]+' %s | sort -u"
                  .formatted(Images.staged("n2", "alice", "instant-again"));
          List<String> markers = new ArrayList<>();
          Cluster.await(
              "the first are there",
              () -> {
                markers.clear();
                markers.addAll(Cluster.on("n2", there).out().lines().toList());
                return markers.containsAll(
                    List.of("marker-of-file-5", "marker-of-file-17", "marker-of-file-33"));
              });
          assertTrue(markers.size() < 30, markers.toString());
        });
  }

  @Test
  void aNewVersionIsMadeOfTheOldOneAndWhatHasChanged() {
    push("instant-old", 20);
    run("instant-old", "true").text();
    Cluster.await("the old one is there", () -> isCached("instant-old"));
    Cluster.as(
            "alice",
            """
            set -e; layercake pull instant-old $HOME/old; unsquashfs -quiet -no-progress -d $HOME/tree $HOME/old
            echo changed >$HOME/tree/data/7; layercake push $HOME/tree instant-new; rm -rf $HOME/tree $HOME/old
            """)
        .text();
    assertEquals("changed", run("instant-new", "cat /data/7").text());
    Cluster.await("the new one is there", () -> isCached("instant-new"));
    Matcher fetched =
        Pattern.compile("event=fetched .* image=alice/instant-new\\S* bytes=(\\d+) copied=(\\d+)")
            .matcher(launcherLog());
    assertTrue(fetched.find());
    assertTrue(
        Long.parseLong(fetched.group(2)) > Long.parseLong(fetched.group(1)) / 2, fetched.group());
    assertEquals(sums("instant-new"), run("instant-new", SUMS).text());
  }

  private static boolean isCached(String image) {
    return !cached(image).isEmpty();
  }

  @Test
  void aSiteMayHaveItsUsersWaitForTheWholeImage() {
    push("instant-not", 20);
    Cluster.withSettings(
        "n2",
        "instant-start = false",
        () ->
            Cluster.withSlowLink(
                "n2",
                () -> {
                  run("instant-not", "true").text();
                  assertTrue(isCached("instant-not"));
                }));
  }

  @Test
  void aDamagedChunkIsAnIoErrorAndNeverZerosAndTheRestIsRead() {
    List<String> others = Images.rados("alice", "ls").lines();
    push("instant-damaged", 10);
    // The fourth file's bytes are in the middle of the image, whose chunks are named by content.
    List<String> chunks = new ArrayList<>(Images.rados("alice", "ls").lines());
    chunks.removeAll(others);
    chunks.removeIf(object -> !object.startsWith("c/"));
    for (String chunk : chunks) {
      Images.rados("alice", "get " + chunk + " $HOME/chunk").text();
      if (Cluster.as("alice", "grep -qF marker-of-file-4 $HOME/chunk").exit() == 0) {
        Cluster.as("alice", "dd if=/dev/zero of=$HOME/zeros bs=$(stat -c %s $HOME/chunk) count=1")
            .text();
        Images.rados("alice", "put " + chunk + " $HOME/zeros").text();
      }
    }
    Cluster.Result result =
        run("instant-damaged", "cat /data/4 >/dev/null; cat /data/9 | wc -c; cat /etc/os-release");
    assertTrue(result.err().contains("Input/output error"), result.err());
    assertEquals("1000000\nID=layercake-instant-damaged", result.text());
    assertTrue(isLogged("chunk-lost", Images.digest("alice", "instant-damaged")));
    Cluster.awaitNoJobs();
    Cluster.await(
        "nothing is left of it",
        () -> Cluster.on("n2", "ls /var/cache/layercake/staging").text().isEmpty());
  }

  @Test
  void anImageThatCannotBeHadAtAllIsRefusedAsEver() {
    run("instant-absent", "true").refused(66, "instant-absent");
    List<String> others = Images.rados("alice", "ls").lines();
    push("instant-gone", 1);
    Cluster.awaitNoJobs();
    Cluster.on("n2", "rm -f /var/cache/layercake/images/*").text(); // they have parts of it
    List<String> chunks = new ArrayList<>(Images.rados("alice", "ls").lines());
    chunks.removeAll(others); // which are other tests'
    chunks.removeIf(object -> !object.startsWith("c/"));
    Images.rados("alice", "rm " + String.join(" ", chunks)).text();
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

  /** Does something while a job on n2 slowly reads all files of an image; what it has read. */
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
              Cluster.speedUp("n2");
            });
    Cluster.as("alice", "rm $HOME/reading").text();
    return result.text();
  }

  private static Cluster.Result run(String image, String script) {
    return Cluster.as("alice", "srun -w n2 --ch-image=" + image + " sh -c '" + script + "'");
  }

  private static String cached(String image) {
    return Images.cached("n2", "alice", image);
  }

  private static boolean isLogged(String event, String digest) {
    return launcherLog().contains("event=" + event + " domain=u.alice digest=" + digest);
  }

  private static String launcherLog() {
    return Cluster.on("n2", "cat /var/log/layercake-launcher.log").text();
  }
}
