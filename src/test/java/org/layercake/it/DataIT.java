package org.layercake.it;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** {@code --ch-mount=image:…}: data sets of the store, beside the image that reads them. */
class DataIT {
  private static final String PUSH =
      """
      set -e; d=$HOME/numbers; rm -rf $d; mkdir -p $d/deep
      head -c 3000000 /dev/urandom >$d/deep/large; echo %1$s >$d/version; chmod 600 $d/version
      cd $d; find . -type f -exec sha256sum {} + >$HOME/numbers.sums
      layercake push --data $d %2$s; rm -r $d
      """;
  private static final String CHECK =
      "sh -c 'cd /data/it && /bin/busybox sha256sum -c '$HOME'/numbers.sums >/dev/null && echo right'";

  @BeforeAll
  static void push() {
    Images.busybox("alice", "reader", "");
    Images.busybox("bob", "reader", "");
    pushNumbers("first");
  }

  private static void pushNumbers(String version) {
    Cluster.as("alice", PUSH.formatted(version, "numbers:1")).text();
  }

  @AfterEach
  void noMountIsLeft() {
    Cluster.endJobs();
    for (String node : List.of("n1", "n2")) {
      String left = "grep -c /run/layercake/images/ /proc/mounts; pgrep -x imageserver";
      Cluster.await("no image is left", () -> Cluster.on(node, left).out().strip().equals("0"));
    }
  }

  @Test
  void allNodesAndSessionsReadTheSameBytesAndNobodyWritesThem() {
    pushNumbers("first");
    Cluster.Result result =
        Cluster.salloc(
            "alice",
            "-N2 --ch-image=reader --ch-writable --ch-mount=image:numbers:1:/data/it",
            """
            srun %s
            ssh n2 cat /data/it/version
            srun -N1 -w n1 --ch-root sh -c 'rm /data/it/version; echo x >/x'
            srun --ch-image=none -N1 -w n1 layercake save reader:saved >/dev/null
            """
                .formatted(CHECK));
    assertEquals("right\nright\nfirst", result.out().strip(), result.err());
    assertTrue(result.err().contains("Read-only file system"), result.err());
    String saved = "srun --ch-image=reader:saved sh -c 'cat /x; ls -A /data/it'";
    assertEquals("x", Cluster.as("alice", saved).text());
    Cluster.as("alice", "layercake rm reader:saved").text();
  }

  @Test
  void onlyThoseReadThemWithWhomTheyAreShared() {
    String read = "srun --ch-image=reader --ch-mount=image:alice/numbers:1:/d head -c5 /d/version";
    Cluster.as("bob", read).refused(77, "alice/numbers");
    Cluster.as("alice", "layercake share numbers --with bob").text();
    try {
      assertEquals("first", Cluster.as("bob", read).text());
    } finally {
      Cluster.as("alice", "layercake unshare numbers").text();
    }
    Cluster.as("bob", read).refused(77, "alice/numbers");
  }

  @ParameterizedTest
  @CsvSource({
    "image:numbers:2:/d, 66, 'cannot find image \"numbers:2\"'",
    "image:numbers:1:/etc/os-release, 64, /etc/os-release",
    "image:numbers:1:/sys/none, 64, /sys/none",
    "image:numbers:1:/d:rw, 1, an image can only be mounted read-only"
  })
  void whatCannotBeIsRefusedInOneLine(String mount, int code, String word) {
    String option = " --ch-image=reader --ch-mount=" + mount;
    Cluster.as("alice", "srun" + option + " echo ran").refused(code, word);
    if (code == 66) {
      Cluster.as("alice", "sbatch -H" + option + " --wrap true").refused(code, word);
    }
  }

  @Test
  void aJobReadsOneVersionThoughTheTagMovesTheLauncherIsKilledAndTheServersDie() {
    String out =
        Cluster.sallocAround(
                "alice",
                "-w n1 --ch-image=reader --ch-mount=image:numbers:1:/data/it",
                () -> {
                  String servers = "pgrep -x imageserver | sort";
                  String before = Cluster.on("n1", servers).text();
                  Cluster.cluster("launcher", "n1", "kill").text();
                  pushNumbers("second");
                  Cluster.cluster("launcher", "n1", "start").text();
                  assertEquals("first", read());
                  assertEquals(before, Cluster.on("n1", servers).text());
                  Cluster.on("n1", "pkill -KILL -x imageserver").text();
                },
                "srun cat /data/it/version; srun --ch-mount=/scratch cat /data/it/version")
            .text();
    assertEquals("first\nfirst", out);
    assertEquals(
        "second",
        Cluster.as("alice", "srun --ch-image=reader --ch-mount=image:numbers:1:/d cat /d/version")
            .text());
  }

  /** In the job that runs. */
  private static String read() {
    String job = "--overlap --jobid=$(squeue -h --me -o %i) ";
    return Cluster.as("alice", "srun " + job + "cat /data/it/version").text();
  }

  @Test
  void aSiteShowsADataSetToAllOrLeavesItOut() {
    String site = "site-mounts = image:alice/numbers:1:/data/site:ro,image:site/none-such:/n:ro";
    pushNumbers("first");
    Cluster.as("alice", "layercake share numbers --with bob").text();
    try {
      Cluster.withSettings(
          "n1",
          site,
          () -> {
            String read = "srun -w n1 --ch-image=reader cat /data/site/version";
            assertEquals("first", Cluster.as("bob", read).text());
            assertEquals("first", Cluster.as("alice", read).text());
            String log = "grep -cE 'event=%s.* image=%s' /var/log/layercake-launcher.log";
            String absent = log.formatted("site-image-left-out", "site/none-such");
            assertEquals("2", Cluster.on("n1", absent).text());
            String there = log.formatted("data", "alice/numbers:1 digest=sha256:");
            assertTrue(Integer.parseInt(Cluster.on("n1", there).text()) >= 2);
          });
    } finally {
      Cluster.as("alice", "layercake unshare numbers").text();
    }
  }
}
