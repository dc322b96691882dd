package org.layercake.it;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/**
 * What becomes of images when they are removed, collected, pushed by several at once, or when there
 * is no room.
 */
class SpaceIT {
  private static final String POOL = "space-it";

  /**
   * A pool of its own, with two copies and a mgr that counts, and alice's and bob's keys for it.
   */
  @BeforeAll
  static void preparePool() {
    Cluster.on(
            "head",
            """
            set -e
            mkdir -p /var/lib/ceph/mgr/ceph-it
            ceph auth get-or-create mgr.it mon 'allow profile mgr' osd 'allow *' >/var/lib/ceph/mgr/ceph-it/keyring
            ceph-mgr -i it --mgr_initial_modules= --pid-file /run/ceph/mgr.it.pid
            ceph osd pool create POOL 16 && ceph osd pool set POOL size 2
            ceph osd pool application enable POOL layercake
            """
                .replace("POOL", POOL))
        .text();
    for (String user : List.of("alice", "bob")) {
      String keyring =
          Cluster.on(
                  "head",
                  "ceph auth get-or-create client.it.%1$s mon 'allow r' osd 'allow rw pool=%2$s namespace=u.%1$s, allow rw pool=%2$s namespace=site'"
                      .formatted(user, POOL))
              .text();
      Cluster.as(
              user,
              """
              umask 077; cat >$HOME/space-it.keyring <<'KEY'
              %s
              KEY
              printf 'pool = %s\\nclient = client.it.%s\\nkeyring = %%s\\n' $HOME/space-it.keyring >$HOME/space-it.conf
              """
                  .formatted(keyring, POOL, user))
          .text();
    }
  }

  @AfterAll
  static void removePool() {
    Cluster.on(
            "head",
            """
            kill $(cat /run/ceph/mgr.it.pid)
            ceph tell 'mon.*' injectargs --mon-allow-pool-delete=true
            ceph osd pool rm POOL POOL --yes-i-really-really-mean-it
            for user in alice bob; do ceph auth rm client.it.$user; done
            ceph auth rm mgr.it
            ceph osd pool rm device_health_metrics device_health_metrics --yes-i-really-really-mean-it
            rm -r /var/lib/ceph/mgr
            """
                .replace("POOL", POOL))
        .text();
    for (String user : List.of("alice", "bob")) {
      Cluster.as(user, "rm -rf $HOME/space-it*").text();
    }
  }

  @Test
  void gcGivesBackWhatHasNoTagAfterItsGraceAndTheRunningJobGoesOn() {
    Images.busybox("alice", "kept", "head -c 3000000 /dev/urandom >$d/data");
    Images.busybox("alice", "gone", "head -c 3000000 /dev/urandom >$d/data");
    String out =
        Cluster.sallocAround(
                "alice",
                "-w n1 --ch-image=gone",
                () -> {
                  Cluster.as("alice", "layercake rm gone").text();
                  String waiting = Cluster.as("alice", "layercake gc").text();
                  assertTrue(waiting.matches("alice: gave back .*; .* more after .*"), waiting);
                  age("alice", 8);
                  String given = Cluster.as("alice", "layercake gc").text();
                  assertTrue(
                      given.matches("alice: gave back [0-9.]+ MB of [0-9]+ images.*"), given);
                },
                "srun sh -c 'cat /etc/os-release; wc -c </data'")
            .text();
    assertEquals("ID=layercake-gone\n3000000", out);
    Cluster.as("alice", "layercake verify kept").text();
    Cluster.as("alice", "srun --ch-image=gone true").refused(66, "gone");
  }

  @Test
  void anAdministratorCollectsAllDomainsAtOnce() {
    Images.busybox("alice", "all-kept", "");
    Images.busybox("bob", "all-gone", "head -c 3000000 /dev/urandom >$d/data");
    Cluster.as("bob", "layercake rm all-gone").text();
    age("bob", 8);
    String line =
        Cluster.as(
                "root",
                "printf 'client = client.admin\\nkeyring = /layercake-cluster/keys/client.admin\\n' >$HOME/gc.conf;"
                    + " LAYERCAKE_CONFIG=$HOME/gc.conf layercake gc --all; rm $HOME/gc.conf")
            .text();
    assertTrue(line.matches("(?s).*bob: gave back [0-9.]+ MB of .*"), line);
    Cluster.as("alice", "layercake verify all-kept").text();
  }

  @Test
  void ofTwoUsersWhoPushTheSameTagAtTheSameMomentOneIsToldAndTheTagIsWhole() {
    for (String user : List.of("alice", "bob")) {
      Cluster.as(
              user,
              "mkdir -p $HOME/space-it/race && head -c 2000000 /dev/urandom >$HOME/space-it/race/data")
          .text();
    }
    List<CompletableFuture<Cluster.Result>> pushes = new ArrayList<>();
    for (String user : List.of("alice", "bob", "alice", "bob")) {
      pushes.add(
          CompletableFuture.supplyAsync(
              () -> own(user, "layercake push --data $HOME/space-it/race site/race")));
    }
    int pushed = 0;
    for (CompletableFuture<Cluster.Result> push : pushes) {
      Cluster.Result result = push.join();
      if (result.exit() == 0) {
        pushed++;
      } else {
        result.refused(75, "site/race", "try again");
      }
    }
    assertTrue(pushed > 0);
    own("bob", "layercake verify site/race").text();
  }

  @Test
  void aPushBesideRemovalsEndsWithAWholeImageOrNone() {
    own(
            "alice",
            "mkdir -p $HOME/space-it/rm && head -c 2000000 /dev/urandom >$HOME/space-it/rm/data")
        .text();
    CompletableFuture<Cluster.Result> removals =
        CompletableFuture.supplyAsync(
            () -> own("alice", "for i in 1 2 3 4; do layercake rm contested; done"));
    for (int i = 0; i < 3; i++) {
      Cluster.Result push = own("alice", "layercake push --data $HOME/space-it/rm contested");
      if (push.exit() != 0) {
        push.refused(75, "contested", "try again");
      }
    }
    removals.join();
    if (own("alice", "layercake inspect contested").exit() == 0) {
      own("alice", "layercake verify contested").text();
    }
    own("alice", "layercake push --data $HOME/space-it/rm contested && layercake verify contested")
        .text();
  }

  @Test
  void aPushIntoAPoolThatFillsUpIsToldSoAndGoesOnWhenThereIsRoom() {
    Cluster.Result[] push = new Cluster.Result[1];
    withSlowUpload(
        () -> {
          CompletableFuture<Cluster.Result> under = startPush("filling");
          Cluster.on("head", "ceph osd pool set-quota " + POOL + " max_bytes 1000000").text();
          push[0] = under.join();
        });
    push[0].refused(73, "the Ceph pool is full");
    assertEquals(66, own("alice", "layercake inspect filling").exit());
    Cluster.Result another = own("alice", "layercake push --data $HOME/space-it another");
    another.refused(73, "the Ceph pool is full");
    assertTrue(!another.err().contains("packing"), "before it packs: " + another.err());
    // A full pool still lets go.
    own("alice", "layercake gc").text();
    Cluster.on("head", "ceph osd pool set-quota " + POOL + " max_bytes 1000000000").text();
    Cluster.await(
        "the pool has room",
        () -> Cluster.on("head", "ceph osd pool ls detail | grep 'full_quota'").exit() != 0);
    String line = own("alice", "layercake push $HOME/space-it/filling.sqfs filling").text();
    assertTrue(!line.contains("(100 %)"), "what was sent is there: " + line);
    own("alice", "layercake verify filling && layercake rm filling").text();
  }

  @Test
  void aPushGoesOnWhenAnOsdStopsAnswering() {
    String osd = Cluster.on("head", "pgrep -f '^ceph-osd -i 1( |$)'").text();
    Cluster.Result[] push = new Cluster.Result[1];
    try {
      withSlowUpload(
          () -> {
            CompletableFuture<Cluster.Result> under = startPush("orphaned");
            Cluster.on("head", "kill -STOP " + osd + " && ceph osd down 1").text();
            push[0] = under.join();
          });
      if (push[0].exit() != 0) {
        push[0].refused(75, "try again");
        own("alice", "layercake push $HOME/space-it/orphaned.sqfs orphaned").text();
      }
      own("alice", "layercake verify orphaned").text();
    } finally {
      Cluster.on("head", "kill -CONT " + osd).text();
      Cluster.await(
          "the OSD is back",
          () -> Cluster.on("head", "ceph osd dump | grep -q '^osd.1 up'").exit() == 0);
    }
    own("alice", "layercake verify orphaned && layercake rm orphaned").text();
  }

  @Test
  void duSaysHowFullThePoolIs() {
    Cluster.on("head", "ceph osd pool set-quota " + POOL + " max_bytes 1000000000").text();
    Cluster.await(
        "the mgr has counted",
        () ->
            own("alice", "layercake du")
                .text()
                .matches("(?s).*The store holds \\S+ k?M?B of 1.0 GB, of all users\\..*"));
    assertTrue(own("alice", "layercake du --json").text().contains("\"storeLimit\" : 1000000000"));
  }

  /** A push from a node whose upload is slow, of which something is stored already. */
  private static CompletableFuture<Cluster.Result> startPush(String name) {
    own(
            "alice",
            """
            set -e; d=$HOME/space-it; mkdir -p $d/tree
            head -c 150000000 /dev/urandom >$d/tree/data
            mksquashfs $d/tree $d/%s.sqfs -noappend -quiet -no-progress -comp zstd -Xcompression-level 1
            """
                .formatted(name))
        .text();
    String before = stored();
    CompletableFuture<Cluster.Result> push =
        CompletableFuture.supplyAsync(
            () ->
                own(
                    "alice",
                    "srun -Q -w n1 layercake push $HOME/space-it/%1$s.sqfs %1$s".formatted(name)));
    Cluster.await("some chunks are stored", () -> !stored().equals(before));
    return push;
  }

  private static String stored() {
    return Cluster.on("head", "rados -p " + POOL + " -N u.alice ls | sort").text();
  }

  private static void withSlowUpload(Runnable act) {
    Cluster.on("n1", "tc qdisc replace dev eth0 root tbf rate 60mbit burst 64kb latency 400ms")
        .text();
    try {
      act.run();
    } finally {
      Cluster.on("n1", "tc qdisc delete dev eth0 root").text();
    }
  }

  private static Cluster.Result own(String user, String script) {
    return Cluster.as(user, "export LAYERCAKE_CONFIG=$HOME/space-it.conf; " + script);
  }

  /** Makes all objects of a user look as if nobody had wanted them for some days. */
  private static void age(String user, int days) {
    Cluster.on(
            "head",
            """
            set -e; seen=$(date -u -d '-%d days' +%%Y-%%m-%%dT%%H:%%M:%%SZ)
            rados -p layercake -N u.%s ls | grep '^[cm]/' |
              xargs -P 4 -I OBJECT rados -p layercake -N u.%s setxattr OBJECT seen $seen
            """
                .formatted(days, user, user))
        .text();
  }
}
