package org.layercake.store;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.time.InstantSource;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.api.io.TempDir;

/** What becomes of start profiles, which are for all domains of a pool. */
class StartProfileIT {
  @RegisterExtension static final TestPool pool = new TestPool("start-profile-it", 1, 1);

  @TempDir Path directory;

  @Test
  void aProfileStaysWithItsImageAndIsCollectedAfterTheLastOneThatHasIt() throws Exception {
    AtomicLong hours = new AtomicLong(600_000);
    InstantSource clock = () -> Instant.ofEpochSecond(hours.get() * 3600);
    Path source = Files.write(directory.resolve("image"), new byte[100]);
    ImageName name = ImageName.parse("deb:12");
    try (ImageStore store =
        new ImageStore(RadosStore.open(pool.config("off"), clock), clock, Chunker::cut)) {
      StoreContract.push(store, source, "deb:12", "alice");
      StoreContract.push(store, source, "deb:12", "bob");
      Image image = store.resolve(name, "alice");
      store.saveStartProfile(image, new StartProfile(List.of(0)));

      store.remove(name, "alice");
      hours.addAndGet(25);
      collect(store);
      hours.addAndGet(25);
      assertEquals(0, collect(store), "bob has it");

      store.remove(name, "bob");
      hours.addAndGet(25);
      collect(store);
      hours.addAndGet(25);
      assertEquals(1, collect(store));
      assertEquals(StartProfile.NONE, store.startProfile(image));
    }
  }

  /** How many profiles it has taken. */
  private static long collect(ImageStore store) throws Exception {
    return store.collect(Optional.empty(), GarbageCollector.MIN_GRACE, false).stream()
        .filter(garbage -> garbage.domain().equals(ObjectNames.LAUNCHERS))
        .mapToLong(Garbage::objects)
        .sum();
  }
}
