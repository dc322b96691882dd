package org.layercake.store;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Instant;
import java.time.InstantSource;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

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

  @Test
  void startProfilesGoWithTheLastImageTheyAreFor() throws Exception {
    AtomicLong hours = new AtomicLong(600_000);
    InstantSource clock = () -> Instant.ofEpochSecond(hours.get() * 3600);
    try (ImageStore timed = new ImageStore(connect(clock), clock, Chunker::cut)) {
      Digest manifest = Digest.of(new byte[] {1});
      Image image = new Image("u.x", ImageName.parse("x"), manifest, null);
      timed.saveStartProfile(image, new StartProfile(List.of(0)));
      hours.addAndGet(25);
      Garbage garbage =
          timed.collect(Optional.empty(), ImageStore.MIN_GRACE, false).stream()
              .filter(each -> each.domain().equals(ImageStore.STARTS))
              .findAny()
              .orElseThrow();
      assertTrue(garbage.objects() >= 1, garbage.toString());
      assertEquals(
          List.of(),
          timed.collect(Optional.empty(), ImageStore.MIN_GRACE, true).stream()
              .filter(each -> each.domain().equals(ImageStore.STARTS))
              .toList());
    }
  }

  @Override
  int raceRounds() {
    return 1200;
  }
}
