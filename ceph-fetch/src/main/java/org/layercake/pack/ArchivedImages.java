package org.layercake.pack;

import java.io.IOException;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import org.layercake.store.Digest;

/**
 * Finds the images that an archive or a directory lists: by the index of an OCI layout
 * (image-layout.md of the OCI image specification), by the manifest.json of {@code docker save}, by
 * a manifest of skopeo's {@code dir:}, or by the repositories of docker up to 1.9.
 */
final class ArchivedImages {
  private static final int MAX_IMAGES = 1000;
  private static final int MAX_INDEX_DEPTH = 3;
  private static final String INDEX = "index.json";
  private static final String MANIFEST = "manifest.json";
  private static final String REPOSITORIES = "repositories";
  private static final List<String> NAMES =
      List.of("io.containerd.image.name", "org.opencontainers.image.ref.name");

  /** What an index says of one that it lists. */
  private record Listed(String digest, Set<String> names, Platform platform) {}

  private final ImageFiles files;
  private final Decompressor decompressor;
  private final List<ArchivedImage> images = new ArrayList<>();
  private final Set<String> others = new TreeSet<>();

  private ArchivedImages(ImageFiles files, Decompressor decompressor) {
    this.files = files;
    this.decompressor = decompressor;
  }

  /**
   * All that are listed, those that can be relied on most in front.
   *
   * @return empty when this is no archive of images at all
   * @throws IOException when it is one that cannot be used, with the reason for people
   */
  static Optional<List<ArchivedImage>> list(ImageFiles files, Decompressor decompressor)
      throws IOException {
    return new ArchivedImages(files, decompressor).all();
  }

  private Optional<List<ArchivedImage>> all() throws IOException {
    boolean hasLayout = files.find("oci-layout") != null && files.find(INDEX) != null;
    Optional<JsonTree> manifest = manifest(hasLayout);
    if (manifest.isPresent()) {
      addSaved(manifest.get());
    }
    if (hasLayout) {
      addLayout();
    } else if (manifest.isPresent() && manifest.get().items().isEmpty()) {
      addDescribed(manifest.get(), BlobNames.DIR, new Listed("", Set.of(), Platform.UNKNOWN), 0);
    } else if (manifest.isEmpty() && files.find(REPOSITORIES) != null) {
      addRepositories(LayeredImage.json(files, REPOSITORIES));
    }
    if (!images.isEmpty() || !others.isEmpty()) {
      return Optional.of(required());
    }
    if (hasLayout) {
      throw new IOException("its index lists no image");
    }
    return manifest.isPresent() ? Optional.of(required()) : Optional.empty();
  }

  private List<ArchivedImage> required() throws IOException {
    if (images.isEmpty()) {
      throw new IOException(
          others.isEmpty()
              ? "it holds no image"
              : "it holds no image, but " + String.join(", ", others) + " (push the image itself)");
    }
    return images;
  }

  /** Docker's list, or skopeo's manifest; a file of the name may also be something else. */
  private Optional<JsonTree> manifest(boolean hasLayout) throws IOException {
    if (files.find(MANIFEST) == null) {
      return Optional.empty();
    }
    JsonTree tree;
    try {
      tree = LayeredImage.json(files, MANIFEST);
    } catch (IOException e) {
      return Optional.empty();
    }
    boolean isSaved =
        !tree.items().isEmpty()
            && tree.items().stream().noneMatch(image -> image.get("Config").text().isEmpty());
    boolean isDir = !hasLayout && tree.get("schemaVersion").number() > 0;
    return isSaved || isDir ? Optional.of(tree) : Optional.empty();
  }

  /** What docker save writes, with it podman, jib, kaniko, bazel, Nix and crane. */
  private void addSaved(JsonTree list) throws IOException {
    for (JsonTree saved : list.items()) {
      Set<String> names = new TreeSet<>();
      saved.get("RepoTags").items().forEach(name -> names.add(name.text()));
      names.remove("");
      String configName = saved.get("Config").text();
      ArchivedImage.Opener opener = () -> LayeredImage.saved(files, decompressor, saved);
      add(savedImage(configName, names, opener));
    }
  }

  private ArchivedImage savedImage(
      String configName, Set<String> names, ArchivedImage.Opener opener) {
    try {
      byte[] bytes = LayeredImage.bytes(files, configName);
      Platform platform = Platform.of(LayeredImage.parse(configName, bytes));
      return new ArchivedImage(Digest.of(bytes).toString(), names, platform, true, opener);
    } catch (IOException e) { // opening it says so
      return new ArchivedImage(configName, names, Platform.UNKNOWN, false, opener);
    }
  }

  /** A fault of an index is none when docker's list beside it is good: docker 25.0 wrote such. */
  private void addLayout() throws IOException {
    try {
      addIndex(LayeredImage.json(files, INDEX), BlobNames.LAYOUT, Set.of(), 0);
    } catch (IOException e) {
      if (images.isEmpty()) {
        throw e;
      }
    }
  }

  private void addIndex(JsonTree index, BlobNames blobs, Set<String> names, int depth)
      throws IOException {
    for (JsonTree described : index.get("manifests").items()) {
      if (!LayeredImage.isNoStatement(described)) {
        continue;
      }
      Set<String> its = new TreeSet<>();
      NAMES.forEach(key -> its.add(described.get("annotations").get(key).text()));
      its.remove("");
      addListed(described, blobs, its.isEmpty() ? names : fullest(its), depth);
    }
  }

  /** The tag alone says nothing beside a name that ends with it. */
  private static Set<String> fullest(Set<String> names) {
    Set<String> fullest = new TreeSet<>(names);
    fullest.removeIf(name -> names.stream().anyMatch(other -> other.endsWith(":" + name)));
    return fullest;
  }

  private void addListed(JsonTree described, BlobNames blobs, Set<String> names, int depth)
      throws IOException {
    String digest = LayeredImage.parsedDigest(described).toString();
    Platform platform = Platform.of(described.get("platform"));
    boolean isThere = files.find(blobs.manifest(digest)) != null;
    JsonTree manifest;
    try {
      manifest = LayeredImage.blobJson(files, described, blobs::manifest);
    } catch (IOException e) { // opening it says so
      ArchivedImage.Opener opener =
          () -> {
            throw e;
          };
      add(new ArchivedImage(digest, names, platform, isThere, opener));
      return;
    }
    addDescribed(manifest, blobs, new Listed(digest, names, platform), depth);
  }

  /** What a manifest is of: an image, a list of more, or something else. */
  private void addDescribed(JsonTree manifest, BlobNames blobs, Listed listed, int depth)
      throws IOException {
    if (!manifest.get("manifests").items().isEmpty()) {
      if (depth >= MAX_INDEX_DEPTH) {
        throw new IOException("its index is of indexes of indexes of indexes");
      }
      addIndex(manifest, blobs, listed.names(), depth + 1);
      return;
    }
    if (manifest.get("schemaVersion").number() == 1) {
      throw new IOException(
          "it is of docker's schema 1, which has been given up (skopeo copy --format oci)");
    }
    Optional<String> other = otherKind(manifest);
    if (other.isPresent()) {
      others.add(other.get());
      return;
    }
    ArchivedImage.Opener opener =
        () -> LayeredImage.described(files, decompressor, manifest, blobs::blob);
    add(describedImage(manifest, blobs, listed, opener));
  }

  private ArchivedImage describedImage(
      JsonTree manifest, BlobNames blobs, Listed listed, ArchivedImage.Opener opener) {
    try {
      JsonTree config = LayeredImage.blobJson(files, manifest.get("config"), blobs::blob);
      // A configuration that lists its layers is of one image.
      boolean isIdentity = !config.get("rootfs").get("diff_ids").items().isEmpty();
      return new ArchivedImage(
          isIdentity ? manifest.get("config").get("digest").text() : listed.digest(),
          listed.names(),
          listed.platform().or(Platform.of(config)),
          true,
          opener);
    } catch (IOException e) { // opening it says so
      return new ArchivedImage(listed.digest(), listed.names(), listed.platform(), false, opener);
    }
  }

  /** Signatures, attestations, charts and the like are kept as if they were images. */
  private static Optional<String> otherKind(JsonTree manifest) {
    String kind = manifest.get("artifactType").text();
    String config = manifest.get("config").get("mediaType").text();
    boolean isImages =
        config.isEmpty() || config.contains("image.config") || config.contains("container.image");
    List<String> layers =
        manifest.get("layers").items().stream().map(l -> l.get("mediaType").text()).toList();
    if (!kind.isEmpty() || !isImages) {
      return Optional.of(kind.isEmpty() ? config : kind);
    }
    boolean areDocuments =
        !layers.isEmpty() && layers.stream().allMatch(type -> type.endsWith("json"));
    return areDocuments ? Optional.of(layers.get(0)) : Optional.empty();
  }

  /** Layers by their ids, each with the id of the one below. */
  private void addRepositories(JsonTree repositories) throws IOException {
    Map<String, Set<String>> tops = new TreeMap<>();
    for (String repository : repositories.names()) {
      repositories
          .get(repository)
          .strings()
          .forEach(
              (tag, id) ->
                  tops.computeIfAbsent(id, top -> new TreeSet<>()).add(repository + ":" + tag));
    }
    for (Map.Entry<String, Set<String>> top : tops.entrySet()) {
      JsonTree config = LayeredImage.json(files, top.getKey() + "/json");
      add(
          new ArchivedImage(
              top.getKey(),
              top.getValue(),
              Platform.of(config),
              true,
              () ->
                  LayeredImage.named(
                      files, decompressor, config, chain(top.getKey()), Optional.empty())));
    }
  }

  private List<String> chain(String top) throws IOException {
    List<String> names = new ArrayList<>();
    Collection<String> ids = new HashSet<>();
    for (String id = top; !id.isEmpty(); ) {
      if (!ids.add(id)) {
        throw new IOException("its layer \"" + id + "\" is below itself");
      }
      LayeredImage.requireCount(ids.size());
      names.add(0, id + "/layer.tar");
      id = LayeredImage.json(files, id + "/json").get("parent").text();
    }
    return names;
  }

  private void add(ArchivedImage image) throws IOException {
    if (images.size() == MAX_IMAGES) {
      throw new IOException("it lists more than " + MAX_IMAGES + " images");
    }
    images.add(image);
  }

  /** How files are called that a digest names. */
  private enum BlobNames {
    LAYOUT("blobs/sha256/", ""),
    DIR("", ".manifest.json");

    private final String prefix;
    private final String manifestSuffix;

    BlobNames(String prefix, String manifestSuffix) {
      this.prefix = prefix;
      this.manifestSuffix = manifestSuffix;
    }

    String blob(String digest) {
      return prefix + LayeredImage.hex(digest);
    }

    String manifest(String digest) {
      return blob(digest) + manifestSuffix;
    }
  }
}
