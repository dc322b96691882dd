package org.layercake.pack;

import java.io.ByteArrayInputStream;
import java.io.FilterInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.channels.Channels;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.DigestInputStream;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Pattern;

/**
 * An image as others keep it, in layers: an OCI image layout, as a directory or in a tar
 * (image-layout.md of the OCI image specification), or what {@code docker save} writes. All that is
 * read is compared with its digest.
 */
final class LayeredImage {
  private static final int MAX_JSON_BYTES = 4 << 20;
  private static final int MAX_LAYERS = 512;
  private static final int MAX_FILES = 10_000;
  private static final int MAX_LINKS = 8;
  private static final int MAX_INDEX_DEPTH = 3;
  private static final Pattern PLAIN_NAME = Pattern.compile("[A-Za-z0-9_:][A-Za-z0-9._:/-]*");
  private static final Pattern DIGEST = Pattern.compile("sha256:([0-9a-f]{64})");
  // What such archives begin with: docker save, podman save, skopeo and umoci in a tar.
  private static final Pattern FIRST_NAME =
      Pattern.compile(
          "(blobs(/.*)?|oci-layout|index\\.json|manifest\\.json|repositories"
              + "|(sha256:)?[0-9a-f]{64}(\\.json|\\.tar|/.*)?)");

  /** The archive's files by name. */
  private interface Archive {
    /** Null when there is none. */
    Slice find(String name) throws IOException;
  }

  /** A part of a file. */
  private record Slice(Path file, long offset, long bytes) {
    InputStream open() throws IOException {
      FileChannel channel = FileChannel.open(file);
      channel.position(offset);
      return new Bounded(Channels.newInputStream(channel), bytes);
    }
  }

  private final JsonTree config;
  private final List<Layer> layers;

  private LayeredImage(JsonTree config, List<Layer> layers) {
    this.config = config;
    this.layers = List.copyOf(layers);
  }

  /** Whether a tar that begins so, up to its first name, may be such an archive. */
  static boolean mayBegin(byte[] start) {
    try {
      TarReader tar = new TarReader(new ByteArrayInputStream(start));
      TarReader.Entry entry = tar.next();
      while (entry != null && entry.path().isEmpty()) { // "./"
        entry = tar.next();
      }
      return entry != null && FIRST_NAME.matcher(entry.path()).matches();
    } catch (IOException e) {
      return false; // whoever packs it will say what is wrong
    }
  }

  static boolean isLayout(Path directory) {
    return Files.isRegularFile(directory.resolve("oci-layout"))
        && Files.isRegularFile(directory.resolve("index.json"));
  }

  /**
   * Reads what the archive says of itself.
   *
   * @param source a directory or an uncompressed tar file
   * @return empty when a tar is no such archive after all
   * @throws IOException when it is one that cannot be used, with the reason for people
   */
  static Optional<LayeredImage> read(Path source, Decompressor decompressor) throws IOException {
    Archive files = Files.isDirectory(source) ? inDirectory(source) : inTar(source);
    if (files.find("oci-layout") != null && files.find("index.json") != null) {
      return Optional.of(readLayout(files, decompressor));
    }
    return files.find("manifest.json") != null
        ? Optional.of(readSaved(files, decompressor))
        : Optional.empty();
  }

  /** The image's configuration: application/vnd.oci.image.config.v1+json, config.md. */
  JsonTree config() {
    return config;
  }

  /** The layers' tars, the lowest first. Reading one to its end proves its digest. */
  List<Layer> layers() {
    return layers;
  }

  // --- the two forms ---

  private static LayeredImage readLayout(Archive files, Decompressor decompressor)
      throws IOException {
    JsonTree manifest = choose(files, json(files, "index.json"), 0);
    JsonTree config = blobJson(files, manifest.get("config"));
    List<JsonTree> described = manifest.get("layers").items();
    requireCount(described.size());
    List<Layer> layers = new ArrayList<>();
    for (JsonTree layer : described) {
      String digest = digest(layer);
      String name = blobName(digest);
      require(files, name);
      layers.add(new Layer(files, decompressor, name, Optional.of(digest), Optional.empty()));
    }
    return new LayeredImage(config, layers);
  }

  /** One image of an index, which may be one of indexes: that of this machine's architecture. */
  private static JsonTree choose(Archive files, JsonTree index, int depth) throws IOException {
    List<JsonTree> all = index.get("manifests").items();
    List<JsonTree> fitting =
        all.stream().filter(LayeredImage::isImage).filter(LayeredImage::fitsThisMachine).toList();
    if (fitting.size() != 1 || depth > MAX_INDEX_DEPTH) {
      throw new IOException(
          all.isEmpty()
              ? "its index lists no image"
              : "it holds "
                  + fitting.size()
                  + " images for "
                  + architecture()
                  + (fitting.isEmpty() ? "" : ": " + names(fitting))
                  + " (take out one, with skopeo copy)");
    }
    JsonTree chosen = blobJson(files, fitting.get(0));
    boolean isIndex = !chosen.get("manifests").items().isEmpty();
    return isIndex ? choose(files, chosen, depth + 1) : chosen;
  }

  /** Build tools put statements about an image beside it, as if they were images. */
  private static boolean isImage(JsonTree described) {
    return !described.get("platform").get("architecture").text().equals("unknown");
  }

  private static boolean fitsThisMachine(JsonTree described) {
    JsonTree platform = described.get("platform");
    String architecture = platform.get("architecture").text();
    String os = platform.get("os").text();
    return (architecture.isEmpty() || architecture.equals(architecture()))
        && (os.isEmpty() || os.equals("linux"));
  }

  private static String names(List<JsonTree> described) {
    return String.join(
        ", ",
        described.stream()
            .map(d -> d.get("annotations").get("org.opencontainers.image.ref.name").text())
            .map(name -> name.isEmpty() ? "one without a name" : name)
            .toList());
  }

  /** As OCI says it: Go's names. */
  static String architecture() {
    String arch = System.getProperty("os.arch");
    return switch (arch) {
      case "aarch64" -> "arm64";
      case "x86_64" -> "amd64";
      default -> arch;
    };
  }

  private static LayeredImage readSaved(Archive files, Decompressor decompressor)
      throws IOException {
    List<JsonTree> images = json(files, "manifest.json").items();
    if (images.size() != 1) {
      throw new IOException(
          "it holds " + images.size() + " images (save one: docker save NAME, or skopeo copy)");
    }
    JsonTree image = images.get(0);
    JsonTree config = json(files, image.get("Config").text());
    List<JsonTree> names = image.get("Layers").items();
    List<JsonTree> digests = config.get("rootfs").get("diff_ids").items();
    requireCount(names.size());
    if (names.size() != digests.size()) {
      throw new IOException(
          "it has " + names.size() + " layers, its configuration " + digests.size());
    }
    List<Layer> layers = new ArrayList<>();
    for (int i = 0; i < names.size(); i++) {
      String name = names.get(i).text();
      require(files, name);
      String digest = digests.get(i).text();
      if (!DIGEST.matcher(digest).matches()) {
        throw new IOException("layer \"" + name + "\" has no sha256 digest");
      }
      layers.add(new Layer(files, decompressor, name, Optional.empty(), Optional.of(digest)));
    }
    return new LayeredImage(config, layers);
  }

  private static void requireCount(int count) throws IOException {
    if (count < 1 || count > MAX_LAYERS) {
      throw new IOException("it has " + count + " layers, 1 to " + MAX_LAYERS + " are possible");
    }
  }

  // --- blobs ---

  private static String digest(JsonTree described) throws IOException {
    String digest = described.get("digest").text();
    if (!DIGEST.matcher(digest).matches()) {
      throw new IOException("\"" + digest + "\" is no sha256 digest");
    }
    return digest;
  }

  private static String blobName(String digest) {
    return "blobs/sha256/" + digest.substring("sha256:".length());
  }

  private static JsonTree blobJson(Archive files, JsonTree described) throws IOException {
    String digest = digest(described);
    byte[] bytes = bytes(files, blobName(digest));
    requireDigest(blobName(digest), digest, sha256().digest(bytes));
    return parse(blobName(digest), bytes);
  }

  private static JsonTree json(Archive files, String name) throws IOException {
    return parse(name, bytes(files, name));
  }

  private static JsonTree parse(String name, byte[] bytes) throws IOException {
    try {
      return JsonTree.parse(bytes);
    } catch (IOException e) {
      throw new IOException(
          "its " + name + " is no JSON: " + e.getMessage().lines().findFirst().orElse(""), e);
    }
  }

  private static byte[] bytes(Archive files, String name) throws IOException {
    Slice slice = require(files, name);
    if (slice.bytes() > MAX_JSON_BYTES) {
      throw new IOException("its " + name + " is longer than " + MAX_JSON_BYTES + " bytes");
    }
    try (InputStream in = slice.open()) {
      return in.readAllBytes();
    }
  }

  private static Slice require(Archive files, String name) throws IOException {
    Slice slice = files.find(name);
    if (slice == null) {
      throw new IOException("it lacks the file \"" + name + "\" that it names");
    }
    return slice;
  }

  private static void requireDigest(String name, String digest, byte[] found) throws IOException {
    if (!digest.equals("sha256:" + HexFormat.of().formatHex(found))) {
      throw new IOException("\"" + name + "\" does not match its digest: damaged");
    }
  }

  private static MessageDigest sha256() {
    try {
      return MessageDigest.getInstance("SHA-256");
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every Java has SHA-256", e);
    }
  }

  /** One layer. */
  static final class Layer implements Layers.Layer {
    private final Archive files;
    private final Decompressor decompressor;
    private final String name;
    private final Optional<String> blobDigest; // of the bytes as they lie there
    private final Optional<String> tarDigest; // of what they decompress to

    private Layer(
        Archive files,
        Decompressor decompressor,
        String name,
        Optional<String> blobDigest,
        Optional<String> tarDigest) {
      this.files = files;
      this.decompressor = decompressor;
      this.name = name;
      this.blobDigest = blobDigest;
      this.tarDigest = tarDigest;
    }

    @Override
    public InputStream open() throws IOException {
      InputStream blob = checked(require(files, name).open(), blobDigest);
      return checked(new Whole(decompressor.open(blob), blob), tarDigest);
    }

    private InputStream checked(InputStream in, Optional<String> digest) {
      return digest.isEmpty() ? in : new Checked(in, name, digest.get());
    }
  }

  /** A stream of which all goes through the one method that subclasses have. */
  private abstract static class Filter extends FilterInputStream {
    Filter(InputStream in) {
      super(in);
    }

    @Override
    public int read() throws IOException {
      byte[] one = new byte[1];
      return read(one, 0, 1) < 0 ? -1 : one[0] & 0xff;
    }

    @Override
    public abstract int read(byte[] bytes, int offset, int length) throws IOException;

    @Override
    public long skip(long bytes) throws IOException {
      byte[] buffer = new byte[(int) Math.min(bytes, 1 << 16)];
      return Math.max(0, read(buffer, 0, buffer.length));
    }

    @Override
    public boolean markSupported() {
      return false;
    }
  }

  /** Reads the compressed stream to its end, too, where a decompressor may not have gone. */
  private static final class Whole extends Filter {
    private final InputStream blob;

    private Whole(InputStream plain, InputStream blob) {
      super(plain);
      this.blob = blob;
    }

    @Override
    public int read(byte[] bytes, int offset, int length) throws IOException {
      int count = in.read(bytes, offset, length);
      if (count < 0) {
        blob.transferTo(OutputStream.nullOutputStream());
      }
      return count;
    }

    @Override
    public void close() throws IOException {
      try (blob) {
        in.close();
      }
    }
  }

  /** Fails at the end when the bytes were not those of the digest. */
  private static final class Checked extends Filter {
    private final String name;
    private final String digest;
    private final MessageDigest found = sha256();
    private boolean ended;

    private Checked(InputStream in, String name, String digest) {
      super(in);
      this.name = name;
      this.digest = digest;
      this.in = new DigestInputStream(in, found);
    }

    @Override
    public int read(byte[] bytes, int offset, int length) throws IOException {
      int count = in.read(bytes, offset, length);
      if (count < 0 && !ended) {
        ended = true;
        requireDigest(name, digest, found.digest());
      }
      return count;
    }
  }

  /** Ends after so many bytes. */
  private static final class Bounded extends Filter {
    private long left;

    private Bounded(InputStream in, long bytes) {
      super(in);
      this.left = bytes;
    }

    @Override
    public int read(byte[] bytes, int offset, int length) throws IOException {
      if (left == 0) {
        return -1;
      }
      int count = in.read(bytes, offset, (int) Math.min(length, left));
      left -= Math.max(count, 0);
      return count;
    }
  }

  // --- where files are ---

  private static Archive inDirectory(Path directory) throws IOException {
    Path root = directory.toRealPath();
    return name -> {
      if (!PLAIN_NAME.matcher(name).matches()) {
        return null;
      }
      // A link may lead out of the layout: nothing there is the image's.
      Path file = root.resolve(name);
      return Files.isRegularFile(file) && file.toRealPath().startsWith(root)
          ? new Slice(file, 0, Files.size(file))
          : null;
    };
  }

  private static Archive inTar(Path tar) throws IOException {
    Map<String, Slice> slices = new HashMap<>();
    Map<String, String> links = new HashMap<>();
    try (Counted in = new Counted(Files.newInputStream(tar))) {
      TarReader reader = new TarReader(in);
      for (TarReader.Entry entry; (entry = reader.next()) != null; ) {
        if (entry.type() == '0') {
          slices.put(entry.path(), new Slice(tar, in.position(), entry.bytes()));
        } else if (entry.type() == '1' || entry.type() == '2') {
          links.put(entry.path(), entry.link());
        }
        if (slices.size() + links.size() > MAX_FILES) {
          return name -> null; // a file tree that begins like an archive of layers
        }
      }
    }
    return name -> followed(name, slices, links);
  }

  /** docker save writes a layer that occurs twice as a link to the first. */
  private static Slice followed(String name, Map<String, Slice> slices, Map<String, String> links) {
    String at = name;
    for (int hops = 0; hops < MAX_LINKS && links.containsKey(at); hops++) {
      String link = links.get(at);
      String directory = at.substring(0, at.lastIndexOf('/') + 1);
      // From LAYER/layer.tar to ../OTHER/layer.tar, or a hard link's name from the top.
      boolean isUp = link.startsWith("../") && directory.indexOf('/') == directory.length() - 1;
      at =
          isUp
              ? link.substring("../".length())
              : slices.containsKey(link) ? link : directory + link;
    }
    return slices.get(at);
  }

  /** Knows how far it has been read. */
  private static final class Counted extends FilterInputStream {
    private long position;

    private Counted(InputStream in) {
      super(in);
    }

    long position() {
      return position;
    }

    @Override
    public int read() throws IOException {
      int b = in.read();
      position += b < 0 ? 0 : 1;
      return b;
    }

    @Override
    public int read(byte[] bytes, int offset, int length) throws IOException {
      int count = in.read(bytes, offset, length);
      position += Math.max(count, 0);
      return count;
    }

    @Override
    public long skip(long bytes) throws IOException {
      long skipped = in.skip(bytes);
      position += skipped;
      return skipped;
    }
  }
}
