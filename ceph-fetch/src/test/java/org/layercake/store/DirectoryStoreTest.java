package org.layercake.store;

import static java.nio.charset.StandardCharsets.US_ASCII;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.layercake.store.StoreException.Kind.DENIED;

import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.InstantSource;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class DirectoryStoreTest extends StoreContract {
  @TempDir Path root;

  @Override
  ObjectStore connect(InstantSource clock) throws Exception {
    Files.createDirectories(root.resolve(ImageStore.LAUNCHERS));
    return DirectoryStore.open(root, clock);
  }

  @Test
  void startProfilesAreNotWrittenWhereAUserHasPutALink() throws Exception {
    Path elsewhere = Files.createDirectory(directory.resolve("elsewhere"));
    Path link = Files.createDirectory(directory.resolve("store")).resolve(ImageStore.LAUNCHERS);
    Files.createSymbolicLink(link, elsewhere);
    ByteBuffer content = ByteBuffer.allocateDirect(2).put(0, "0\n".getBytes(US_ASCII));
    try (ObjectStore store = DirectoryStore.open(link.getParent(), InstantSource.system())) {
      assertKind(DENIED, () -> store.overwrite(ImageStore.LAUNCHERS, "s/0", content));
    }
    assertFalse(Files.exists(elsewhere.resolve("s")));
  }

  @Override
  int raceRounds() {
    return 300;
  }
}
