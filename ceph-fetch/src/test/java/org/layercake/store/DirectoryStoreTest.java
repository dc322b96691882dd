package org.layercake.store;

import static java.nio.charset.StandardCharsets.US_ASCII;
import static java.nio.file.StandardCopyOption.ATOMIC_MOVE;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTimeoutPreemptively;
import static org.layercake.store.StoreContract.assertKind;
import static org.layercake.store.StoreException.Kind.CORRUPT;
import static org.layercake.store.StoreException.Kind.DENIED;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.InstantSource;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicBoolean;
import org.junit.jupiter.api.Nested;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What every store must do, in a directory; and what is in the way there. */
class DirectoryStoreTest {
  @TempDir Path root;
  @TempDir Path directory;

  private static ObjectStore storeIn(Path root, InstantSource clock) throws Exception {
    Files.createDirectories(root.resolve(ObjectNames.LAUNCHERS));
    return DirectoryStore.open(root, clock);
  }

  @Nested
  class Objects extends ObjectContract {
    @Override
    ObjectStore connect(InstantSource clock) throws Exception {
      return storeIn(directory.resolve("root"), clock);
    }
  }

  @Nested
  class Pushes extends PushContract {
    @Override
    ObjectStore connect(InstantSource clock) throws Exception {
      return storeIn(directory.resolve("root"), clock);
    }
  }

  @Nested
  class Fetches extends FetchContract {
    @Override
    ObjectStore connect(InstantSource clock) throws Exception {
      return storeIn(directory.resolve("root"), clock);
    }
  }

  @Nested
  class Names extends ResolveContract {
    @Override
    ObjectStore connect(InstantSource clock) throws Exception {
      return storeIn(directory.resolve("root"), clock);
    }
  }

  @Nested
  class Processors extends MachinesContract {
    @Override
    ObjectStore connect(InstantSource clock) throws Exception {
      return storeIn(directory.resolve("root"), clock);
    }
  }

  @Nested
  class Collections extends CollectionContract {
    @Override
    ObjectStore connect(InstantSource clock) throws Exception {
      return storeIn(directory.resolve("root"), clock);
    }

    @Override
    int raceRounds() {
      return 300;
    }
  }

  @Test
  void startProfilesAreNotWrittenWhereAUserHasPutALink() throws Exception {
    Path elsewhere = Files.createDirectory(directory.resolve("elsewhere"));
    Path link = Files.createDirectory(directory.resolve("store")).resolve(ObjectNames.LAUNCHERS);
    Files.createSymbolicLink(link, elsewhere);
    ByteBuffer content = ByteBuffer.allocateDirect(2).put(0, "0\n".getBytes(US_ASCII));
    try (ObjectStore store = DirectoryStore.open(link.getParent(), InstantSource.system())) {
      assertKind(DENIED, () -> store.overwrite(ObjectNames.LAUNCHERS, "s/0", content));
    }
    assertFalse(Files.exists(elsewhere.resolve("s")));
  }

  @Test
  void linksAndPipesInTheWayAreNeitherFollowedNorWaitedFor() throws Exception {
    Path domain = Files.createDirectories(root.resolve("u.eve/c")).getParent();
    Path elsewhere = Files.createDirectories(directory.resolve("elsewhere/c"));
    Files.writeString(elsewhere.resolve("a"), "secret");
    Files.createSymbolicLink(domain.resolve("c/link"), elsewhere.resolve("a"));
    Files.createSymbolicLink(domain.resolve("m"), elsewhere);
    Files.createDirectory(domain.resolve("c/directory"));
    Files.createSymbolicLink(root.resolve("u.mallory"), elsewhere.getParent());
    run("mkfifo", domain.resolve("c/pipe").toString());
    try (ObjectStore store = DirectoryStore.open(root, InstantSource.system())) {
      for (String name : new String[] {"c/link", "m/a", "c/directory", "c/pipe"}) {
        assertKind(CORRUPT, () -> store.read("u.eve", name, 100));
      }
      assertKind(CORRUPT, () -> store.read("u.mallory", "c/a", 100));
      assertEquals(Optional.empty(), store.read("u.eve", "c/none", 100));
    }
  }

  /** A look that comes before the open sees the file, and the open then waits at the pipe. */
  @Test
  void pipeThatComesInPlaceOfAFileBlocksNobody() throws Exception {
    Path chunks = Files.createDirectories(root.resolve("u.eve/c"));
    Files.writeString(chunks.resolve("file"), "content");
    run("mkfifo", chunks.resolve("pipe").toString());
    AtomicBoolean done = new AtomicBoolean();
    Thread swapper = new Thread(() -> swap(chunks, done));
    swapper.start();
    try (ObjectStore store = DirectoryStore.open(root, InstantSource.system())) {
      assertTimeoutPreemptively(Duration.ofMinutes(2), () -> read(store, 20_000));
    } finally {
      done.set(true);
      swapper.join();
    }
  }

  private static void swap(Path chunks, AtomicBoolean done) {
    try {
      while (!done.get()) {
        for (String kind : new String[] {"file", "pipe"}) {
          Files.createLink(chunks.resolve("new"), chunks.resolve(kind));
          Files.move(chunks.resolve("new"), chunks.resolve("a"), ATOMIC_MOVE);
          Files.deleteIfExists(chunks.resolve("new")); // rename(2) of two links to one file
        }
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static void read(ObjectStore store, int times) throws StoreException {
    for (int i = 0; i < times; i++) {
      try {
        store.read("u.eve", "c/a", 100);
      } catch (StoreException e) {
        assertEquals(CORRUPT, e.kind());
      }
    }
  }

  private static void run(String... command) throws Exception {
    assertEquals(0, new ProcessBuilder(command).inheritIO().start().waitFor());
  }
}
