package org.layercake.pack;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.regex.Pattern;
import org.layercake.store.Digest;

/**
 * An image as others keep it, in layers: an OCI image layout, as a directory or in a tar
 * (image-layout.md of the OCI image specification), or what {@code docker save} writes. All that is
 * read is compared with its digest.
 */
final class LayeredImage {
  private static final int MAX_JSON_BYTES = 4 << 20;
  private static final int MAX_LAYERS = 512;
  private static final int MAX_INDEX_DEPTH = 3;
  private static final Pattern DIGEST = Pattern.compile("sha256:([0-9a-f]{64})");
  // What such archives begin with: docker save, podman save, skopeo and umoci in a tar.
  private static final Pattern FIRST_NAME =
      Pattern.compile(
          "(blobs(/.*)?|oci-layout|index\\.json|manifest\\.json|repositories"
              + "|(sha256:)?[0-9a-f]{64}(\\.json|\\.tar|/.*)?)");

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
      TarEntry entry = tar.next();
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
    ImageFiles files = ImageFiles.of(source);
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

  private static LayeredImage readLayout(ImageFiles files, Decompressor decompressor)
      throws IOException {
    JsonTree manifest = choose(files, json(files, "index.json"), 0);
    JsonTree config = blobJson(files, manifest.get("config"));
    List<JsonTree> described = manifest.get("layers").items();
    requireCount(described.size());
    List<Layer> layers = new ArrayList<>();
    for (JsonTree layer : described) {
      String digest = digest(layer);
      String name = blobName(digest);
      files.require(name);
      layers.add(new Layer(files, decompressor, name, Optional.of(digest), Optional.empty()));
    }
    return new LayeredImage(config, layers);
  }

  /** One image of an index, which may be one of indexes: that of this machine's architecture. */
  private static JsonTree choose(ImageFiles files, JsonTree index, int depth) throws IOException {
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

  private static LayeredImage readSaved(ImageFiles files, Decompressor decompressor)
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
      files.require(name);
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

  private static JsonTree blobJson(ImageFiles files, JsonTree described) throws IOException {
    String digest = digest(described);
    byte[] bytes = bytes(files, blobName(digest));
    ImageStream.requireDigest(blobName(digest), digest, Digest.of(bytes));
    return parse(blobName(digest), bytes);
  }

  private static JsonTree json(ImageFiles files, String name) throws IOException {
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

  private static byte[] bytes(ImageFiles files, String name) throws IOException {
    ImageFiles.Slice slice = files.require(name);
    if (slice.bytes() > MAX_JSON_BYTES) {
      throw new IOException("its " + name + " is longer than " + MAX_JSON_BYTES + " bytes");
    }
    try (InputStream in = slice.open()) {
      return in.readAllBytes();
    }
  }

  /** One layer. */
  static final class Layer implements Layers.Layer {
    private final ImageFiles files;
    private final Decompressor decompressor;
    private final String name;
    private final Optional<String> blobDigest; // of the bytes as they lie there
    private final Optional<String> tarDigest; // of what they decompress to

    private Layer(
        ImageFiles files,
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
      InputStream blob = checked(files.require(name).open(), blobDigest);
      return checked(ImageStream.whole(decompressor.open(blob), blob), tarDigest);
    }

    private InputStream checked(InputStream in, Optional<String> digest) {
      return digest.isEmpty() ? in : ImageStream.checked(in, name, digest.get());
    }
  }
}
