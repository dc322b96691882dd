package org.layercake.launcher.image;

import java.io.IOException;
import java.nio.file.Path;
import java.util.BitSet;
import java.util.List;
import org.layercake.launcher.node.Event;
import org.layercake.store.Image;
import org.layercake.store.ImageStore;
import org.layercake.store.StoreException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The programs that read an image on its way, by the words of their image servers: what they wait
 * for is put in order, and they are told when it is there.
 */
final class FillReaders {
  private static final Logger log = LoggerFactory.getLogger(FillReaders.class);

  private static final int URGENT = 0;
  private static final int LIKELY = 1;
  private static final int TOUCHED = 2;
  private static final int LOST = 3;

  private final FillFiles files;
  private final FillOrder order;
  private final int chunks;
  private final int waitSeconds;
  private final Runnable call;
  private final StartRecord startRecord = new StartRecord();

  // All guarded by this.
  private final BitSet asked = new BitSet();
  private final BitSet lost = new BitSet();
  private ReaderPipe pipe; // null before there are any
  private boolean closed;

  /**
   * @param waitSeconds how long a reader waits for one chunk
   * @param call run when something new is wanted
   */
  FillReaders(FillFiles files, FillOrder order, int waitSeconds, Runnable call) {
    this.files = files;
    this.order = order;
    this.chunks = files.map().chunks();
    this.waitSeconds = waitSeconds;
    this.call = call;
  }

  /** Answers the image server of a user, which has made its FIFOs, from now on. */
  synchronized void answer(long uid) throws IOException {
    answer(List.of(files.arrived(uid)));
  }

  /** Answers all image servers that an earlier launcher has started. */
  synchronized void answerAll() throws IOException {
    answer(files.allArrived());
  }

  private void answer(List<Path> arrived) throws IOException {
    if (closed) {
      return;
    }
    if (pipe == null) {
      pipe = files.openPipe(this::heard);
    }
    for (Path fifo : arrived) {
      pipe.ringAt(fifo);
    }
  }

  /** The server may be in the hands of a hostile image: what it says is bounded by the map. */
  private void heard(int chunk, int what) {
    if (chunk < 0 || chunk >= chunks) {
      return;
    }
    switch (what) {
      case URGENT -> {
        asked(chunk);
        order.want(chunk);
        call.run();
      }
      case LIKELY -> {
        asked(chunk);
        order.wantLater(chunk);
        call.run();
      }
      case TOUCHED -> startRecord.note(chunk);
      case LOST -> lost(chunk);
      default -> files.key().on(Event.UNKNOWN_WORD, log).addKeyValue("word", what).log();
    }
  }

  private synchronized void asked(int chunk) {
    asked.set(chunk);
  }

  private synchronized void lost(int chunk) {
    if (!lost.get(chunk)) {
      lost.set(chunk);
      files
          .key()
          .on(Event.READ_FAILED, log)
          .addKeyValue("chunk", chunk)
          .addKeyValue("seconds", waitSeconds)
          .log();
    }
  }

  /** The map says of this chunk what became of it. */
  synchronized void settled(int chunk) {
    if (asked.get(chunk)) {
      ring();
    }
  }

  /** Has all image servers look at the map. */
  synchronized void ring() {
    if (pipe != null) {
      pipe.ring();
    }
  }

  /** Where there were any, waits for the end of the first start and stores what it has read. */
  void recordStart(ImageFill.Stores stores, Image image)
      throws StoreException, InterruptedException {
    synchronized (this) {
      if (pipe == null) {
        return;
      }
    }
    startRecord.awaitEnd();
    ImageStore store = stores.get();
    startRecord.save(store, image);
  }

  synchronized void close() {
    closed = true;
    if (pipe != null) {
      pipe.close();
    }
  }
}
