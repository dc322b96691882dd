package org.layercake.store;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;

import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Instant;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.api.io.TempDir;

/** Reads from a pool of three copies, on the cluster's Ceph. */
class ReplicaIT {
  @RegisterExtension static final TestPool pool = new TestPool("replica-it", 1, 3);

  @TempDir Path directory;

  @Test
  void autoLeavesReplicasAloneOfReleasesThatDoNotSurviveIt() throws Exception {
    try (ObjectStore store = RadosStore.open(pool.config("auto"), InstantSource.system())) {
      assertFalse(store.readsReplicas(), TestPool.onHead("ceph versions"));
    }
  }

  @Test
  void onlyGoodCopyOfThreeIsFoundAndEachIsReadByItself() throws Exception {
    byte[] content = new byte[200 << 10]; // one chunk
    new Random(1).nextBytes(content);
    Path source = Files.write(directory.resolve("image"), content);
    Image image = push(source);
    spoilAllCopiesButOne(image);
    for (String unwary : new String[] {"off", "auto"}) {
      StoreContract.assertKind(
          StoreException.Kind.CORRUPT, () -> fetch(image, unwary, "bad-" + unwary));
    }
    awaitReplica(image);
    for (String wary : new String[] {"balance", "localize"}) {
      assertEquals(-1, Files.mismatch(source, fetch(image, wary, wary)));
    }
    Digest good = Digest.of(content);
    Digest bad = Digest.of(new byte[content.length]);
    for (int i = 0; i < 10; i++) {
      assertEquals(Set.of(good, bad), Set.copyOf(replicas(image, content.length)));
    }
  }

  /** What the two copies have that are not the primary one, each of which is read once. */
  private static List<Digest> replicas(Image image, int length) throws Exception {
    List<Digest> found = new ArrayList<>();
    ByteBuffer buffer = ByteBuffer.allocateDirect(length);
    String object = ObjectNames.chunk(image.manifest().chunks().get(0).digest());
    try (ObjectStore store = RadosStore.open(pool.config("balance"), InstantSource.system())) {
      store.readReplicas(
          image.domain(),
          object,
          buffer,
          count -> {
            found.add(Digest.of(buffer.position(0)));
            return false;
          });
    }
    assertEquals(2, found.size());
    return found;
  }

  /** A replica serves what it knows that all have written, and hears that with later writes. */
  private void awaitReplica(Image image) throws Exception {
    Instant deadline = Instant.now().plusSeconds(60);
    while (true) {
      TestPool.onHead("echo later | rados --pool replica-it --namespace u.alice put later -");
      try {
        fetch(image, "balance", "awaited");
        return;
      } catch (StoreException e) {
        if (Instant.now().isAfter(deadline)) {
          throw e;
        }
      }
    }
  }

  private static Image push(Path source) throws Exception {
    try (ImageStore store = ImageStore.open(pool.config("off"))) {
      StoreContract.push(store, source, "deb:12", "alice");
      return store.resolve(ImageName.parse("deb:12"), "alice");
    }
  }

  private Path fetch(Image image, String replicaReads, String file) throws Exception {
    Path target = directory.resolve(file);
    try (ImageStore store = ImageStore.open(pool.config(replicaReads));
        FileChannel channel =
            FileChannel.open(target, StandardOpenOption.CREATE, StandardOpenOption.WRITE)) {
      store.fetch(image, channel, done -> {});
    }
    return target;
  }

  /**
   * An OSD knows the checksum of an object that was written in one go, and would find the damage
   * itself; so all but the first byte is written once more. An OSD that keeps its data in memory
   * puts them into files when it ends in good order.
   */
  private static void spoilAllCopiesButOne(Image image) throws Exception {
    String object = ObjectNames.chunk(image.manifest().chunks().get(0).digest());
    String script =
        """
        pool=replica-it domain=%s object=%s
        scratch=$(mktemp -d)
        in_pool() { rados --pool $pool --namespace $domain "$@"; }
        acting() { ceph osd map $pool $object $domain -f json | grep -o '"acting":[^]]*]'; }
        in_pool get $object $scratch/whole
        tail -c +2 $scratch/whole >$scratch/rest
        in_pool put $object $scratch/rest --offset 1
        head -c $(stat -c %%s $scratch/whole) /dev/zero >$scratch/zeros

        whole=$(acting)
        for osd in $(echo "$whole" | grep -o '[0-9]*' | head -n 2); do
          data=/var/lib/ceph/osd/ceph-$osd
          ceph tell osd.$osd config set osd_fast_shutdown false
          pid=$(pgrep -fx "ceph-osd -i $osd")
          kill $pid
          while kill -0 $pid 2>/dev/null; do sleep 0.1; done

          tool() { ceph-objectstore-tool --no-mon-config --type memstore --data-path $data "$@"; }
          place=$(tool --op list | grep -F "\"$object\"")
          tool "$place" set-bytes $scratch/zeros
          ip netns exec osd.$osd ceph-osd -i $osd
          until [ "$(acting)" = "$whole" ]; do sleep 0.1; done
        done
        rm -r $scratch
        """;
    TestPool.onHead(script.formatted(image.domain(), object));
  }
}
