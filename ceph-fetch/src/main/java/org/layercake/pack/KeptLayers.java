package org.layercake.pack;

import java.io.BufferedInputStream;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.file.FileStore;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.function.LongConsumer;

/**
 * Layers that are decompressed once, though they are read twice: where there is plenty of room, a
 * layer's tar lies in the scratch directory from the first time to the second.
 */
final class KeptLayers {
  private static final String MEMORY = "tmpfs";
  private static final int BUFFER_BYTES = 1 << 16;

  private final LongConsumer read;
  private final List<Kept> layers = new ArrayList<>();
  private long room;

  /**
   * @param reserved bytes that others will need in the scratch directory
   * @param read told of so many more bytes of a tar that has been kept
   */
  KeptLayers(Scratch scratch, List<LayeredImage.Layer> layers, long reserved, LongConsumer read)
      throws IOException {
    this.read = read;
    FileStore place = Files.getFileStore(scratch.directory());
    room = place.type().equals(MEMORY) ? 0 : (place.getUsableSpace() - reserved) / 2;
    for (LayeredImage.Layer layer : layers) {
      this.layers.add(new Kept(layer, scratch.file("layer" + this.layers.size() + ".tar")));
    }
  }

  List<Kept> layers() {
    return layers;
  }

  /** So many bytes will be read the next time. */
  long bytes() throws IOException {
    long bytes = 0;
    for (Kept layer : layers) {
      bytes += layer.isWhole ? layer.bytes : layer.layer.bytes();
    }
    return bytes;
  }

  /** A layer, of which the first reading may leave the tar for the second. */
  final class Kept implements Layers.Layer {
    private final LayeredImage.Layer layer;
    private final Path file;
    private long bytes;
    private boolean isWhole;

    private Kept(LayeredImage.Layer layer, Path file) {
      this.layer = layer;
      this.file = file;
    }

    @Override
    public boolean isProved() {
      return layer.isProved();
    }

    @Override
    public InputStream open() throws IOException {
      if (isWhole) {
        InputStream kept = ImageStream.counted(Files.newInputStream(file), read);
        Files.delete(file); // its room is given back when it has been read
        isWhole = false;
        return new BufferedInputStream(kept, BUFFER_BYTES);
      }
      return room > 0 && layer.isCompressed()
          ? new BufferedInputStream(new Keeping(this, layer.open()), BUFFER_BYTES)
          : layer.open();
    }
  }

  private final class Keeping extends ImageStream {
    private final Kept kept;
    private OutputStream out; // null when it is not kept after all

    private Keeping(Kept kept, InputStream in) throws IOException {
      super(in);
      this.kept = kept;
      this.out = new FileOutputStream(kept.file.toFile());
    }

    @Override
    public int read(byte[] target, int offset, int length) throws IOException {
      int count = in.read(target, offset, length);
      if (count >= 0) {
        keep(target, offset, count);
      } else if (out != null) {
        out.close();
        out = null;
        kept.isWhole = true;
      }
      return count;
    }

    private void keep(byte[] bytes, int offset, int count) throws IOException {
      room -= count;
      kept.bytes += count;
      try {
        if (out != null && room > 0) {
          out.write(bytes, offset, count);
          return;
        }
      } catch (IOException e) {
        room = 0; // others have filled it
      }
      drop();
    }

    private void drop() throws IOException {
      if (out != null) {
        out.close();
        out = null;
        Files.deleteIfExists(kept.file);
      }
    }

    @Override
    public void close() throws IOException {
      drop();
      in.close();
    }
  }
}
