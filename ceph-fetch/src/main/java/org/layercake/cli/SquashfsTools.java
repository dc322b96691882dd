package org.layercake.cli;

import static java.nio.file.StandardOpenOption.READ;
import static java.nio.file.StandardOpenOption.WRITE;
import static org.layercake.store.StoreException.Kind.BAD_SOURCE;
import static org.layercake.store.StoreException.Kind.DENIED;
import static org.layercake.store.StoreException.Kind.FULL;
import static org.layercake.store.StoreException.Kind.INTERNAL;
import static org.layercake.store.StoreException.Kind.MISCONFIGURED;
import static org.layercake.store.StoreException.Kind.NOT_FOUND;

import java.io.BufferedOutputStream;
import java.io.File;
import java.io.FilterInputStream;
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
import java.util.List;
import java.util.Optional;
import java.util.TreeMap;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Consumer;
import java.util.zip.GZIPInputStream;
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
          "-no-xattrs",
          "-root-mode",
          "755",
          "-root-time",
          "0",
          "-mkfs-time",
          "0",
          "-exit-on-error",
          "-no-progress",
          "-quiet");

  private static final int HEADER_BYTES = 1 << 16;
  private static final int TAR_MAGIC_OFFSET = 257;
  private static final int TAR_BLOCK = 512;
  private static final int TAR_END_BYTES = 2 * TAR_BLOCK;
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

  /**
   * @param growing told of an image file that is about to be written
   */
  SquashfsTools(Scratch scratch, Progress progress, Consumer<Path> growing) {
    this.scratch = scratch;
    this.progress = progress;
    this.growing = growing;
  }

  /** Kinds of sources, by their first bytes. */
  private enum Form {
    SQUASHFS,
    TAR,
    GZIP("gzip"),
    XZ("xz"),
    ZSTD("zstd"),
    UNKNOWN;

    private final String decompressor;

    Form() {
      this(null);
    }

    Form(String decompressor) {
      this.decompressor = decompressor;
    }

    static Form of(byte[] header) {
      if (header.length >= SQUASHFS_SUPERBLOCK_BYTES
          && littleEndian(header).getInt(0) == SQUASHFS_MAGIC) {
        return SQUASHFS;
      } else if (startsWith(header, 0, 0x1f, 0x8b)) {
        return GZIP;
      } else if (startsWith(header, 0, 0xfd, '7', 'z', 'X', 'Z', 0)) {
        return XZ;
      } else if (startsWith(header, 0, 0x28, 0xb5, 0x2f, 0xfd)) {
        return ZSTD;
      }
      return startsWith(header, TAR_MAGIC_OFFSET, 'u', 's', 't', 'a', 'r') ? TAR : UNKNOWN;
    }

    private static boolean startsWith(byte[] header, int offset, int... magic) {
      if (header.length < offset + magic.length) {
        return false;
      }
      for (int i = 0; i < magic.length; i++) {
        if ((header[offset + i] & 0xff) != magic[i]) {
          return false;
        }
      }
      return true;
    }
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
    if (source.toString().equals("-")) {
      Path spooled = scratch.file("stdin");
      Files.copy(stdin, spooled);
      return pack(spooled, Path.of("the standard input"));
    }
    return pack(source, source);
  }

  private Packed pack(Path source, Path name) throws StoreException, IOException {
    if (Files.isDirectory(source)) {
      return LayeredImage.isLayout(source)
          ? packLayers(source, name)
          : plain(packTree(source), name);
    }
    byte[] header = header(source, name);
    Form form = Form.of(header);
    return switch (form) {
      case SQUASHFS -> plain(checkComplete(source, name, header), name);
      case TAR, GZIP, XZ, ZSTD -> packArchive(source, name, form, header);
      case UNKNOWN ->
          throw badSource(name, "not a squashfs or tar file (plain, gz, xz, zst) nor a directory");
    };
  }

  private Packed plain(Path image, Path name) throws StoreException, IOException {
    return new Packed(image, config(image, name, new ArrayList<>(), ImageConfig.Run.NONE, ""));
  }

  /** A tar of a file tree, or of an image's layers. */
  private Packed packArchive(Path source, Path name, Form form, byte[] header)
      throws StoreException, IOException {
    byte[] first = form == Form.TAR ? header : firstBytes(source, form);
    if (!LayeredImage.mayBegin(first)) {
      return plain(packTar(source, name, form), name);
    }
    Path tar = form == Form.TAR ? source : decompressed(source, name, form);
    return packLayers(tar, name);
  }

  private Run decompress(Path source, Form form) throws StoreException, IOException {
    return start(List.of(form.decompressor, "-dc"), ProcessBuilder.Redirect.from(source.toFile()));
  }

  private byte[] firstBytes(Path source, Form form) throws StoreException, IOException {
    Run run = decompress(source, form);
    try (InputStream plain = run.process().getInputStream()) {
      return plain.readNBytes(HEADER_BYTES);
    } finally {
      run.process().destroyForcibly();
    }
  }

  private Path decompressed(Path source, Path name, Form form) throws StoreException, IOException {
    Path tar = scratch.file("archive.tar");
    Run run = decompress(source, form);
    try (InputStream plain = run.process().getInputStream()) {
      Files.copy(plain, tar);
    }
    if (run.await() != 0) {
      throw badSource(name, run.complaint());
    }
    return tar;
  }

  private Packed packLayers(Path source, Path name) throws StoreException, IOException {
    try {
      Optional<LayeredImage> found = LayeredImage.read(source, this::decompress);
      if (found.isEmpty()) {
        return plain(packTar(source, name, Form.TAR), name);
      }
      LayeredImage layered = found.get();
      progress.say("packing " + name + " (" + layered.layers().size() + " layers)");
      Layers merged = Layers.read(layered.layers());
      Path image = scratch.file("image.sqfs");
      Run mksquashfs = startPacking("-", image);
      writeTree(merged, mksquashfs.process());
      requirePacked(mksquashfs, name);
      zeroRootTime(image);
      return new Packed(image, layeredConfig(image, name, layered.config()));
    } catch (FileSystemException e) {
      throw e;
    } catch (IOException e) {
      throw badSource(name, e.getMessage());
    }
  }

  /** When mksquashfs wants no more, its complaint says more than our broken pipe. */
  private static void writeTree(Layers merged, Process mksquashfs) throws IOException {
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
            } catch (IOException e) {
              refused[0] = true;
              throw e;
            }
          }
        };
    try (out) {
      merged.write(new BufferedOutputStream(out, 1 << 20));
      pipe.close();
    } catch (IOException e) {
      if (!refused[0]) {
        mksquashfs.destroyForcibly();
        throw e;
      }
    }
  }

  /** Layers are gzip, as a rule, or zstd; what else there is, is the tar itself. */
  private InputStream decompress(InputStream compressed) throws IOException {
    compressed.mark(HEADER_BYTES);
    byte[] header = compressed.readNBytes(HEADER_BYTES);
    compressed.reset();
    Form form = Form.of(header);
    if (form == Form.GZIP) {
      return new GZIPInputStream(compressed, 1 << 16);
    }
    return form.decompressor == null ? compressed : throughProgram(form.decompressor, compressed);
  }

  /** Feeds a program in a thread of its own, whose failure is the reader's. */
  private InputStream throughProgram(String program, InputStream compressed) throws IOException {
    Run run;
    try {
      run = start(List.of(program, "-dc"), ProcessBuilder.Redirect.PIPE);
    } catch (StoreException e) {
      throw new IOException(e.getMessage(), e);
    }
    AtomicReference<IOException> failure = new AtomicReference<>();
    Thread feeder =
        new Thread(
            () -> {
              try (OutputStream stdin = run.process().getOutputStream()) {
                compressed.transferTo(stdin);
              } catch (IOException e) {
                failure.set(e);
              }
            },
            "feed-" + program);
    feeder.setDaemon(true);
    feeder.start();
    return new FilterInputStream(run.process().getInputStream()) {
      @Override
      public int read(byte[] bytes, int offset, int length) throws IOException {
        int count = in.read(bytes, offset, length);
        if (count < 0) {
          requireGoodEnd();
        }
        return count;
      }

      private void requireGoodEnd() throws IOException {
        try {
          feeder.join();
          if (run.process().waitFor() != 0) {
            throw new IOException(run.complaint(), failure.get());
          }
          if (failure.get() != null) {
            throw failure.get();
          }
        } catch (InterruptedException e) {
          Thread.currentThread().interrupt();
          throw new IOException("interrupted", e);
        }
      }

      @Override
      public void close() throws IOException {
        run.process().destroyForcibly();
        super.close();
      }
    };
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

  private static byte[] header(Path source, Path name) throws StoreException, IOException {
    if (!Files.exists(source)) {
      throw new StoreException(
          NOT_FOUND, "cannot push " + name + ": no such file or directory (check the path)");
    }
    if (!Files.isRegularFile(source)) {
      throw badSource(name, "neither a file nor a directory");
    }
    try (InputStream in = Files.newInputStream(source)) {
      return in.readNBytes(HEADER_BYTES);
    } catch (AccessDeniedException e) {
      throw new StoreException(
          DENIED, "cannot push " + name + ": permission denied (make it readable for you)", e);
    }
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
    Run mksquashfs = startPacking(directory.toRealPath().toString(), image);
    mksquashfs.process().getOutputStream().close();
    requirePacked(mksquashfs, directory);
    return image;
  }

  /** Through this program rather than a pipe: only the stream's end tells a truncated tar. */
  private Path packTar(Path source, Path name, Form form) throws StoreException, IOException {
    progress.say("packing " + name);
    Path image = scratch.file("image.sqfs");
    Run mksquashfs = startPacking("-", image);
    if (feed(source, name, form, mksquashfs.process()) == Fed.TRUNCATED) {
      throw badSource(name, "it ends too early, without a tar file's end mark: truncated");
    }
    requirePacked(mksquashfs, name);
    zeroRootTime(image);
    return image;
  }

  /** How a stream into mksquashfs ended. */
  private enum Fed {
    WHOLE,
    TRUNCATED,
    /** mksquashfs wanted no more of it; its exit code says why. */
    REFUSED
  }

  private Fed feed(Path source, Path name, Form form, Process mksquashfs)
      throws StoreException, IOException {
    if (form.decompressor == null) {
      try (InputStream tar = Files.newInputStream(source)) {
        return feed(tar, mksquashfs);
      }
    }
    Run decompressor = decompress(source, form);
    Fed fed;
    try (InputStream tar = decompressor.process().getInputStream()) {
      fed = feed(tar, mksquashfs);
    }
    if (decompressor.await() != 0 && fed != Fed.REFUSED) {
      throw badSource(name, decompressor.complaint());
    }
    return fed;
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

  private Run startPacking(String source, Path image) throws StoreException, IOException {
    growing.accept(image);
    List<String> command = new ArrayList<>(List.of("mksquashfs", source, image.toString()));
    if (source.equals("-")) {
      command.add("-tar");
    }
    command.addAll(MKSQUASHFS_OPTIONS);
    return start(command, ProcessBuilder.Redirect.PIPE);
  }

  /** A whole tar ends as tar(5) says: in whole blocks, the last two of them zero. */
  private static Fed feed(InputStream tar, Process consumer) throws IOException {
    byte[] buffer = new byte[1 << 20];
    long total = 0;
    long zeros = 0;
    OutputStream out = consumer.getOutputStream();
    for (int count; (count = tar.read(buffer)) > 0; ) {
      total += count;
      int trailing = trailingZeros(buffer, count);
      zeros = trailing == count ? zeros + count : trailing;
      if (!pass(out, buffer, count)) {
        return Fed.REFUSED;
      }
    }
    if (!pass(out, buffer, 0)) {
      return Fed.REFUSED;
    }
    return total % TAR_BLOCK == 0 && zeros >= TAR_END_BYTES ? Fed.WHOLE : Fed.TRUNCATED;
  }

  /** Nothing to pass means the end. False if the reader has gone: its complaint says more. */
  private static boolean pass(OutputStream out, byte[] bytes, int count) {
    try {
      if (count == 0) {
        out.close();
      } else {
        out.write(bytes, 0, count);
      }
      return true;
    } catch (IOException e) {
      return false;
    }
  }

  private static int trailingZeros(byte[] bytes, int count) {
    int zeros = 0;
    while (zeros < count && bytes[count - 1 - zeros] == 0) {
      zeros++;
    }
    return zeros;
  }

  private static void requirePacked(Run mksquashfs, Path source) throws StoreException {
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
    Run unsquashfs =
        start(List.of("unsquashfs", "-cat", image.toString(), file), ProcessBuilder.Redirect.PIPE);
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

  private Run start(List<String> command, ProcessBuilder.Redirect input)
      throws StoreException, IOException {
    Path stderr = Files.createTempFile(scratch.directory(), command.get(0), ".err");
    ProcessBuilder builder = new ProcessBuilder(command);
    builder.environment().remove("SOURCE_DATE_EPOCH"); // mksquashfs refuses it beside -mkfs-time
    builder.environment().put("LC_ALL", "C");
    builder.redirectInput(input).redirectError(stderr.toFile());
    try {
      return new Run(command.get(0), scratch.watched(builder.start()), stderr.toFile());
    } catch (IOException e) {
      throw new StoreException(
          MISCONFIGURED,
          "cannot run "
              + command.get(0)
              + ": not installed (install squashfs-tools, gzip, xz, zstd)",
          e);
    }
  }

  private static StoreException badSource(Path source, String cause) {
    return new StoreException(BAD_SOURCE, "cannot push " + source + ": " + cause);
  }

  /** A program under way, and what it says. */
  private record Run(String name, Process process, File stderr) {
    int await() throws StoreException {
      try {
        return process.waitFor();
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
        throw new StoreException(INTERNAL, "cannot wait for " + name + ": interrupted", e);
      }
    }

    /** The line that tells most: the first fatal one, else the first. */
    String complaint() {
      try {
        List<String> lines =
            Files.readAllLines(stderr.toPath(), StandardCharsets.ISO_8859_1).stream()
                .filter(line -> !line.isBlank())
                .toList();
        return lines.stream()
            .filter(line -> line.contains("FATAL") && !line.contains("reading tar file"))
            .findFirst()
            .or(() -> lines.stream().findFirst())
            .map(line -> line.replace("FATAL ERROR: ", "").strip())
            .orElse(name + " failed");
      } catch (IOException e) {
        return name + " failed";
      }
    }
  }
}
