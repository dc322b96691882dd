package org.layercake.store;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;

import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Instant;
import java.time.InstantSource;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.api.io.TempDir;

/** Reads from a pool of two copies, on the cluster's Ceph. */
class ReplicaIT {
  @RegisterExtension static final TestPool pool = new TestPool("replica-it", 1, 2);

  @TempDir Path directory;

  @Test
  void autoLeavesReplicasAloneOfReleasesThatDoNotSurviveIt() throws Exception {
    try (ObjectStore store = RadosStore.open(pool.config("auto"), InstantSource.system())) {
      assertFalse(store.readsReplicas(), TestPool.onHead("ceph versions"));
    }
  }

  @Test
  void imageWithABadPrimaryCopyIsReadFromTheReplica() throws Exception {
    byte[] content = new byte[200 << 10]; // one chunk
    new Random(1).nextBytes(content);
    Path source = Files.write(directory.resolve("image"), content);
    Image image = push(source);
    spoilPrimaryCopy(image);
    for (String unwary : new String[] {"off", "auto"}) {
      StoreContract.assertKind(
          StoreException.Kind.CORRUPT, () -> fetch(image, unwary, "bad-" + unwary));
    }
    awaitReplica(image);
    for (String wary : new String[] {"balance", "localize"}) {
      assertEquals(-1, Files.mismatch(source, fetch(image, wary, wary)));
    }
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
  private static void spoilPrimaryCopy(Image image) throws Exception {
    String object = ImageStore.chunkObject(image.manifest().chunks().get(0).digest());
    String script =
        """
        pool=replica-it domain=%s object=%s
        scratch=$(mktemp -d)
        in_pool() { rados --pool $pool --namespace $domain "$@"; }
        in_pool get $object $scratch/whole
        tail -c +2 $scratch/whole >$scratch/rest
        in_pool put $object $scratch/rest --offset 1

        osd=$(ceph osd map $pool $object $domain -f json | grep -o '"acting_primary":[0-9]*' | cut -d: -f2)
        data=/var/lib/ceph/osd/ceph-$osd
        ceph tell osd.$osd config set osd_fast_shutdown false
        pid=$(pgrep -fx "ceph-osd -i $osd")
        kill $pid
        while kill -0 $pid 2>/dev/null; do sleep 0.1; done

        head -c $(stat -c %%s $scratch/whole) /dev/zero >$scratch/zeros
        tool() { ceph-objectstore-tool --no-mon-config --type memstore --data-path $data "$@"; }
        place=$(tool --op list | grep -F "\\"$object\\"")
        tool "$place" set-bytes $scratch/zeros
        ip netns exec osd.$osd ceph-osd -i $osd
        until ceph osd map $pool $object $domain -f json | grep -q "\\"acting_primary\\":$osd[,}]"; do
          sleep 0.1
        done
        rm -r $scratch
        """;
    TestPool.onHead(script.formatted(image.domain(), object));
  }
}
