package org.layercake.store;

import java.time.InstantSource;
import org.junit.jupiter.api.extension.RegisterExtension;

/** What every store must do, on the cluster's Ceph. */
class RadosStoreIT extends StoreContract {
  @RegisterExtension static final TestPool pool = new TestPool("store-it", 16, 1);

  @Override
  ObjectStore connect(InstantSource clock) throws Exception {
    return RadosStore.open(pool.config("off"), clock);
  }

  @Override
  int raceRounds() {
    return 1200;
  }
}
