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
import org.layercake.launcher.node.Background;
import org.layercake.launcher.node.Libc;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The two FIFOs through which the image servers of one image ask for chunks and are told that some
 * have come; docs/protocol.md, "Image servers".
 */
final class ReaderPipe implements Closeable {
  private static final Logger log = LoggerFactory.getLogger(ReaderPipe.class);
  private static final int RECORD_BYTES = 8;

  /** Hears what image servers say. They may be in the hands of a hostile image. */
  interface Listener {
    void heard(int chunk, int what);
  }

  private final FileChannel wanted;
  private final int arrived;
  private boolean open = true; // guarded by this, as is the use of arrived

  private ReaderPipe(FileChannel wanted, int arrived) {
    this.wanted = wanted;
    this.arrived = arrived;
  }

  /** Opens FIFOs that an image server has made, and listens until closed. */
  static ReaderPipe open(Path wanted, Path arrived, Listener listener) throws IOException {
    FileChannel requests = FileChannel.open(wanted, READ, WRITE);
    ReaderPipe pipe = null;
    try {
      pipe = new ReaderPipe(requests, Libc.openNonBlocking(arrived));
      Background.start("wanted", () -> hear(requests, listener));
      return pipe;
    } catch (IOException | RuntimeException | OutOfMemoryError e) {
      requests.close();
      if (pipe != null) {
        pipe.close();
      }
      throw e;
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
      log.warn("event=wanted-unreadable cause={}", e.toString());
    }
  }

  /** Tells the image servers to look at the map. Never waits: a full FIFO rings already. */
  synchronized void ring() {
    if (open) {
      Libc.writeByte(arrived);
    }
  }

  @Override
  public void close() {
    synchronized (this) {
      if (open) {
        open = false;
        Libc.close(arrived);
      }
    }
    try {
      wanted.close();
    } catch (IOException e) {
      log.warn("event=close-failed cause={}", e.toString());
    }
  }
}
