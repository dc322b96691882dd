package org.layercake.launcher.job;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.layercake.launcher.node.Abort;
import org.layercake.launcher.node.Libc;
import org.layercake.store.ExitCode;

/** The same with a disk, a small one of its own. */
class ChangesOnDiskTest extends ChangesTest {
  private static final Path PROGRAM = Path.of("src/main/native/build/volume").toAbsolutePath();
  private static final int HALF = 50;

  private Path disk;

  @Override
  Optional<ChangesDisk> disk() throws IOException {
    if (disk == null) {
      disk = Files.createDirectory(directory.resolve("disk"));
      try { // what makes volumes makes this disk, too
        new ChangesDisk(directory, PROGRAM, 0, 100).mount(disk, 0, 0, 64 * MIB, 0);
      } catch (Abort | InterruptedException e) {
        throw new IOException(e);
      }
    }
    return Optional.of(new ChangesDisk(disk.resolve("work"), PROGRAM, 16 * MIB, HALF));
  }

  @AfterEach
  void detachDisk() throws Exception {
    changes.endAllBut(Set.of());
    Libc.detach(disk);
    await("no loop device is used", () -> !usesLoopDevices()); // as soon as the overlay has ended
  }

  private static void await(String what, Callable<Boolean> condition) throws Exception {
    for (int i = 0; !condition.call(); i++) {
      assertTrue(i < 3000, what);
      Thread.sleep(10);
    }
  }

  private boolean usesLoopDevices() throws IOException {
    try (Stream<Path> devices = Files.list(Path.of("/sys/block"))) {
      for (Path device : devices.toList()) {
        Path file = device.resolve("loop/backing_file");
        if (Files.exists(file) && Files.readString(file).contains(directory.toString())) {
          return true;
        }
      }
    } catch (IOException e) { // gone between these two
      return true;
    }
    return false;
  }

  @Test
  void theyHaveNoNameThatAnybodyCouldOpenOrACrashCouldLeave() throws Exception {
    Files.writeString(root("1", MIB).resolve("file"), "changed");
    try (Stream<Path> files = Files.list(disk.resolve("work"))) {
      assertEquals(List.of(), files.toList());
    }
    assertTrue(usesLoopDevices());
  }

  @Test
  void theirRoomIsTakenAtOnceAndGivenBackAtTheEnd() throws Exception {
    long before = free();
    root("1", 16 * MIB);
    assertTrue(before - free() >= 16 * MIB, before + " " + free());
    changes.end("1");
    await("the room is given back", () -> free() >= before);
  }

  private long free() throws IOException {
    return Files.getFileStore(disk).getUsableSpace();
  }

  @Test
  void aFullDiskIsToldBeforeTheyBegin() throws Exception {
    Files.write(disk.resolve("work/others"), new byte[(int) (50 * MIB)]);
    Abort abort = assertThrows(Abort.class, () -> root("1", 20 * MIB));
    assertEquals(ExitCode.FULL, abort.exitCode());
    assertTrue(abort.getMessage().contains("\"" + disk + "/work\" has room for"), abort.toString());
  }

  @Test
  void theJobsOfAUserDoNotTakeTheWholeDisk() throws Exception {
    String mine = "1." + UID + ".5";
    String second = "2." + UID + ".6";
    root(mine, 20 * MIB);
    Abort abort = assertThrows(Abort.class, () -> root(second, 20 * MIB));
    assertEquals(ExitCode.FULL, abort.exitCode());
    assertTrue(abort.getMessage().contains("your jobs may have"), abort.getMessage());
    changes.root("3." + (UID + 1) + ".7", image, UID + 1, GID, 20 * MIB);
    changes.end(mine);
    root(second, 20 * MIB);
  }

  @Test
  void aUserWhoseLayerTakesLongKeepsNoOtherWaiting() throws Exception {
    Path slow = directory.resolve("slow-volume");
    Files.writeString(
        slow,
        """
        #!/bin/sh
        : >%1$s.$3
        until [ $3 != %2$d ] || [ -e %1$s.go ]; do sleep 0.01; done
        exec %3$s "$@"
        """
            .formatted(slow, UID, PROGRAM));
    Files.setPosixFilePermissions(slow, PosixFilePermissions.fromString("rwx------"));
    disk();
    ChangesDisk hanging = new ChangesDisk(disk.resolve("work"), slow, 16 * MIB, HALF);
    changes = new Changes(directory(), Optional.of(hanging));
    CompletableFuture<Path> waits = CompletableFuture.supplyAsync(() -> anyRoot("1." + UID + ".5"));
    await("it has begun", () -> Files.exists(directory.resolve("slow-volume." + UID)));
    changes.root("2." + (UID + 1) + ".6", image, UID + 1, GID, MIB);
    assertFalse(waits.isDone());
    Files.createFile(directory.resolve("slow-volume.go"));
    waits.join();
  }

  private Path anyRoot(String job) {
    try {
      return root(job, MIB);
    } catch (Exception e) {
      throw new CompletionException(e);
    }
  }

  @Test
  void setuidProgramsAndDevicesDoNotCountInThem() throws Exception {
    Path layer = root("1", MIB).resolveSibling("layer");
    List<String> mounts = Files.readAllLines(Path.of("/proc/self/mounts"));
    String options =
        mounts.stream().filter(line -> line.contains(layer.toString())).findFirst().orElseThrow();
    assertTrue(options.contains("nosuid,nodev"), options);
    assertFalse(options.contains("tmpfs"), options);
  }

  @Test
  void aProgramThatIsNotThereIsTheSitesToMend() throws Exception {
    ChangesDisk none = new ChangesDisk(disk.resolve("work"), Path.of("/no/volume"), 0, HALF);
    changes = new Changes(directory(), Optional.of(none));
    Abort abort = assertThrows(Abort.class, () -> root("1", MIB));
    assertEquals(ExitCode.MISCONFIGURED, abort.exitCode());
    assertTrue(abort.getMessage().contains("/no/volume"), abort.getMessage());
  }
}
