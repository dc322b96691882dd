package org.layercake.pack;

import static org.layercake.store.StoreException.Kind.DENIED;
import static org.layercake.store.StoreException.Kind.NOT_FOUND;

import java.io.BufferedInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Optional;
import java.util.function.Consumer;
import org.layercake.store.ImageConfig;
import org.layercake.store.StoreException;

/**
 * Makes a squashfs file of what users have. The only class that knows which formats a source may
 * have.
 *
 * <p>Files keep their modification times: with others, every .pyc would be stale. The root
 * directory has none of its own, so that the same tree makes the same image.
 */
public final class Packing {
  private static final String STANDARD_INPUT = "the standard input";
  private static final int HEADER_BYTES = 1 << 16;
  private static final int SQUASHFS_MAGIC = 0x73717368;
  private static final int SQUASHFS_SUPERBLOCK_BYTES = 96;
  private static final int SQUASHFS_MAJOR_OFFSET = 28;
  private static final int SQUASHFS_SIZE_OFFSET = 40;

  private final Scratch scratch;
  private final Consumer<String> tell;
  private final Packer packer;
  private final Environment environment;
  private final Decompressor decompressor;

  /**
   * @param tell takes lines for people
   * @param growing told of an image file that is about to be written, from its beginning to its end
   */
  public Packing(Scratch scratch, Consumer<String> tell, Consumer<Path> growing) {
    this.scratch = scratch;
    this.tell = tell;
    this.packer = new Packer(scratch, growing);
    this.environment = new Environment(scratch, tell);
    this.decompressor = new Decompressor(scratch);
  }

  /**
   * What there is to push.
   *
   * @param proof what has been packed; empty of a file that is pushed as it is
   */
  public record Packed(Path image, ImageConfig config, Optional<Proof> proof) {}

  /**
   * The source itself if it is a squashfs file, else one made of it, and what the image says about
   * how to run it.
   *
   * @param source a file or directory; "-" for {@code stdin}
   */
  public Packed pack(Path source, InputStream stdin) throws StoreException, IOException {
    if (source.toString().equals("-")) {
      return explained(STANDARD_INPUT, () -> packStream(stdin, Optional.empty(), STANDARD_INPUT));
    }
    return explained(
        source.toString(),
        () -> Files.isDirectory(source) ? packDirectory(source) : packFile(source));
  }

  /**
   * Of an image that is being fetched: its layers are read while they come.
   *
   * @param architecture that it must be for, in Go's words
   */
  public Packed pack(RegistryPull pull, String architecture) throws StoreException, IOException {
    String name = pull.name();
    return explained(
        name,
        () -> {
          Layers merged = Layers.read(pull.layers(decompressor));
          LayeredImage image = pull.complete(decompressor);
          String its = image.config().get("architecture").text();
          if (!its.isEmpty() && !its.equals(architecture)) {
            throw BadSource.of(
                name,
                "it is for "
                    + its
                    + ", not "
                    + architecture
                    + " (if so wanted: --arch="
                    + its
                    + ")");
          }
          tell.accept("packing " + name + " (" + image.layers().size() + " layers)");
          Packer.Result result = packer.pack(merged::pack, name);
          return packed(result, environment.of(result, name, image.config()));
        });
  }

  /**
   * Of a container, without what is mounted there.
   *
   * @param config of the image that comes of it
   */
  public Packed pack(ContainerRoot root, ImageConfig config) throws StoreException, IOException {
    String name = "the container";
    return explained(
        name,
        () -> {
          tell.accept("packing " + name);
          return packed(packer.pack(out -> DirectoryTree.packOpen(root.path(), out), name), config);
        });
  }

  private interface Act {
    Packed run() throws StoreException, IOException;
  }

  /** Says what of a source is wrong. */
  private Packed explained(String name, Act act) throws StoreException, IOException {
    try {
      return act.run();
    } catch (AccessDeniedException e) {
      throw new StoreException(
          DENIED,
          "cannot push "
              + name
              + ": cannot read \""
              + e.getFile()
              + "\": permission denied (make it readable for you)",
          e);
    } catch (FileSystemException e) {
      throw e;
    } catch (IOException e) {
      if (e.getCause() instanceof StoreException known) {
        throw known;
      }
      if (StoreException.saysNoRoom(e)) {
        throw scratch.full("unpack " + name, e.getMessage());
      }
      throw BadSource.of(name, e.getMessage());
    }
  }

  private Packed packDirectory(Path source) throws StoreException, IOException {
    if (!LayeredImage.isImage(source)) {
      tell.accept("packing " + source);
      return tree(out -> DirectoryTree.pack(source, scratch.directory(), out), source.toString());
    }
    Optional<LayeredImage> layered = LayeredImage.read(source, decompressor);
    return packLayers(
        layered.orElseThrow(() -> new IOException("its index or manifest leads out of it")),
        source.toString());
  }

  private Packed packFile(Path source) throws StoreException, IOException {
    requireFile(source);
    try (InputStream in = Files.newInputStream(source)) {
      return packStream(in, Optional.of(source), source.toString());
    }
  }

  /**
   * In one pass where that is possible; what has to be a file is made one.
   *
   * @param file what the stream is from, if that can be read again
   */
  private Packed packStream(InputStream stream, Optional<Path> file, String name)
      throws StoreException, IOException {
    BufferedInputStream in = new BufferedInputStream(stream, HEADER_BYTES);
    byte[] header = peek(in);
    if (isSquashfs(header)) {
      Path image = file.isPresent() ? file.get() : spooled(in, "stdin");
      checkComplete(image, name, header);
      return new Packed(image, environment.of(image, name), Optional.empty());
    }
    try (BufferedInputStream tar = decompressor.open(in)) {
      byte[] first = peek(tar);
      if (!TarReader.mayBegin(first)) {
        throw BadSource.of(name, "not a squashfs or tar file (plain, gz, xz, zst) nor a directory");
      }
      if (!LayeredImage.mayBegin(first)) {
        return packPlainTar(tar, name);
      }
      boolean isCompressed = !Arrays.equals(first, header);
      return packArchive(
          file.isPresent() && !isCompressed ? file.get() : spooled(tar, "archive.tar"), name);
    }
  }

  /** A tar that begins like one of layers. */
  private Packed packArchive(Path tar, String name) throws StoreException, IOException {
    Optional<LayeredImage> layered = LayeredImage.read(tar, decompressor);
    if (layered.isPresent()) {
      return packLayers(layered.get(), name);
    }
    try (InputStream in = new BufferedInputStream(Files.newInputStream(tar), HEADER_BYTES)) {
      return packPlainTar(in, name);
    }
  }

  private Packed packPlainTar(InputStream tar, String name) throws StoreException, IOException {
    tell.accept("packing " + name);
    return tree(out -> PlainTar.pack(tar, out), name);
  }

  private Packed packLayers(LayeredImage layered, String name) throws StoreException, IOException {
    tell.accept("packing " + name + " (" + layered.layers().size() + " layers)");
    Layers merged = Layers.read(layered.layers());
    Packer.Result result = packer.pack(merged::pack, name);
    return packed(result, environment.of(result, name, layered.config()));
  }

  private Packed tree(Packer.Tree tree, String name) throws StoreException, IOException {
    Packer.Result result = packer.pack(tree, name);
    return packed(result, environment.of(result, name));
  }

  private static Packed packed(Packer.Result result, ImageConfig config) throws IOException {
    return new Packed(result.image(), config, Optional.of(result.proof()));
  }

  private static byte[] peek(BufferedInputStream in) throws IOException {
    in.mark(HEADER_BYTES);
    byte[] header = in.readNBytes(HEADER_BYTES);
    in.reset();
    return header;
  }

  private Path spooled(InputStream in, String as) throws IOException {
    Path file = scratch.file(as);
    Files.copy(in, file);
    return file;
  }

  private static void requireFile(Path source) throws StoreException {
    if (!Files.exists(source)) {
      throw new StoreException(
          NOT_FOUND, "cannot push " + source + ": no such file or directory (check the path)");
    }
    if (!Files.isRegularFile(source)) {
      throw BadSource.of(source.toString(), "neither a file nor a directory");
    }
  }

  private static boolean isSquashfs(byte[] header) {
    return header.length >= SQUASHFS_SUPERBLOCK_BYTES
        && littleEndian(header).getInt(0) == SQUASHFS_MAGIC;
  }

  private static void checkComplete(Path source, String name, byte[] header)
      throws StoreException, IOException {
    ByteBuffer superblock = littleEndian(header);
    long size = superblock.getLong(SQUASHFS_SIZE_OFFSET);
    if (superblock.getShort(SQUASHFS_MAJOR_OFFSET) != 4) {
      throw BadSource.of(name, "not a squashfs file of version 4");
    }
    if (size < 0 || size > Files.size(source)) {
      throw BadSource.of(
          name, "truncated: its superblock says " + size + " bytes, it has " + Files.size(source));
    }
  }

  private static ByteBuffer littleEndian(byte[] bytes) {
    return ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
  }
}
