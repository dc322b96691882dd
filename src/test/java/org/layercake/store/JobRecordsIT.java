package org.layercake.store;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.nio.file.Files;
import java.nio.file.Path;
import java.time.InstantSource;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;

/** What a job runs, on the cluster's Ceph. */
class JobRecordsIT extends JobRecordsContract {
  @RegisterExtension static final TestPool pool = new TestPool("job-records-it", 4, 1);

  @Override
  ObjectStore connect(InstantSource clock) throws Exception {
    return RadosStore.open(pool.config("off"), clock);
  }

  /** Users can fill a pool; pushes then fail, and jobs go on. */
  @Test
  void jobStartsFromAFullPool() throws Exception {
    Path image = Files.write(directory.resolve("image"), new byte[100]);
    try (ImageStore store = ImageStore.open(pool.config("off"))) {
      StoreContract.push(store, image, "deb:12", "alice");
      setFull(true);
      try {
        JobRef job = new JobRef("full", 1, 1000);
        ImageName name = ImageName.parse("deb:12");
        Digest digest = store.resolveForJob(job, name, "alice", group -> false).digest();
        assertEquals(digest, store.resolveForJob(job, name, "alice", group -> false).digest());
        StoreContract.assertKind(
            StoreException.Kind.FULL, () -> StoreContract.push(store, image, "deb:13", "bob"));
      } finally {
        setFull(false);
      }
    }
  }

  /** As if the OSDs had no room, which they notice by themselves after some seconds. */
  private static void setFull(boolean full) throws Exception {
    String script =
        """
        ceph osd set-nearfull-ratio %1$s1 && ceph osd set-backfillfull-ratio %1$s2
        ceph osd set-full-ratio %1$s3
        until ceph osd pool ls detail | grep "'job-records-it'" | grep -q%2$s '[ ,]full[ ,]'; do
          sleep 0.2
        done
        """;
    TestPool.onHead(script.formatted(full ? "0.00000" : "0.9", full ? "" : "v"));
  }

  @Override
  void collectAll(ImageStore store) throws Exception {
    store.collect(Optional.empty(), GarbageCollector.MIN_GRACE, false);
  }
}
