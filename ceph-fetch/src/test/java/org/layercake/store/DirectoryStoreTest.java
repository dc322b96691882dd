package org.layercake.store;

import java.nio.file.Path;
import org.junit.jupiter.api.io.TempDir;

class DirectoryStoreTest extends StoreContract {
  @TempDir Path root;

  @Override
  ObjectStore connect() throws Exception {
    return DirectoryStore.open(root);
  }
}
