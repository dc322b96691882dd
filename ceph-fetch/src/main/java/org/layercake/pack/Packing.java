package org.layercake.pack;

import static org.layercake.store.StoreException.Kind.DENIED;
import static org.layercake.store.StoreException.Kind.NOT_FOUND;

import java.io.BufferedInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
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
  private static final int TYPE = 0170000; // inode(7)
  private static final int FIFO = 0010000;

  private final Scratch scratch;
  private final PackWatcher watcher;
  private final Packer packer;
  private final Environment environment;
  private final Decompressor decompressor;

  public Packing(Scratch scratch, PackWatcher watcher) {
    this.scratch = scratch;
    this.watcher = watcher;
    this.packer = new Packer(scratch, watcher);
    this.environment = new Environment(scratch, watcher::tells);
    this.decompressor = new Decompressor(scratch, watcher::read);
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
  public Packed pack(Path source, InputStream stdin, Wanted wanted)
      throws StoreException, IOException {
    if (source.toString().equals("-")) {
      return explained(
          STANDARD_INPUT, () -> packStream(stdin, Optional.empty(), STANDARD_INPUT, wanted));
    }
    return explained(
        source.toString(),
        () -> Files.isDirectory(source) ? packDirectory(source, wanted) : packFile(source, wanted));
  }

  /**
   * Of an image that is being fetched: its layers are read while they come.
   *
   * @param wanted what it must be; its variant has been chosen already
   */
  public Packed pack(RegistryPull pull, Wanted wanted) throws StoreException, IOException {
    String name = pull.name();
    return explained(
        name,
        () -> {
          List<LayeredImage.Layer> arriving = pull.layers(decompressor);
          Whole whole = () -> pull.complete(decompressor, wanted.ofAnyVariant());
          return packLayers(arriving, pull.bytes(), whole, name, wanted);
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
          watcher.begins("packing " + name, 0);
          Packer.Tree tree = out -> DirectoryTree.packOpen(root.path(), out, watcher::read);
          return packed(packer.pack(tree, name), config);
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

  private Packed packDirectory(Path source, Wanted wanted) throws StoreException, IOException {
    Optional<LayeredImage> layered =
        !wanted.data() && LayeredImage.mayBe(source)
            ? LayeredImage.read(source, decompressor, wanted)
            : Optional.empty();
    if (layered.isPresent()) {
      return packLayers(layered.get(), source.toString(), wanted);
    }
    watcher.begins("packing " + source, 0);
    return tree(
        out -> DirectoryTree.pack(source, scratch.directory(), out, watcher::read),
        source.toString(),
        wanted);
  }

  private Packed packFile(Path source, Wanted wanted) throws StoreException, IOException {
    Optional<Path> again = requireFile(source) ? Optional.of(source) : Optional.empty();
    try (InputStream in = ImageStream.bounded(Files.newInputStream(source), Long.MAX_VALUE)) {
      return packStream(in, again, source.toString(), wanted);
    }
  }

  /**
   * In one pass where that is possible; what has to be a file is made one.
   *
   * @param file what the stream is from, if that can be read again
   */
  private Packed packStream(InputStream stream, Optional<Path> file, String name, Wanted wanted)
      throws StoreException, IOException {
    BufferedInputStream in = new BufferedInputStream(stream, HEADER_BYTES);
    byte[] header = peek(in);
    long bytes = file.isPresent() ? Files.size(file.get()) : 0;
    Optional<Embedded.Part> part = Embedded.find(header);
    if (part.isPresent()) {
      watcher.begins("reading " + name, bytes);
      return packSquashfs(spooled(in, part.get(), header, name), name, wanted);
    }
    if (Squashfs.mayBegin(header)) {
      return packSquashfs(
          file.isPresent()
              ? file.get()
              : spooled(ImageStream.counted(in, watcher::read), "stdin", name, bytes),
          name,
          wanted);
    }
    try (BufferedInputStream tar = decompressor.open(in)) {
      byte[] first = peek(tar);
      if (!TarReader.mayBegin(first)) {
        throw BadSource.of(name, OtherFormat.of(first));
      }
      boolean isCompressed = !Arrays.equals(first, header);
      if (isCompressed) { // the image is about as much, or half of that if files are there twice
        scratch.requireRoom("push " + name, bytes / 2);
      }
      Optional<PlainTar.Opener> again =
          file.map(path -> () -> decompressor.open(Files.newInputStream(path)));
      if (wanted.data() || !LayeredImage.mayBegin(first)) {
        return packPlainTar(tar, again, bytes, name, wanted);
      }
      return packArchive(
          file.isPresent() && !isCompressed ? file.get() : spooled(tar, "archive.tar", name, bytes),
          name,
          wanted);
    }
  }

  private Packed packSquashfs(Path image, String name, Wanted wanted)
      throws StoreException, IOException {
    Squashfs.require(image, name);
    String machine = Misfit.machine(environment.machine(image, name), Platform.UNKNOWN, wanted);
    return new Packed(image, environment.of(image, name, machine), Optional.empty());
  }

  /** A tar that does not begin like one of a root file system. */
  private Packed packArchive(Path tar, String name, Wanted wanted)
      throws StoreException, IOException {
    Optional<LayeredImage> layered = LayeredImage.read(tar, decompressor, wanted);
    if (layered.isPresent()) {
      return packLayers(layered.get(), name, wanted);
    }
    PlainTar.Opener opener = () -> new BufferedInputStream(Files.newInputStream(tar), HEADER_BYTES);
    try (InputStream in = opener.open()) {
      return packPlainTar(in, Optional.of(opener), Files.size(tar), name, wanted);
    }
  }

  /** In one pass, unless it turns out to hold a file twice. */
  private Packed packPlainTar(
      InputStream tar, Optional<PlainTar.Opener> again, long bytes, String name, Wanted wanted)
      throws StoreException, IOException {
    watcher.begins("packing " + name, bytes);
    try {
      return tree(out -> PlainTar.pack(tar, out), name, wanted);
    } catch (PackedInVain e) {
      if (again.isEmpty()) {
        throw new IOException(
            e.getMessage() + ", and cannot be read again (push it as a file, not by a pipe)", e);
      }
      watcher.begins("packing " + name + " once more, since " + e.getMessage(), 2 * bytes);
      return tree(out -> PlainTar.packTwice(again.get(), out), name, wanted);
    }
  }

  private Packed packLayers(LayeredImage layered, String name, Wanted wanted)
      throws StoreException, IOException {
    return packLayers(layered.layers(), layered.bytes(), () -> layered, name, wanted);
  }

  /** An image that is there once all of its layers have been read. */
  private interface Whole {
    LayeredImage image() throws StoreException, IOException;
  }

  /** In one pass, unless it turns out that names alone do not tell which files are hidden. */
  private Packed packLayers(
      List<LayeredImage.Layer> layers, long bytes, Whole whole, String name, Wanted wanted)
      throws StoreException, IOException {
    String act = "packing " + name + ", " + layers.size();
    act += layers.size() == 1 ? " layer" : " layers";
    Layers merged = new Layers(layers);
    watcher.begins(act, bytes);
    Packer.Result result;
    try {
      result = packer.pack(out -> required(whole, merged.packOnce(out), wanted), name);
    } catch (PackedInVain e) {
      watcher.begins(act + " once more, since " + e.getMessage(), bytes);
      result = packer.pack(out -> required(whole, merged.packAgain(out), wanted), name);
    }
    JsonTree config = whole.image().config();
    String machine = Misfit.machine(result.machine(), Platform.of(config), wanted);
    return packed(result, environment.of(result, name, config, machine));
  }

  private static FileTree required(Whole whole, FileTree tree, Wanted wanted) throws IOException {
    try {
      if (!whole.image().saysWhatRuns() && !wanted.isAnything()) {
        RootFileSystem.require(tree);
      }
      return tree;
    } catch (StoreException e) {
      throw new IOException(e.getMessage(), e);
    }
  }

  private Packed tree(Packer.Tree tree, String name, Wanted wanted)
      throws StoreException, IOException {
    Packer.Result result =
        packer.pack(
            out -> {
              FileTree written = tree.write(out);
              if (!wanted.isAnything()) {
                RootFileSystem.require(written);
              }
              return written;
            },
            name);
    String machine = Misfit.machine(result.machine(), Platform.UNKNOWN, wanted);
    return packed(result, environment.of(result, name, machine));
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

  /**
   * A stream that is to be read more than once; of a decompressor's its bytes are counted there.
   */
  private Path spooled(InputStream in, String as, String name, long bytes)
      throws StoreException, IOException {
    scratch.requireRoom("push " + name, bytes);
    watcher.begins("reading " + name, bytes);
    return spooled(in, as);
  }

  private Path spooled(InputStream in, String as) throws IOException {
    Path file = scratch.file(as);
    Files.copy(in, file);
    return file;
  }

  /** What is missing at its end is noticed by whoever reads it. */
  private Path spooled(BufferedInputStream in, Embedded.Part part, byte[] header, String name)
      throws StoreException, IOException {
    String nothing =
        part.bytes().isPresent()
            ? "truncated: its root file system is missing"
            : OtherFormat.of(header);
    for (long left = part.offset(), skipped; left > 0; left -= skipped) {
      skipped = in.skip(left);
      if (skipped == 0) {
        throw new IOException(nothing);
      }
    }
    byte[] superblock = peek(in);
    if (part.bytes().isEmpty() && !Squashfs.mayBegin(superblock)) {
      throw new IOException(nothing);
    }
    long bytes = part.bytes().orElseGet(() -> Squashfs.bytes(superblock));
    scratch.requireRoom("push " + name, bytes);
    InputStream squashfs = ImageStream.bounded(in, bytes);
    return spooled(ImageStream.counted(squashfs, watcher::read), "embedded");
  }

  /** Says whether it can be read again. */
  private static boolean requireFile(Path source) throws StoreException, IOException {
    if (!Files.exists(source)) {
      throw new StoreException(
          NOT_FOUND, "cannot push " + source + ": no such file or directory (check the path)");
    }
    boolean isFile = Files.isRegularFile(source);
    int type = (int) Files.getAttribute(source, "unix:mode") & TYPE;
    if (!isFile && type != FIFO) {
      throw BadSource.of(source.toString(), "neither a file, nor a pipe, nor a directory");
    }
    return isFile;
  }
}
