package org.layercake.store;

import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.layercake.store.StoreContract.assertKind;

import java.nio.file.Files;
import java.nio.file.Path;
import java.time.InstantSource;
import java.util.Optional;
import java.util.function.BiConsumer;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** In a directory; its owner is whoever runs this. */
class JobRecordsTest extends JobRecordsContract {
  @TempDir Path root;

  @Override
  ObjectStore connect(InstantSource clock) throws Exception {
    Files.createDirectories(root.resolve(ObjectNames.LAUNCHERS));
    return new Listing(DirectoryStore.open(root, clock), root);
  }

  @Override
  void collectAll(ImageStore store) throws Exception {
    store.collect(Optional.empty(), GarbageCollector.MIN_GRACE, false);
  }

  @Test
  void launcherWithoutADomainOfItsOwnRunsNothingAndSaysWhy() throws Exception {
    Path bare = Files.createDirectory(directory.resolve("bare"));
    Path image = Files.write(directory.resolve("image"), new byte[100]);
    ObjectStore objects = DirectoryStore.open(bare, InstantSource.system());
    try (ImageStore store = new ImageStore(objects, InstantSource.system(), Chunker::cut)) {
      StoreContract.push(store, image, "deb:12", "alice");
      assertKind(
          StoreException.Kind.MISCONFIGURED,
          () ->
              store.resolveForJob(
                  new JobRef("c", 1, 1000), ImageName.parse("deb:12"), "alice", group -> false));
      assertFalse(Files.exists(bare.resolve(ObjectNames.LAUNCHERS)));

      Path elsewhere = Files.createDirectory(directory.resolve("elsewhere"));
      Files.createSymbolicLink(bare.resolve(ObjectNames.LAUNCHERS), elsewhere);
      assertKind(
          StoreException.Kind.MISCONFIGURED,
          () ->
              store.resolveForJob(
                  new JobRef("c", 1, 1000), ImageName.parse("deb:12"), "alice", group -> false));
      assertFalse(Files.exists(elsewhere.resolve("j")));
    }
  }

  /** A pool of Ceph can list all its domains; so can this directory, which is all ours. */
  private static final class Listing extends Jostled {
    private final Path root;

    Listing(ObjectStore store, Path root) {
      super(store, () -> {});
      this.root = root;
    }

    @Override
    public void list(Optional<String> domain, BiConsumer<String, String> each)
        throws StoreException {
      if (domain.isPresent()) {
        super.list(domain, each);
        return;
      }
      try (Stream<Path> files = Files.walk(root, 3)) {
        for (Path file : files.filter(Files::isRegularFile).toList()) {
          Path name = root.relativize(file);
          each.accept(name.getName(0).toString(), name.subpath(1, name.getNameCount()).toString());
        }
      } catch (java.io.IOException e) {
        throw new AssertionError(e);
      }
    }
  }
}
