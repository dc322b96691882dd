package org.layercake.launcher.image;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.BitSet;
import java.util.List;
import java.util.Random;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.layercake.launcher.node.Abort;
import org.layercake.launcher.node.Await;
import org.layercake.store.ExitCode;
import org.layercake.store.Filler;
import org.layercake.store.Image;

/** The files of an image on its way, and what goes through its FIFOs; the test is its server. */
@Timeout(120)
class FillFilesTest {
  private static final long UID = 1000;
  private static final ImageMounts.ServerStart NOT_YET =
      (file, filling) -> {
        throw new AssertionError("the image is not published");
      };

  @TempDir Path directory;
  private TestStore store;
  private CacheLayout layout;
  private ImageKey key;
  private FillFiles files;

  @BeforeEach
  void begin() throws Exception {
    store = new TestStore(directory.resolve("store"));
    layout = new CacheLayout(directory.resolve("cache"), directory.resolve("run"));
    layout.prepare();
    byte[] bytes = new byte[8 << 20];
    new Random(1).nextBytes(bytes);
    Image image =
        store.push(
            System.getProperty("user.name"),
            "one",
            Files.write(directory.resolve("packed"), bytes));
    key = ImageKey.of(image);
    files = FillFiles.create(layout, image);
  }

  @AfterEach
  void end() {
    files.close();
    store.close();
  }

  private boolean areThere() {
    return List.of(layout.fillMap(key), layout.fillSource(key)).stream().allMatch(Files::exists);
  }

  @Test
  void theFilesStayWhileAServerOpensThemThoughTheImageIsPublished() throws Exception {
    files.serve(
        UID,
        NOT_YET,
        (file, filling) -> {
          assertEquals(layout.staging(key), file);
          publish();
          assertTrue(areThere());
          assertEquals(layout.fillMap(key).toString(), filling.get(0));
          return null;
        },
        7);
    assertFalse(areThere());
  }

  @Test
  void aServerThatComesTooLateForTheFilesGetsTheImage() throws Exception {
    Path[] served = new Path[1];
    files.serve(
        UID,
        (file, filling) -> {
          served[0] = file;
          return null;
        },
        (file, filling) -> {
          publish();
          throw new Abort(ExitCode.INPUT, "no such file");
        },
        7);
    assertEquals(layout.image(key), served[0]);
    assertFalse(areThere());
  }

  @Test
  void aServerThatFailsWhileTheImageIsOnItsWaySaysSo() {
    ImageMounts.ServerStart fails =
        (file, filling) -> {
          throw new Abort(ExitCode.INTERNAL, "no luck");
        };
    assertThrows(Abort.class, () -> files.serve(UID, NOT_YET, fails, 7));
    assertTrue(areThere());
  }

  private void publish() {
    try {
      files.publish();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  @Test
  void whatAReaderWaitsForComesFirstAndAllAreToldWhenItIsThere() throws Exception {
    Path mine = files.arrived(UID);
    Path another = files.arrived(UID + 1);
    for (Path fifo : List.of(layout.fillWanted(key), mine, another)) {
      assertEquals(0, new ProcessBuilder("mkfifo", fifo.toString()).start().waitFor());
    }
    BitSet missing = files.map().missing();
    int last = missing.length() - 1;
    assertTrue(last > 2);
    FillOrder order = new FillOrder(missing, 1_000_000_000, () -> 0);
    AtomicInteger calls = new AtomicInteger();
    FillReaders readers = new FillReaders(files, order, 7, calls::incrementAndGet);
    try (RandomAccessFile wanted = new RandomAccessFile(layout.fillWanted(key).toFile(), "rw");
        RandomAccessFile first = new RandomAccessFile(mine.toFile(), "rw");
        RandomAccessFile second = new RandomAccessFile(another.toFile(), "rw")) {
      readers.answer(UID);
      readers.answer(UID + 1);
      readers.answer(UID); // again, as of a server that has died
      wanted.write(record(1 << 30, 0));
      wanted.write(record(-1, 0));
      wanted.write(record(last, 0));
      Await.await("it is heard", () -> calls.get() > 0);
      assertEquals(1, calls.get(), "chunks that there are not do not count");
      assertEquals(new Filler.Chunk(last), order.next(0));
      readers.settled(0);
      readers.settled(last);
      byte[] rings = new byte[8];
      for (RandomAccessFile arrived : List.of(first, second)) {
        assertEquals(1, arrived.read(rings), "once, for the chunk that was asked for");
      }
    } finally {
      readers.close();
    }
  }

  @Test
  void aRestartRingsAtTheServersOfAllUsers() throws Exception {
    List<Path> fifos = List.of(files.arrived(UID), files.arrived(UID + 1));
    for (Path fifo : List.of(layout.fillWanted(key), fifos.get(0), fifos.get(1))) {
      assertEquals(0, new ProcessBuilder("mkfifo", fifo.toString()).start().waitFor());
    }
    FillOrder order = new FillOrder(files.map().missing(), 1_000_000_000, () -> 0);
    FillReaders readers = new FillReaders(files, order, 7, () -> {});
    try (RandomAccessFile first = new RandomAccessFile(fifos.get(0).toFile(), "rw");
        RandomAccessFile second = new RandomAccessFile(fifos.get(1).toFile(), "rw")) {
      readers.answerAll();
      readers.ring();
      for (RandomAccessFile arrived : List.of(first, second)) {
        assertEquals(1, arrived.read(new byte[8]));
      }
    } finally {
      readers.close();
    }
    files.publish();
    assertEquals(List.of(), files.allArrived());
  }

  private static byte[] record(int chunk, int word) {
    return ByteBuffer.allocate(8).order(ByteOrder.LITTLE_ENDIAN).putInt(chunk).putInt(word).array();
  }
}
