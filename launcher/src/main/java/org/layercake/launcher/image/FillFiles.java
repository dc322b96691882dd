package org.layercake.launcher.image;

import static java.nio.file.StandardOpenOption.CREATE;
import static java.nio.file.StandardOpenOption.READ;
import static java.nio.file.StandardOpenOption.TRUNCATE_EXISTING;
import static java.nio.file.StandardOpenOption.WRITE;

import java.io.Closeable;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.List;
import org.layercake.launcher.node.Abort;
import org.layercake.launcher.node.Event;
import org.layercake.launcher.node.Program;
import org.layercake.store.Image;
import org.layercake.store.ImageName;
import org.layercake.store.Manifest;
import org.layercake.store.StoreException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The files of one image on its way, from the first byte until it is published or given up. They
 * are not removed while an image server opens them.
 */
final class FillFiles implements Closeable {
  private static final Logger log = LoggerFactory.getLogger(FillFiles.class);

  private final CacheLayout layout;
  private final ImageKey key;
  private final ImageName source;
  private final FillMap map;
  private final FileChannel file;
  private int serversStarting; // guarded by this, whether or not the fill goes on
  private boolean published; // guarded by this

  private FillFiles(
      CacheLayout layout, ImageKey key, ImageName source, FillMap map, FileChannel file) {
    this.layout = layout;
    this.key = key;
    this.source = source;
    this.map = map;
    this.file = file;
  }

  /** Makes the files of a fill of which nothing is there yet. */
  static FillFiles create(CacheLayout layout, Image image) throws IOException {
    ImageKey key = ImageKey.of(image);
    Files.deleteIfExists(layout.fillWanted(key));
    for (Path arrived : layout.fillsArrived(key)) {
      Files.delete(arrived);
    }
    FileChannel file =
        FileChannel.open(layout.staging(key), CREATE, TRUNCATE_EXISTING, READ, WRITE);
    FillMap map = null;
    try {
      file.write(ByteBuffer.allocate(1), image.manifest().size() - 1);
      map = FillMap.create(layout.fillMap(key), image.manifest().chunks());
      layout.writeFillSource(key, image.pinned().toString());
      return new FillFiles(layout, key, image.pinned(), map, file);
    } catch (IOException | RuntimeException | OutOfMemoryError e) {
      closeAll(file, map);
      throw e;
    }
  }

  /** Opens those that an earlier launcher left. */
  static FillFiles open(CacheLayout layout, ImageKey key) throws IOException, StoreException {
    ImageName source = ImageName.parse(layout.readFillSource(key));
    FillMap map = FillMap.open(layout.fillMap(key));
    try {
      FileChannel file = FileChannel.open(layout.staging(key), READ, WRITE);
      return new FillFiles(layout, key, source, map, file);
    } catch (IOException | RuntimeException | OutOfMemoryError e) {
      closeAll(map);
      throw e;
    }
  }

  private static void closeAll(Closeable... all) {
    for (Closeable each : all) {
      try {
        if (each != null) {
          each.close();
        }
      } catch (IOException e) {
        Event.CLOSE_FAILED.on(log).addKeyValue("cause", e.toString()).log();
      }
    }
  }

  ImageKey key() {
    return key;
  }

  /** The image's pinned name. */
  ImageName source() {
    return source;
  }

  /** Which chunks are there. To be guarded by whoever fills. */
  FillMap map() {
    return map;
  }

  void write(long offset, ByteBuffer content) throws IOException {
    long at = offset;
    while (content.hasRemaining()) {
      at += file.write(content, at);
    }
  }

  /**
   * Has an image server of a user started on the files, or on the image if it is published by then.
   *
   * @param waitSeconds how long the server waits for one chunk
   */
  Program serve(
      long uid, ImageMounts.ServerStart published, ImageMounts.ServerStart filling, int waitSeconds)
      throws Abort, InterruptedException {
    if (beginServing()) {
      try {
        return filling.with(
            layout.staging(key),
            List.of(
                layout.fillMap(key).toString(),
                layout.fillWanted(key).toString(),
                arrived(uid).toString(),
                Integer.toString(waitSeconds)));
      } catch (Abort e) {
        if (!isPublished()) {
          throw e;
        }
        key.on(Event.PUBLISHED_MEANWHILE, log).log();
      } finally {
        endServing();
      }
    }
    return published.with(layout.image(key), List.of());
  }

  private synchronized boolean beginServing() {
    serversStarting += published ? 0 : 1;
    return !published;
  }

  private synchronized void endServing() {
    serversStarting--;
    if (published && serversStarting == 0) {
      delete(layout, key);
    }
  }

  private synchronized boolean isPublished() {
    return published;
  }

  /** Opens the FIFO to us that an image server has made. */
  ReaderPipe openPipe(ReaderPipe.Listener listener) throws IOException {
    return ReaderPipe.open(layout.fillWanted(key), listener);
  }

  /** The FIFO to a user's image server. */
  Path arrived(long uid) {
    return layout.fillArrived(new MountKey(key, uid));
  }

  /** Those to the image servers of all users. */
  List<Path> allArrived() throws IOException {
    return layout.fillsArrived(key);
  }

  /** Makes the complete image one that outlives a crash. */
  void force(Manifest manifest) throws IOException {
    file.force(true);
    layout.writeManifest(key, manifest);
  }

  /**
   * Makes the complete image one of the cache. From then on we do not hold its file: the room of an
   * evicted image must be free at once.
   */
  synchronized void publish() throws IOException {
    Files.move(layout.staging(key), layout.image(key), StandardCopyOption.ATOMIC_MOVE);
    published = true;
    close();
    if (serversStarting == 0) {
      delete(layout, key);
    }
  }

  @Override
  public void close() {
    closeAll(file, map);
  }

  /** Removes the files of a fill that nobody goes on with. */
  static void delete(CacheLayout layout, ImageKey key) {
    List<Path> paths = new ArrayList<>();
    try {
      paths.addAll(layout.fillsArrived(key));
    } catch (IOException e) {
      key.on(Event.CACHE_UNREADABLE, log).addKeyValue("cause", e.toString()).log();
    }
    paths.addAll(
        List.of(
            layout.fillSource(key),
            layout.fillMap(key),
            layout.fillWanted(key),
            layout.staging(key)));
    for (Path path : paths) {
      try {
        Files.deleteIfExists(path);
      } catch (IOException e) {
        Event.DELETE_FAILED
            .on(log)
            .addKeyValue("file", path)
            .addKeyValue("cause", e.toString())
            .log();
      }
    }
  }
}
