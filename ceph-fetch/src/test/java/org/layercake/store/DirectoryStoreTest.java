package org.layercake.store;

import java.nio.file.Path;
import java.time.InstantSource;
import org.junit.jupiter.api.io.TempDir;

class DirectoryStoreTest extends StoreContract {
  @TempDir Path root;

  @Override
  ObjectStore connect(InstantSource clock) throws Exception {
    return DirectoryStore.open(root, clock);
  }

  @Override
  int raceRounds() {
    return 300;
  }
}
