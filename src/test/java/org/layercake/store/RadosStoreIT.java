package org.layercake.store;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.layercake.store.ObjectStore.TagPart.NAME;
import static org.layercake.store.ObjectStore.TagPart.NAME_AND_VALUE;

import java.time.InstantSource;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;

/** What every store must do, on the cluster's Ceph. */
class RadosStoreIT extends StoreContract {
  @RegisterExtension static final TestPool pool = new TestPool("store-it", 16, 1);

  @Override
  ObjectStore connect(InstantSource clock) throws Exception {
    return RadosStore.open(pool.config("off"), clock);
  }

  @Test
  void entriesThatAreNoTagsHideNoneAndAreNamedWhenTheyCannotBeListed() throws Exception {
    try (ObjectStore store = connect(InstantSource.system())) {
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

  @Override
  int raceRounds() {
    return 1200;
  }
}
