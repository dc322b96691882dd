package org.layercake.store;

import java.time.InstantSource;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;

/** What every store must do, on the cluster's Ceph. */
class RadosStoreIT extends StoreContract {
  private static TestPool pool;

  @BeforeAll
  static void createPool() throws Exception {
    pool = TestPool.create("store-it", 16, 1);
  }

  @AfterAll
  static void deletePool() throws Exception {
    pool.delete();
  }

  @Override
  ObjectStore connect(InstantSource clock) throws Exception {
    return RadosStore.open(pool.config("off"), clock);
  }

  @Override
  int raceRounds() {
    return 1200;
  }
}
