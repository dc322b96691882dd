package org.layercake.launcher.image;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.InputStream;
import java.lang.reflect.Proxy;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.layercake.launcher.node.Abort;
import org.layercake.launcher.node.Descriptors;
import org.layercake.launcher.node.ProcessId;
import org.layercake.store.ExitCode;
import org.layercake.store.FetchListener;
import org.layercake.store.Image;
import org.layercake.store.StoreException;

/** Real image servers and mounts, for which this must be root. */
@Timeout(60)
class ImageMountsTest {
  private static final Path SERVER = Path.of("src/main/native/build/imageserver").toAbsolutePath();
  private static final ImageSettings.Limits LIMITS = new ImageSettings.Limits(20 << 20, 100, 64);
  private static final long UID = 1000;
  private static final long GID = 1001;
  private static final String USER = System.getProperty("user.name");
  private static final FetchListener NOBODY = done -> {};

  @TempDir Path directory;
  private CacheLayout layout;
  private TestStore images;
  private ImageCache cache;
  private ImageMounts mounts;

  @BeforeEach
  void open() throws Exception {
    layout = new CacheLayout(directory.resolve("cache"), directory.resolve("run"));
    layout.prepare();
    images = new TestStore(directory.resolve("store"));
    cache = cacheOf(new ImageSettings.Pace(1 << 30, 600), () -> images.store());
    cache.open();
    mounts = new ImageMounts(layout, SERVER, List.of());
  }

  private ImageCache cacheOf(ImageSettings.Pace pace, ImageFill.Stores stores) {
    return new ImageCache(layout, LIMITS, pace, stores, () -> {});
  }

  @AfterEach
  void close() throws Exception {
    cache.close();
    new ImageMounts(layout, SERVER, List.of()).endUnused();
    images.close();
  }

  @Test
  void aMountWhoseServerDiedIsMadeAnewForThoseWhoComeLater() throws Exception {
    Image image = push("one");
    ImageMounts.Mount first = mounts.mount(lease(image), GID);
    assertEquals("one", read(first));
    kill(image, "KILL");
    first.onEnd().get();
    assertFalse(first.isAlive());
    ImageMounts.Mount second = mounts.mount(lease(image), GID);
    assertTrue(second.isAlive());
    assertEquals("one", read(second));
    first.close();
    assertEquals("one", read(second));
    second.release().get();
    assertEquals(List.of(), left());
  }

  @Test
  void theLastHolderEndsTheServer() throws Exception {
    Image image = push("one");
    ImageMounts.Mount first = mounts.mount(lease(image), GID);
    ImageMounts.Mount second = mounts.mount(lease(image), GID);
    first.release().get();
    first.release().get();
    assertEquals("one", read(second));
    second.release().get();
    assertFalse(second.isAlive());
    assertEquals(List.of(), left());
  }

  @Test
  void allFilesAreTheUsersWhoeverElseHasTheImage() throws Exception {
    Image image = push("one");
    ImageCache.Lease others = cache.lease(image, UID + 5, true, NOBODY);
    ImageMounts.Mount mine = mounts.mount(lease(image), GID);
    ImageMounts.Mount theirs = mounts.mount(others, GID + 5);
    assertEquals(List.of(UID, GID), ownersOf(mine));
    assertEquals(List.of(UID + 5, GID + 5), ownersOf(theirs));
    mine.release().get();
    assertEquals("one", read(theirs));
    theirs.release().get();
    assertEquals(List.of(), left());
  }

  private static List<Long> ownersOf(ImageMounts.Mount mount) throws IOException {
    Map<String, Object> file =
        Files.readAttributes(mount.directory().resolve("name"), "unix:uid,gid");
    Map<String, Object> root = Files.readAttributes(mount.directory(), "unix:uid,gid");
    assertEquals(root, file);
    return Stream.of("uid", "gid").map(id -> Long.valueOf((Integer) file.get(id))).toList();
  }

  @Test
  void aRestartTakesUpWhatJobsHoldAndEndsTheRest() throws Exception {
    Image held = push("held");
    Image other = push("other");
    mounts.mount(lease(held), GID);
    ImageMounts.Mount unheld = mounts.mount(lease(other), GID);
    ImageMounts next = new ImageMounts(layout, SERVER, List.of());
    ImageMounts.Mount mine = next.mountedBefore(mountKey(held));
    next.endUnused();
    unheld.onEnd().get();
    assertEquals("held", read(mine));
    assertEquals(null, next.mountedBefore(mountKey(other)));
    mine.release().get();
    assertEquals(List.of(), left());
  }

  @Test
  void aRestartKeepsWhatJobsHoldWhileTheCacheDirectoryCannotBeRead() throws Exception {
    Image image = push("one");
    mounts.mount(lease(image), GID);
    Files.writeString(layout.mountServer(mountKey(image)), ""); // nor this
    Path away = Files.move(layout.cacheDirectory(), directory.resolve("away"));
    Files.createFile(layout.cacheDirectory());
    CacheLayout layoutNow = new CacheLayout(layout.cacheDirectory(), directory.resolve("run"));
    layoutNow.prepare();
    ImageCache next =
        new ImageCache(
            layoutNow,
            LIMITS,
            new ImageSettings.Pace(1 << 30, 600),
            () -> images.store(),
            () -> {});
    next.recover(served -> true);
    ImageMounts nextMounts = new ImageMounts(layoutNow, SERVER, List.of());
    ImageCache.Lease held = next.leaseCached(ImageKey.of(image), UID);
    ImageMounts.Mount mine = nextMounts.mountedBefore(held.mountKey());
    nextMounts.endUnused();
    next.open();
    assertEquals("one", read(mine));
    held.close();
    mine.release().get();
    Files.delete(layout.cacheDirectory());
    Files.move(away, layout.cacheDirectory());
  }

  /** As when the launcher was killed before it could write down which process that is. */
  @Test
  void aRestartEndsAServerOfWhichNoFileTells() throws Exception {
    Image image = push("one");
    ImageMounts.Mount mount = mounts.mount(lease(image), GID);
    Files.delete(layout.mountServer(mountKey(image)));
    // As a container does, this keeps the mount after it was detached.
    InputStream open = Files.newInputStream(mount.directory().resolve("name"));
    new ImageMounts(layout, SERVER, List.of()).endUnused();
    mount.onEnd().get();
    assertThrows(IOException.class, open::close);
    assertEquals(List.of(), left());
  }

  /** As when the launcher was killed while the program was being started. */
  @Test
  void aServerThatStartsAfterARestartFindsNothingToMountOn() throws Exception {
    Image image = push("one");
    lease(image);
    Path mountPoint = layout.mountPoint(mountKey(image));
    Files.createDirectories(mountPoint);
    new ImageMounts(layout, SERVER, List.of()).endUnused();
    Process late =
        new ProcessBuilder(
                SERVER.toString(),
                layout.image(ImageKey.of(image)).toString(),
                mountPoint.toString())
            .start();
    assertNotEquals(0, late.waitFor());
    assertEquals(List.of(), left());
  }

  @Test
  void imageServersAreInTheCgroupOfAllImageServers() throws Exception {
    String name = "layercake-test-" + ProcessHandle.current().pid();
    List<String> options = ImageMemory.options(64 << 20, name);
    mounts = new ImageMounts(layout, SERVER, options);
    Image image = push("one");
    ImageMounts.Mount mount = mounts.mount(lease(image), GID);
    assertEquals("one", read(mount));
    String id = Files.readString(layout.mountServer(mountKey(image)));
    List<String> groups =
        Files.readAllLines(Path.of("/proc/" + ProcessId.parse(id).pid(), "cgroup"));
    assertEquals(!options.isEmpty(), groups.stream().anyMatch(line -> line.endsWith("/" + name)));
    mount.release().get();
    if (!options.isEmpty()) {
      Files.delete(Path.of(options.get(1)).getParent());
    }
  }

  @Test
  void anErrorEndsAMountForAllWhoWaitForIt() throws Exception {
    ImageMounts poor = new ImageMounts(layout, outOfMemory(), List.of());
    ImageCache.Lease lease = lease(push("one"));
    for (int i = 0; i < 2; i++) { // the second must not wait for the first
      assertThrows(OutOfMemoryError.class, () -> poor.mount(lease, GID));
    }
    assertEquals(List.of(), left());
  }

  /** A program for whose command line there is no memory. */
  private static Path outOfMemory() {
    return (Path)
        Proxy.newProxyInstance(
            Path.class.getClassLoader(),
            new Class<?>[] {Path.class},
            (path, method, arguments) -> {
              throw new OutOfMemoryError("no heap");
            });
  }

  @Test
  void aFileThatIsNotSquashfsIsReportedAsDamaged() throws Exception {
    Image image =
        images.push(USER, "noimage", Files.write(directory.resolve("none"), new byte[1 << 20]));
    ImageCache.Lease lease = lease(image);
    Abort abort = assertThrows(Abort.class, () -> mounts.mount(lease, GID));
    assertEquals(ExitCode.DAMAGED, abort.exitCode(), abort.getMessage());
    assertEquals(List.of(), left());
  }

  @Test
  void aStoreThatIsAwayIsNotReportedAsADamagedImage() throws Exception {
    ImageKey key = leaveUnfinished(push("one"));
    ImageCache next =
        cacheOf(
            new ImageSettings.Pace(1 << 30, 1),
            () -> {
              throw new StoreException(StoreException.Kind.UNAVAILABLE, "no answer");
            });
    next.recover(served -> true);
    ImageCache.Lease lease = next.leaseCached(key, UID);
    Abort unknown = assertThrows(Abort.class, () -> mounts.mount(lease, GID));
    assertEquals(75, unknown.exitCode(), unknown.getMessage());
    next.open();
    Abort known = assertThrows(Abort.class, () -> mounts.mount(lease, GID));
    assertEquals(75, known.exitCode(), known.getMessage());
    assertEquals("no answer", known.getMessage());
    next.close();
  }

  @Test
  void aFullRunDirectoryIsReportedAndLeavesNothing() throws Exception {
    Path run = Files.createDirectory(directory.resolve("full"));
    run("mount", "-t", "tmpfs", "-o", "size=64k,nr_inodes=12", "tmpfs", run.toString());
    try {
      CacheLayout full = new CacheLayout(directory.resolve("cache"), run);
      full.prepare();
      ImageMounts there = new ImageMounts(full, SERVER, List.of());
      ImageCache.Lease lease = lease(push("one"));
      List<Path> fillers = fill(run);
      assertReported(run, assertThrows(Abort.class, () -> there.mount(lease, GID)));
      Files.delete(fillers.get(0)); // room for a mount point, and none for the server's file
      assertReported(run, assertThrows(Abort.class, () -> there.mount(lease, GID)));
      assertEquals(0, full.mounts().toFile().list().length);
      while (!ImageServers.running(SERVER, full.mounts()).isEmpty()) {
        Thread.sleep(10); // it was killed, and is still ending
      }
    } finally {
      run("umount", "-l", run.toString());
    }
  }

  private static List<Path> fill(Path full) {
    List<Path> files = new ArrayList<>();
    try {
      while (true) {
        files.add(Files.createFile(full.resolve("filler" + files.size())));
      }
    } catch (IOException e) {
      return files; // it is full
    }
  }

  private static void assertReported(Path run, Abort abort) {
    assertEquals(ExitCode.FULL, abort.exitCode(), abort.getMessage());
    assertTrue(abort.getMessage().contains(run.toString()), abort.getMessage());
    assertTrue(abort.getMessage().contains("No space left"), abort.getMessage());
  }

  @Test
  void roomOfAnEvictedImageIsFreeAtOnce() throws Exception {
    Image image = push("one", 6);
    ImageCache slow = cacheOf(new ImageSettings.Pace(1, 600), () -> images.store());
    slow.open();
    ImageCache.Lease reading = slow.lease(image, UID, false, NOBODY);
    ImageMounts.Mount mount = mounts.mount(reading, GID);
    slow.lease(image, UID, true, NOBODY).close();
    mount.release().get();
    reading.close();
    for (String other : List.of("two", "three", "four")) {
      slow.lease(push(other, 6), UID, true, NOBODY).close();
    }
    assertFalse(Files.exists(layout.image(ImageKey.of(image))), "it was evicted");
    assertEquals(List.of(), Descriptors.open(layout.images()));
    slow.close();
  }

  @Test
  void aReaderThatIsStoppedKeepsNobodyWaiting() throws Exception {
    Path wanted = directory.resolve("wanted");
    Path arrived = directory.resolve("arrived");
    run("mkfifo", wanted.toString(), arrived.toString());
    try (ReaderPipe pipe = ReaderPipe.open(wanted, (chunk, what) -> {})) {
      pipe.ringAt(arrived);
      for (int i = 0; i < 100_000; i++) {
        pipe.ring();
      }
    }
  }

  private ImageKey leaveUnfinished(Image image) throws Exception {
    ImageFill.begin(layout, image, new ImageSettings.Pace(1 << 30, 1));
    ImageKey key = ImageKey.of(image);
    Path arrived = layout.fillArrived(mountKey(image));
    run("mkfifo", layout.fillWanted(key).toString(), arrived.toString());
    return key;
  }

  private static MountKey mountKey(Image image) {
    return new MountKey(ImageKey.of(image), UID);
  }

  private ImageCache.Lease lease(Image image) throws Exception {
    return cache.lease(image, UID, true, NOBODY);
  }

  private static String read(ImageMounts.Mount mount) throws IOException {
    return Files.readString(mount.directory().resolve("name"));
  }

  private void kill(Image image, String signal) throws Exception {
    String id = Files.readString(layout.mountServer(mountKey(image)));
    run("kill", "-" + signal, Long.toString(ProcessId.parse(id).pid()));
  }

  /** Mount points, files beside them, and processes. */
  private List<String> left() throws IOException {
    List<String> left = new ArrayList<>();
    try (Stream<Path> files = Files.list(layout.mounts())) {
      files.forEach(file -> left.add(file.toString()));
    }
    ImageServers.running(SERVER, layout.mounts()).forEach(each -> left.add("pid " + each.pid()));
    return left;
  }

  private Image push(String name) throws Exception {
    return push(name, 0);
  }

  /** An image with a file that holds its name, and so many MB of others. */
  private Image push(String name, int megabytes) throws Exception {
    Path tree = Files.createDirectories(directory.resolve(name + ".tree"));
    Files.writeString(tree.resolve("name"), name);
    byte[] bytes = new byte[megabytes << 20];
    new Random(name.hashCode()).nextBytes(bytes);
    Files.write(tree.resolve("bytes"), bytes);
    Path packed = directory.resolve(name + ".sqfs");
    run("mksquashfs", tree.toString(), packed.toString(), "-quiet", "-no-progress");
    return images.push(USER, name, packed);
  }

  private static void run(String... command) throws Exception {
    assertEquals(
        0,
        new ProcessBuilder(command).redirectErrorStream(true).start().waitFor(),
        String.join(" ", command));
  }
}
