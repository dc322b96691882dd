package org.layercake.store;

import java.nio.file.Files;
import java.nio.file.Path;
import java.time.InstantSource;
import java.util.Random;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.io.TempDir;

/** Tests that read an image of several chunks from a store whose copies can be made bad. */
abstract class CopiesTest {
  static final ObjectStore.Copy PREFERRED = ObjectStore.Copy.PREFERRED;
  static final ObjectStore.Copy PRIMARY = ObjectStore.Copy.PRIMARY;

  @TempDir Path directory;

  final Copies.Reads reads = new Copies.Reads();
  Image image;

  @BeforeEach
  void push() throws Exception {
    byte[] content = new byte[20 << 20];
    new Random(1).nextBytes(content);
    Path source = Files.write(directory.resolve("image"), content);
    try (ImageStore store = store(true, copy -> true)) {
      StoreContract.push(store, source, "deb:12", "alice");
      image = store.resolve(ImageName.parse("deb:12"), "alice");
    }
  }

  int chunks() {
    return image.manifest().chunks().size();
  }

  void fill(ImageStore store, Filler filler) {
    try {
      store.fill(image, filler);
    } catch (Exception e) {
      throw new AssertionError(e);
    }
  }

  ImageStore store(boolean readsReplicas, Copies.Fate fate) throws Exception {
    Copies copies = new Copies(directory, reads, readsReplicas, fate);
    return new ImageStore(copies, InstantSource.system(), Chunker::cut);
  }
}
