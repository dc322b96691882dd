package org.layercake.store;

import java.time.InstantSource;
import java.util.Optional;
import org.junit.jupiter.api.extension.RegisterExtension;

/** What a job runs, on the cluster's Ceph. */
class JobRecordsIT extends JobRecordsContract {
  @RegisterExtension static final TestPool pool = new TestPool("job-records-it", 4, 1);

  @Override
  ObjectStore connect(InstantSource clock) throws Exception {
    return RadosStore.open(pool.config("off"), clock);
  }

  @Override
  void collectAll(ImageStore store) throws Exception {
    store.collect(Optional.empty(), ImageStore.MIN_GRACE, false);
  }
}
