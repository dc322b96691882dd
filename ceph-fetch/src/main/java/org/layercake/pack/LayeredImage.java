package org.layercake.pack;

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
 * An image as others keep it, in layers, in a directory or a tar. {@link ArchivedImages} knows the
 * forms. All that is read is compared with its digest, where there is one.
 */
final class LayeredImage {
  static final int MAX_JSON_BYTES = 4 << 20;
  private static final long MAX_LAYER_BYTES = 1L << 50; // so many bytes of all can be added up
  private static final int MAX_LAYERS = Origin.MAX_LAYERS;
  private static final Pattern DIGEST = Pattern.compile("sha256:([0-9a-f]{64})");
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
      return entry != null && !RootFileSystem.has(entry.path().split("/", 2)[0]);
    } catch (IOException e) {
      return false; // whoever packs it will say what is wrong
    }
  }

  /** Whether a directory may be no file tree, but hold an image. */
  static boolean mayBe(Path directory) {
    return isFile(directory, "oci-layout", "index.json")
        || ((isFile(directory, "manifest.json") || isFile(directory, "repositories"))
            && !RootFileSystem.isIn(directory));
  }

  private static boolean isFile(Path directory, String... names) {
    return Arrays.stream(names).allMatch(name -> Files.isRegularFile(directory.resolve(name)));
  }

  /**
   * Reads what the archive says of itself.
   *
   * @param source a directory or an uncompressed tar file
   * @param wanted which image of several
   * @return empty when it is no such archive after all
   * @throws IOException when it is one that cannot be used, with the reason for people
   */
  static Optional<LayeredImage> read(Path source, Decompressor decompressor, Wanted wanted)
      throws IOException {
    Optional<List<ArchivedImage>> images = ArchivedImages.list(ImageFiles.of(source), decompressor);
    return images.isPresent()
        ? Optional.of(ArchivedImage.choose(images.get(), wanted).opener().open())
        : Optional.empty();
  }

  /** The image's configuration: application/vnd.oci.image.config.v1+json, config.md. */
  JsonTree config() {
    return config;
  }

  /** Whether it names a program to be run, wherever that is. */
  boolean saysWhatRuns() {
    JsonTree run = config.get("config");
    return !run.get("Entrypoint").items().isEmpty() || !run.get("Cmd").items().isEmpty();
  }

  /** The layers' tars, the lowest first. Reading one to its end proves its digest. */
  List<Layer> layers() {
    return layers;
  }

  /** Of all layers, as they lie there. */
  long bytes() throws IOException {
    long bytes = 0;
    for (Layer layer : layers) {
      bytes += layer.bytes();
    }
    return bytes;
  }

  /** What a manifest describes, whose files have the names that their digests are made to. */
  static LayeredImage described(
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

  /** Build tools put statements about an image beside it, as if they were images. */
  static boolean isNoStatement(JsonTree described) {
    return !described.get("platform").get("architecture").text().equals("unknown");
  }

  /** An image of docker's list, which has the digests of its layers in its configuration. */
  static LayeredImage saved(ImageFiles files, Decompressor decompressor, JsonTree saved)
      throws IOException {
    JsonTree config = json(files, saved.get("Config").text());
    List<String> names = texts(saved.get("Layers"));
    List<String> digests = texts(config.get("rootfs").get("diff_ids"));
    if (names.size() != digests.size()) {
      throw new IOException(
          "it has " + names.size() + " layers, its configuration " + digests.size());
    }
    return named(files, decompressor, config, names, Optional.of(digests));
  }

  /**
   * An image whose layers have names of their own.
   *
   * @param digests of the layers' tars, if they are known
   */
  static LayeredImage named(
      ImageFiles files,
      Decompressor decompressor,
      JsonTree config,
      List<String> names,
      Optional<List<String>> digests)
      throws IOException {
    requireCount(names.size());
    List<Layer> layers = new ArrayList<>();
    for (int i = 0; i < names.size(); i++) {
      String name = names.get(i);
      files.require(name);
      int number = i;
      Optional<String> digest = digests.map(all -> all.get(number));
      if (digest.isPresent() && !DIGEST.matcher(digest.get()).matches()) {
        throw new IOException("layer \"" + name + "\" has no sha256 digest");
      }
      layers.add(new Layer(files, decompressor, name, Optional.empty(), digest));
    }
    return new LayeredImage(config, layers);
  }

  private static List<String> texts(JsonTree array) {
    return array.items().stream().map(JsonTree::text).toList();
  }

  static void requireCount(int count) throws IOException {
    if (count < 1 || count > MAX_LAYERS) {
      throw new IOException("it has " + count + " layers, 1 to " + MAX_LAYERS + " are possible");
    }
  }

  static Digest parsedDigest(JsonTree described) throws IOException {
    String digest = described.get("digest").text();
    try {
      return Digest.parse(digest);
    } catch (StoreException e) {
      throw new IOException("\"" + digest + "\" is not a sha256 digest", e);
    }
  }

  static String hex(String digest) {
    return digest.substring("sha256:".length());
  }

  private static String blobName(String digest) {
    return "blobs/sha256/" + hex(digest);
  }

  static JsonTree blobJson(ImageFiles files, JsonTree described, UnaryOperator<String> fileName)
      throws IOException {
    String digest = parsedDigest(described).toString();
    String name = fileName.apply(digest);
    byte[] bytes = bytes(files, name);
    ImageStream.requireDigest(name, digest, Digest.of(bytes));
    return parse(name, bytes);
  }

  static JsonTree json(ImageFiles files, String name) throws IOException {
    return parse(name, bytes(files, name));
  }

  static JsonTree parse(String name, byte[] bytes) throws IOException {
    try {
      return JsonTree.parse(bytes);
    } catch (IOException e) {
      throw new IOException(
          "its " + name + " is not JSON: " + e.getMessage().lines().findFirst().orElse(""), e);
    }
  }

  static byte[] bytes(ImageFiles files, String name) throws IOException {
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
    public boolean isProved() {
      return blobDigest.isPresent() || tarDigest.isPresent();
    }

    /** As it lies there. */
    long bytes() throws IOException {
      return files.require(name).bytes();
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
