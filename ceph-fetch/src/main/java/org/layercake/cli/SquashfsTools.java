package org.layercake.cli;

import static java.nio.file.StandardOpenOption.READ;
import static java.nio.file.StandardOpenOption.WRITE;
import static org.layercake.store.StoreException.Kind.BAD_SOURCE;
import static org.layercake.store.StoreException.Kind.DENIED;
import static org.layercake.store.StoreException.Kind.FULL;
import static org.layercake.store.StoreException.Kind.NOT_FOUND;

import java.io.BufferedInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.TreeMap;
import java.util.function.Consumer;
import org.layercake.store.ImageConfig;
import org.layercake.store.StoreException;

/**
 * Makes a squashfs file of what users have, and looks into it. The only class that knows
 * squashfs-tools and the formats of sources.
 *
 * <p>Files keep their modification times: with others, every .pyc would be stale. Only the
 * superblock's and the root directory's time are zeroed, so that the same tree makes the same
 * image. The inode table is not compressed: it costs 0.2 % and lets the chunker find what has not
 * changed in it.
 */
final class SquashfsTools {
  private static final List<String> MKSQUASHFS_OPTIONS =
      List.of(
          "-noappend",
          "-comp",
          "zstd",
          "-Xcompression-level",
          "3",
          "-b",
          "131072",
          "-noI",
          "-all-root",
          "-root-mode",
          "755",
          "-root-time",
          "0",
          "-mkfs-time",
          "0",
          "-exit-on-error",
          "-no-progress",
          "-quiet");

  // mksquashfs 4.5 takes all of a directory's attributes or none: among them would be the labels
  // of this machine's SELinux. Of device nodes and sockets nothing could be made.
  private static final List<String> TREE_OPTIONS =
      List.of("-no-xattrs", "-action", "exclude@type(b)||type(c)||type(s)");
  // What is in a tar has been chosen when it was written.
  private static final List<String> TAR_OPTIONS = List.of("-tar", "-xattrs");

  private static final Path STANDARD_INPUT = Path.of("the standard input");
  private static final int HEADER_BYTES = 1 << 16;
  private static final int SQUASHFS_MAGIC = 0x73717368;
  private static final int SQUASHFS_SUPERBLOCK_BYTES = 96;
  private static final int SQUASHFS_MAJOR_OFFSET = 28;
  private static final int SQUASHFS_ROOT_INODE_OFFSET = 32;
  private static final int SQUASHFS_SIZE_OFFSET = 40;
  private static final int SQUASHFS_INODE_TABLE_OFFSET = 64;
  private static final int SQUASHFS_MTIME_OFFSET = 8;
  private static final int MAX_ENVIRONMENT_BYTES = 64 * 1024;

  private final Scratch scratch;
  private final Progress progress;
  private final Consumer<Path> growing;
  private final Decompressor decompressor;

  /**
   * @param growing told of an image file that is about to be written
   */
  SquashfsTools(Scratch scratch, Progress progress, Consumer<Path> growing) {
    this.scratch = scratch;
    this.progress = progress;
    this.growing = growing;
    this.decompressor = new Decompressor(scratch);
  }

  /** What there is to push. */
  record Packed(Path image, ImageConfig config) {}

  /**
   * The source itself if it is a squashfs file, else one made of it, and what the image says about
   * how to run it.
   *
   * @param source a file or directory; "-" for {@code stdin}
   */
  Packed pack(Path source, InputStream stdin) throws StoreException, IOException {
    boolean isStdin = source.toString().equals("-");
    Path name = isStdin ? STANDARD_INPUT : source;
    try {
      if (isStdin) {
        return packStream(stdin, Optional.empty(), name);
      }
      return Files.isDirectory(source) ? packDirectory(source) : packFile(source);
    } catch (FileSystemException e) {
      throw e;
    } catch (IOException e) {
      if (e.getCause() instanceof StoreException known) {
        throw known;
      }
      if (StoreException.saysNoRoom(e)) {
        throw e; // a full disk is not the source's fault
      }
      throw badSource(name, e.getMessage());
    }
  }

  private Packed packDirectory(Path source) throws StoreException, IOException {
    if (!LayeredImage.isLayout(source)) {
      return plain(packTree(source), source);
    }
    Optional<LayeredImage> layered = LayeredImage.read(source, decompressor);
    return packLayers(
        layered.orElseThrow(() -> new IOException("its oci-layout or index.json leads out of it")),
        source);
  }

  private Packed packFile(Path source) throws StoreException, IOException {
    requireFile(source);
    try (InputStream in = Files.newInputStream(source)) {
      return packStream(in, Optional.of(source), source);
    } catch (AccessDeniedException e) {
      throw new StoreException(
          DENIED, "cannot push " + source + ": permission denied (make it readable for you)", e);
    }
  }

  /**
   * In one pass where that is possible; what has to be a file is made one.
   *
   * @param file what the stream is from, if that can be read again
   */
  private Packed packStream(InputStream stream, Optional<Path> file, Path name)
      throws StoreException, IOException {
    BufferedInputStream in = new BufferedInputStream(stream, HEADER_BYTES);
    byte[] header = peek(in);
    if (isSquashfs(header)) {
      Path image = file.isPresent() ? file.get() : spooled(in, "stdin");
      return plain(checkComplete(image, name, header), name);
    }
    try (BufferedInputStream tar = decompressor.open(in)) {
      byte[] first = peek(tar);
      if (!TarReader.mayBegin(first)) {
        throw badSource(name, "not a squashfs or tar file (plain, gz, xz, zst) nor a directory");
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
  private Packed packArchive(Path tar, Path name) throws StoreException, IOException {
    Optional<LayeredImage> layered = LayeredImage.read(tar, decompressor);
    if (layered.isPresent()) {
      return packLayers(layered.get(), name);
    }
    try (InputStream in = new BufferedInputStream(Files.newInputStream(tar), HEADER_BYTES)) {
      return packPlainTar(in, name);
    }
  }

  private Packed packPlainTar(InputStream tar, Path name) throws StoreException, IOException {
    progress.say("packing " + name);
    return plain(packTar(out -> PlainTar.copy(tar, out), name), name);
  }

  private Packed packLayers(LayeredImage layered, Path name) throws StoreException, IOException {
    progress.say("packing " + name + " (" + layered.layers().size() + " layers)");
    Layers merged = Layers.read(layered.layers());
    Path image = packTar(merged::write, name);
    return new Packed(image, layeredConfig(image, name, layered.config()));
  }

  private Packed plain(Path image, Path name) throws StoreException, IOException {
    return new Packed(image, config(image, name, new ArrayList<>(), ImageConfig.Run.NONE, ""));
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

  private ImageConfig layeredConfig(Path image, Path name, JsonTree document)
      throws StoreException, IOException {
    JsonTree config = document.get("config");
    List<String> variables = new ArrayList<>();
    for (JsonTree variable : config.get("Env").items()) {
      addVariable(variable.text(), variables);
    }
    try {
      ImageConfig.Run run =
          new ImageConfig.Run(
              config.get("WorkingDir").text(),
              texts(config.get("Entrypoint")),
              texts(config.get("Cmd")),
              config.get("User").text(),
              new TreeMap<>(config.get("Labels").strings()));
      return config(image, name, variables, run, document.get("architecture").text());
    } catch (IllegalArgumentException e) {
      throw badSource(name, "it has " + e.getMessage());
    }
  }

  private static List<String> texts(JsonTree array) {
    return array.items().stream().map(JsonTree::text).toList();
  }

  /** Adds what the image's own file says to what its configuration does. */
  private ImageConfig config(
      Path image, Path name, List<String> variables, ImageConfig.Run run, String architecture)
      throws StoreException, IOException {
    variables.addAll(environment(image, name));
    String machine = architecture.isEmpty() ? System.getProperty("os.arch") : architecture;
    try {
      return new ImageConfig(
          variables, machine.replace("amd64", "x86_64").replace("arm64", "aarch64"), run);
    } catch (IllegalArgumentException e) {
      throw badSource(name, "its environment has " + e.getMessage());
    }
  }

  private static void requireFile(Path source) throws StoreException {
    if (!Files.exists(source)) {
      throw new StoreException(
          NOT_FOUND, "cannot push " + source + ": no such file or directory (check the path)");
    }
    if (!Files.isRegularFile(source)) {
      throw badSource(source, "neither a file nor a directory");
    }
  }

  private static boolean isSquashfs(byte[] header) {
    return header.length >= SQUASHFS_SUPERBLOCK_BYTES
        && littleEndian(header).getInt(0) == SQUASHFS_MAGIC;
  }

  private static Path checkComplete(Path source, Path name, byte[] header)
      throws StoreException, IOException {
    ByteBuffer superblock = littleEndian(header);
    long size = superblock.getLong(SQUASHFS_SIZE_OFFSET);
    if (superblock.getShort(SQUASHFS_MAJOR_OFFSET) != 4) {
      throw badSource(name, "not a squashfs file of version 4");
    }
    if (size < 0 || size > Files.size(source)) {
      throw badSource(
          name, "truncated: its superblock says " + size + " bytes, it has " + Files.size(source));
    }
    return source;
  }

  private static ByteBuffer littleEndian(byte[] bytes) {
    return ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
  }

  private Path packTree(Path directory) throws StoreException, IOException {
    progress.say("packing " + directory);
    Path image = scratch.file("image.sqfs");
    String source = directory.toRealPath().toString();
    Program mksquashfs = startPacking(source, image, TREE_OPTIONS);
    mksquashfs.process().getOutputStream().close();
    requirePacked(mksquashfs, directory);
    return image;
  }

  /** What writes a tar for mksquashfs. */
  private interface Tar {
    void write(OutputStream out) throws IOException;
  }

  private Path packTar(Tar tar, Path name) throws StoreException, IOException {
    Path image = scratch.file("image.sqfs");
    Program mksquashfs = startPacking("-", image, TAR_OPTIONS);
    writeTar(tar, mksquashfs.process());
    requirePacked(mksquashfs, name);
    zeroRootTime(image);
    return image;
  }

  /** When mksquashfs wants no more, its complaint says more than our broken pipe. */
  private static void writeTar(Tar tar, Process mksquashfs) throws IOException {
    boolean[] refused = new boolean[1];
    OutputStream pipe = mksquashfs.getOutputStream();
    OutputStream out =
        new OutputStream() {
          @Override
          public void write(int b) throws IOException {
            write(new byte[] {(byte) b}, 0, 1);
          }

          @Override
          public void write(byte[] bytes, int offset, int length) throws IOException {
            try {
              pipe.write(bytes, offset, length);
              pipe.flush();
            } catch (IOException e) {
              refused[0] = true;
              throw e;
            }
          }
        };
    try {
      tar.write(out);
      pipe.close();
    } catch (IOException e) {
      if (!refused[0]) {
        mksquashfs.destroyForcibly();
        throw e;
      }
    }
  }

  /**
   * mksquashfs gives the root directory of a tar the time of day and ignores -root-time. With an
   * uncompressed inode table the root inode's mtime lies in the open; see the squashfs format's
   * description, "Metadata blocks" and "Common inode header".
   */
  private static void zeroRootTime(Path image) throws IOException {
    try (FileChannel file = FileChannel.open(image, READ, WRITE)) {
      ByteBuffer superblock = littleEndian(new byte[SQUASHFS_SUPERBLOCK_BYTES]);
      file.read(superblock, 0);
      long rootInode = superblock.getLong(SQUASHFS_ROOT_INODE_OFFSET);
      long block = superblock.getLong(SQUASHFS_INODE_TABLE_OFFSET) + (rootInode >>> 16);
      ByteBuffer blockHeader = littleEndian(new byte[Short.BYTES]);
      file.read(blockHeader, block);
      long mtime = block + Short.BYTES + (rootInode & 0xffff) + SQUASHFS_MTIME_OFFSET;
      boolean uncompressed = blockHeader.getShort(0) < 0;
      if (uncompressed) {
        file.write(ByteBuffer.allocate(Integer.BYTES), mtime);
      }
    }
  }

  private Program startPacking(String source, Path image, List<String> options)
      throws StoreException, IOException {
    growing.accept(image);
    List<String> command = new ArrayList<>(List.of("mksquashfs", source, image.toString()));
    command.addAll(MKSQUASHFS_OPTIONS);
    command.addAll(options);
    return Program.start(scratch, command);
  }

  private static void requirePacked(Program mksquashfs, Path source) throws StoreException {
    if (mksquashfs.await() == 0) {
      return;
    }
    String complaint = mksquashfs.complaint();
    if (complaint.contains("No space left")) {
      throw new StoreException(
          FULL,
          "cannot pack " + source + ": no space for the image (set TMPDIR to a larger place)");
    }
    if (complaint.contains("Failed to read file") || complaint.contains("Could not open")) {
      throw new StoreException(
          DENIED, "cannot pack " + source + ": " + complaint + " (make it readable for you)");
    }
    throw badSource(source, complaint);
  }

  private List<String> environment(Path image, Path source) throws StoreException, IOException {
    List<String> variables = new ArrayList<>();
    byte[] file = cat(image, source, "ch/environment");
    if (file == null) {
      return variables;
    }
    if (file.length > MAX_ENVIRONMENT_BYTES) {
      throw badSource(source, "its /ch/environment is longer than " + MAX_ENVIRONMENT_BYTES);
    }
    for (String line : new String(file, StandardCharsets.UTF_8).lines().toList()) {
      addVariable(unquoted(line), variables);
    }
    return variables;
  }

  private void addVariable(String variable, List<String> variables) {
    if (ImageConfig.isVariable(variable) && variable.indexOf('\ufffd') < 0) {
      variables.add(variable);
    } else if (!variable.isBlank()) {
      progress.say(
          "layercake: left out of the image's environment: "
              + variable.replaceAll("\\p{IsControl}", "?"));
    }
  }

  /** As ch-run reads the file: single quotes around a value are not part of it. */
  private static String unquoted(String line) {
    int value = line.indexOf('=') + 1;
    boolean quoted =
        value > 0 && line.length() >= value + 2 && line.charAt(value) == '\'' && line.endsWith("'");
    return quoted ? line.substring(0, value) + line.substring(value + 1, line.length() - 1) : line;
  }

  /** A file in the image, cut off a little beyond what anyone may want; null if there is none. */
  private byte[] cat(Path image, Path source, String file) throws StoreException, IOException {
    Program unsquashfs =
        Program.start(scratch, List.of("unsquashfs", "-cat", image.toString(), file));
    unsquashfs.process().getOutputStream().close();
    byte[] content;
    try (InputStream out = unsquashfs.process().getInputStream()) {
      content = out.readNBytes(MAX_ENVIRONMENT_BYTES + 1);
    }
    if (content.length > MAX_ENVIRONMENT_BYTES) {
      return content;
    }
    return switch (unsquashfs.await()) {
      case 0 -> content;
      case 2 -> null; // "no matches"
      default -> throw badSource(source, unsquashfs.complaint());
    };
  }

  private static StoreException badSource(Path source, String cause) {
    return new StoreException(BAD_SOURCE, "cannot push " + source + ": " + cause);
  }
}
