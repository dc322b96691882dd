package org.layercake.store;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.layercake.store.ObjectStore.TagPart.NAME;
import static org.layercake.store.ObjectStore.TagPart.NAME_AND_VALUE;
import static org.layercake.store.StoreContract.assertKind;

import java.time.InstantSource;
import java.util.Optional;
import org.junit.jupiter.api.Nested;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;

/** What every store must do, on the cluster's Ceph. */
class RadosStoreIT {
  @RegisterExtension static final TestPool pool = new TestPool("store-it", 16, 1);

  private static ObjectStore pooled(InstantSource clock) throws Exception {
    return RadosStore.open(pool.config("off"), clock);
  }

  @Nested
  class Objects extends ObjectContract {
    @Override
    ObjectStore connect(InstantSource clock) throws Exception {
      return pooled(clock);
    }
  }

  @Nested
  class Pushes extends PushContract {
    @Override
    ObjectStore connect(InstantSource clock) throws Exception {
      return pooled(clock);
    }
  }

  @Nested
  class Fetches extends FetchContract {
    @Override
    ObjectStore connect(InstantSource clock) throws Exception {
      return pooled(clock);
    }
  }

  @Nested
  class Names extends ResolveContract {
    @Override
    ObjectStore connect(InstantSource clock) throws Exception {
      return pooled(clock);
    }
  }

  @Nested
  class Processors extends MachinesContract {
    @Override
    ObjectStore connect(InstantSource clock) throws Exception {
      return pooled(clock);
    }
  }

  @Nested
  class Collections extends CollectionContract {
    @Override
    ObjectStore connect(InstantSource clock) throws Exception {
      return pooled(clock);
    }

    @Override
    int raceRounds() {
      return 1200;
    }
  }

  @Test
  void entriesThatAreNoTagsHideNoneAndAreNamedWhenTheyCannotBeListed() throws Exception {
    try (ObjectStore store = pooled(InstantSource.system())) {
      for (int i = 0; i < 40; i++) {
        store.swapTag("u.odd", "n/" + i, Optional.empty(), Optional.of(new byte[] {'v'}));
      }
      odd("$(printf 'a\\377\\376b')", "v");
      odd("\303\251", "v");
      assertEquals(42, store.listTags("u.odd", NAME_AND_VALUE, 100).tags().size());
      assertEquals(42, store.listTags("u.odd", NAME, 100).tags().size());
      odd("$(head -c 2000 /dev/zero | tr '\\0' z)", "v");
      StoreException e =
          assertKind(
              StoreException.Kind.CORRUPT, () -> store.listTags("u.odd", NAME_AND_VALUE, 100));
      assertTrue(e.getMessage().contains("u.odd"), e.getMessage());
    }
  }

  private static void odd(String key, String value) throws Exception {
    TestPool.onHead("rados -p store-it -N u.odd setomapval t \"" + key + "\" " + value);
  }
}
