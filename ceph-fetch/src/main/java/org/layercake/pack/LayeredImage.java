package org.layercake.pack;

import static java.nio.charset.StandardCharsets.US_ASCII;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.function.UnaryOperator;
import java.util.regex.Pattern;
import org.layercake.store.Digest;
import org.layercake.store.Origin;
import org.layercake.store.StoreException;

/**
 * An image as others keep it, in layers: an OCI image layout, as a directory or in a tar
 * (image-layout.md of the OCI image specification), what {@code docker save} writes, or a directory
 * of skopeo's ({@code dir:}, containers-transports(5)). All that is read is compared with its
 * digest.
 */
final class LayeredImage {
  static final int MAX_JSON_BYTES = 4 << 20;
  private static final long MAX_LAYER_BYTES = 1L << 50; // so many bytes of all can be added up
  private static final int MAX_LAYERS = Origin.MAX_LAYERS;
  private static final byte[] DIR_VERSION = "Directory Transport Version: ".getBytes(US_ASCII);
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

  /** Whether a directory is no file tree, but holds an image. */
  static boolean isImage(Path directory) throws IOException {
    return (Files.isRegularFile(directory.resolve("oci-layout"))
            && Files.isRegularFile(directory.resolve("index.json")))
        || (Files.isRegularFile(directory.resolve("manifest.json"))
            && isDirVersion(directory.resolve("version")));
  }

  private static boolean isDirVersion(Path file) throws IOException {
    if (!Files.isRegularFile(file)) {
      return false;
    }
    try (InputStream in = Files.newInputStream(file)) {
      return Arrays.equals(in.readNBytes(DIR_VERSION.length), DIR_VERSION);
    }
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
    return described(
        files, decompressor, choose(files, json(files, "index.json"), 0), LayeredImage::blobName);
  }

  /** What a manifest describes, whose files have the names that their digests are made to. */
  private static LayeredImage described(
      ImageFiles files, Decompressor decompressor, JsonTree manifest, UnaryOperator<String> name)
      throws IOException {
    JsonTree config = blobJson(files, manifest.get("config"), name);
    List<Layer> layers = layers(files, decompressor, manifest, name);
    for (Layer layer : layers) {
      files.require(layer.name);
    }
    return new LayeredImage(config, layers);
  }

  private static List<Layer> layers(
      ImageFiles files, Decompressor decompressor, JsonTree manifest, UnaryOperator<String> name)
      throws IOException {
    List<Layer> layers = new ArrayList<>();
    for (Origin.Layer layer : describedLayers(manifest)) {
      String digest = layer.digest().toString();
      layers.add(
          new Layer(
              files, decompressor, name.apply(digest), Optional.of(digest), Optional.empty()));
    }
    return layers;
  }

  /** The layers of a manifest whose files are there, or will be, as in a layout. */
  static List<Layer> arriving(ImageFiles files, Decompressor decompressor, JsonTree manifest)
      throws IOException {
    return layers(files, decompressor, manifest, LayeredImage::blobName);
  }

  /** What a manifest says of its layers, the lowest first. */
  static List<Origin.Layer> describedLayers(JsonTree manifest) throws IOException {
    List<JsonTree> described = manifest.get("layers").items();
    requireCount(described.size());
    List<Origin.Layer> layers = new ArrayList<>();
    for (JsonTree layer : described) {
      layers.add(
          new Origin.Layer(
              parsedDigest(layer),
              Math.min(Math.max(0, layer.get("size").number()), MAX_LAYER_BYTES)));
    }
    return layers;
  }

  /** One image of an index, which may be one of indexes: that of this machine's architecture. */
  private static JsonTree choose(ImageFiles files, JsonTree index, int depth) throws IOException {
    List<JsonTree> all = index.get("manifests").items();
    List<JsonTree> fitting =
        all.stream()
            .filter(LayeredImage::isNoStatement)
            .filter(LayeredImage::fitsThisMachine)
            .toList();
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
    JsonTree chosen = blobJson(files, fitting.get(0), LayeredImage::blobName);
    boolean isIndex = !chosen.get("manifests").items().isEmpty();
    return isIndex ? choose(files, chosen, depth + 1) : chosen;
  }

  /** Build tools put statements about an image beside it, as if they were images. */
  static boolean isNoStatement(JsonTree described) {
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

  /** This machine's, as OCI says it: Go's names. */
  static String architecture() {
    return architecture(System.getProperty("os.arch"));
  }

  /** The same from a name of the kernel's, or from one of Go's. */
  static String architecture(String arch) {
    return switch (arch) {
      case "aarch64" -> "arm64";
      case "x86_64" -> "amd64";
      default -> arch;
    };
  }

  private static LayeredImage readSaved(ImageFiles files, Decompressor decompressor)
      throws IOException {
    JsonTree saved = json(files, "manifest.json");
    if (!saved.get("layers").items().isEmpty()) { // skopeo's: an image's own manifest
      return described(files, decompressor, saved, LayeredImage::hex);
    }
    if (!saved.get("manifests").items().isEmpty()) {
      throw new IOException("it holds a list of images (make it without --all)");
    }
    List<JsonTree> images = saved.items();
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

  static Digest parsedDigest(JsonTree described) throws IOException {
    String digest = described.get("digest").text();
    try {
      return Digest.parse(digest);
    } catch (StoreException e) {
      throw new IOException("\"" + digest + "\" is no sha256 digest", e);
    }
  }

  private static String hex(String digest) {
    return digest.substring("sha256:".length());
  }

  private static String blobName(String digest) {
    return "blobs/sha256/" + hex(digest);
  }

  private static JsonTree blobJson(
      ImageFiles files, JsonTree described, UnaryOperator<String> fileName) throws IOException {
    String digest = parsedDigest(described).toString();
    String name = fileName.apply(digest);
    byte[] bytes = bytes(files, name);
    ImageStream.requireDigest(name, digest, Digest.of(bytes));
    return parse(name, bytes);
  }

  private static JsonTree json(ImageFiles files, String name) throws IOException {
    return parse(name, bytes(files, name));
  }

  static JsonTree parse(String name, byte[] bytes) throws IOException {
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
