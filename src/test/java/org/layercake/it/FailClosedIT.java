package org.layercake.it;

import static org.junit.jupiter.api.Assertions.assertEquals;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Whatever is missing or broken: one line, the documented exit code, no task, no drained node. */
class FailClosedIT {
  @BeforeAll
  static void pushImage() {
    Images.busybox("alice", "closed", "");
  }

  @AfterEach
  void noNodeIsDrained() {
    Cluster.assertNodesAreWell();
  }

  @Test
  void anUnknownImageIsSaidWithWhereItWasSoughtAndNearNames() {
    srun("closd").refused(66, "closd", "closed", "site");
  }

  @Test
  void severalTasksSayItOncePerNode() {
    Cluster.as("alice", "srun -n2 -N1 --ch-image=closd cat /etc/os-release").refused(66, "closd");
  }

  @Test
  void aStoppedLauncherRunsNothingOnTheHost() {
    assertEquals(0, Cluster.cluster("launcher", "n1", "stop").exit());
    try {
      srun("closed").refused(69, "launcher");
    } finally {
      assertEquals(0, Cluster.cluster("launcher", "n1", "start").exit());
    }
    assertEquals("ID=layercake-closed", srun("closed").text());
  }

  @Test
  void aMissingChRunIsSaid() {
    Cluster.on("n1", "mount --bind /dev/null /usr/bin/ch-run").text();
    try {
      srun("closed").refused(78, "ch-run");
    } finally {
      Cluster.on("n1", "umount /usr/bin/ch-run").text();
    }
  }

  @Test
  void aFullCacheDiskIsSaid() {
    Images.busybox("alice", "big", "head -c 8000000 /dev/urandom >\"$d/big\"");
    Cluster.on("n1", "mount -t tmpfs -o size=1m tmpfs /var/cache/layercake/staging").text();
    try {
      srun("big").refused(73, "cache");
    } finally {
      Cluster.on("n1", "umount /var/cache/layercake/staging").text();
    }
    assertEquals("ID=layercake-big", srun("big").text());
  }

  @Test
  void aCorruptChunkIsRefused() {
    String chunks = Images.rados("alice", "ls").text();
    Images.busybox("alice", "corrupt", "head -c 100000 /dev/urandom >$d/big");
    for (String object : Images.rados("alice", "ls").lines()) {
      if (object.startsWith("c/") && !chunks.contains(object)) {
        Images.rados("alice", "get " + object + " $HOME/chunk").text();
        Cluster.as("alice", "printf X | dd of=$HOME/chunk bs=1 seek=100 conv=notrunc").text();
        Images.rados("alice", "put " + object + " $HOME/chunk").text();
      }
    }
    srun("corrupt").refused(74, "corrupt");
  }

  @Test
  void noiseBehindAWholeHeaderIsNotPushed() {
    Cluster.as(
            "alice",
            """
            mkdir -p $HOME/garbage; echo x >$HOME/garbage/file
            mksquashfs $HOME/garbage $HOME/good.sqfs -noappend -quiet -no-progress >/dev/null
            (head -c 96 $HOME/good.sqfs; head -c 400000 /dev/urandom) >$HOME/garbage.sqfs
            layercake push $HOME/garbage.sqfs garbage
            """)
        .refused(65, "garbage.sqfs");
    assertEquals(66, Cluster.as("alice", "layercake inspect garbage").exit());
  }

  @ParameterizedTest
  @CsvSource({
    "image=closed;mount=/etc:/x/../../y:ro, /x/../../y",
    "image=, SLURM_LAYERCAKE_SPEC needs an image",
    "x, \"x\"",
    "image=closed;root=9, root=9",
    "image=%00, image=%00"
  })
  void aHostileSpecIsRefused(String spec, String word) {
    Cluster.as(
            "alice",
            "salloc -Q -N1 -w n1 env SLURM_LAYERCAKE_SPEC='" + spec + "' srun cat /etc/os-release")
        .refused(1, word);
  }

  @Test
  void whatTheEnvironmentClaimsForThePrologDoesNotCount() {
    String claims =
        "export SPANK_LAYERCAKE_SPEC='image=closed;mount=/:/x:zz';"
            + " srun --ch-image=closed cat /etc/os-release";
    assertEquals("ID=layercake-closed", Cluster.as("alice", claims).text());
  }

  @Test
  void aStoppedStoreIsSaidInBoundedTimeAndComesBack() {
    Images.busybox("alice", "unreachable", "echo unique-$$ >\"$d/etc/unique\"");
    Cluster.on("head", "ceph osd pause").text();
    try {
      // Clients obey a pause once they have the map, which an OSD gives them with some answer.
      Cluster.await("the launcher has heard of it", () -> srun("no-such-image").exit() == 75);
      srun("unreachable").refused(75, "Ceph");
    } finally {
      Cluster.on("head", "ceph osd unpause").text();
    }
    assertEquals("ID=layercake-unreachable", srun("unreachable").text());
  }

  /** A task says where it runs. */
  private static Cluster.Result srun(String image) {
    return Cluster.as("alice", "srun -w n1 --ch-image=" + image + " cat /etc/os-release");
  }
}
