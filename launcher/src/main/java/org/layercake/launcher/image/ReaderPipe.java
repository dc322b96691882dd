package org.layercake.launcher.image;

import static java.nio.file.StandardOpenOption.READ;
import static java.nio.file.StandardOpenOption.WRITE;

import java.io.Closeable;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.ClosedChannelException;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import org.layercake.launcher.node.Background;
import org.layercake.launcher.node.Event;
import org.layercake.launcher.node.Libc;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The FIFOs through which the image servers of one image ask for chunks, all by the same, and are
 * told that some have come, each by its own; docs/protocol.md, "Image servers".
 */
final class ReaderPipe implements Closeable {
  private static final Logger log = LoggerFactory.getLogger(ReaderPipe.class);
  private static final int RECORD_BYTES = 8;

  /** Hears what image servers say. They may be in the hands of a hostile image. */
  interface Listener {
    void heard(int chunk, int what);
  }

  private final FileChannel wanted;
  private final Map<Path, Integer> arrived = new HashMap<>(); // descriptors; guarded by this
  private boolean open = true; // guarded by this

  private ReaderPipe(FileChannel wanted) {
    this.wanted = wanted;
  }

  /** Opens the FIFO that image servers write to, and listens until closed. */
  static ReaderPipe open(Path wanted, Listener listener) throws IOException {
    FileChannel requests = FileChannel.open(wanted, READ, WRITE);
    try {
      Background.start("wanted", () -> hear(requests, listener));
      return new ReaderPipe(requests);
    } catch (RuntimeException | OutOfMemoryError e) {
      requests.close();
      throw e;
    }
  }

  /** Rings at the FIFO of another image server, too, from now on. */
  synchronized void ringAt(Path fifo) throws IOException {
    if (open && !arrived.containsKey(fifo)) {
      arrived.put(fifo, Libc.openNonBlocking(fifo));
    }
  }

  private static void hear(FileChannel requests, Listener listener) {
    ByteBuffer records = ByteBuffer.allocate(512 * RECORD_BYTES).order(ByteOrder.LITTLE_ENDIAN);
    try {
      while (requests.read(records) >= 0) {
        records.flip();
        while (records.remaining() >= RECORD_BYTES) {
          listener.heard(records.getInt(), records.getInt());
        }
        records.compact();
      }
    } catch (ClosedChannelException e) {
      // Nobody listens any more.
    } catch (IOException e) {
      Event.WANTED_UNREADABLE.on(log).addKeyValue("cause", e.toString()).log();
    }
  }

  /** Tells the image servers to look at the map. Never waits: a full FIFO rings already. */
  synchronized void ring() {
    arrived.values().forEach(Libc::writeByte);
  }

  @Override
  public void close() {
    synchronized (this) {
      open = false;
      arrived.values().forEach(Libc::close);
      arrived.clear();
    }
    try {
      wanted.close();
    } catch (IOException e) {
      Event.CLOSE_FAILED.on(log).addKeyValue("cause", e.toString()).log();
    }
  }
}
