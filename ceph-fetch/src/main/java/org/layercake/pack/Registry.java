package org.layercake.pack;

import java.io.IOException;
import java.nio.file.FileSystemException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.TreeSet;
import org.layercake.store.Digest;
import org.layercake.store.Origin;
import org.layercake.store.StoreException;

/**
 * Images in registries, by skopeo. A registry is hostile: what it sends is bounded, and compared
 * with the digest by which it was asked for.
 */
public final class Registry {
  private static final int MAX_LISTS = 3;

  private final Skopeo skopeo;
  private final Scratch scratch;
  private final Platform platform;

  /**
   * How a registry is asked.
   *
   * @param authFile that credentials are looked for in, instead of the usual places
   */
  public record Options(Platform platform, Optional<Path> authFile, boolean verifyTls) {}

  /**
   * @param environment in which skopeo finds the user's files
   */
  public Registry(Scratch scratch, Map<String, String> environment, Options options)
      throws StoreException {
    this.scratch = scratch;
    this.skopeo = new Skopeo(scratch, environment, options.authFile(), options.verifyTls());
    this.platform = options.platform();
  }

  /**
   * An image in a registry.
   *
   * @param manifest the bytes of its manifest, if they have come already
   */
  public record Found(Reference reference, Origin.Source source, Optional<byte[]> manifest) {}

  /** Asks which image a reference means; nothing else is fetched. */
  public Found find(Reference reference) throws StoreException, IOException {
    byte[] bytes = skopeo.manifest(reference, reference.asked());
    Digest digest = Digest.of(bytes);
    if (reference.digest().isPresent()) {
      require(reference, reference.digest().get(), digest);
    }
    try {
      Digest image = digest;
      for (int depth = 0; depth < MAX_LISTS; depth++) {
        JsonTree tree = LayeredImage.parse("manifest", bytes);
        if (tree.get("manifests").items().isEmpty()) {
          return found(reference, digest, image, Optional.of(bytes));
        }
        JsonTree chosen = choose(tree);
        image = LayeredImage.parsedDigest(chosen);
        if (!isList(chosen)) {
          return found(reference, digest, image, Optional.empty());
        }
        bytes = manifest(reference, image);
      }
    } catch (IOException e) {
      throw BadSource.of(reference.toString(), e.getMessage());
    }
    throw BadSource.of(reference.toString(), "it is a list of lists of lists of images");
  }

  private Found found(Reference reference, Digest digest, Digest image, Optional<byte[]> manifest) {
    return new Found(
        reference,
        new Origin.Source(reference.withoutDigest(), digest, image, platform.toString()),
        manifest);
  }

  private static boolean isList(JsonTree described) {
    String type = described.get("mediaType").text();
    return type.contains("image.index") || type.contains("manifest.list");
  }

  private byte[] manifest(Reference reference, Digest digest) throws StoreException, IOException {
    byte[] bytes = skopeo.manifest(reference, reference.pinned(digest));
    require(reference, digest, Digest.of(bytes));
    return bytes;
  }

  private static void require(Reference reference, Digest asked, Digest come)
      throws StoreException {
    if (!come.equals(asked)) {
      throw BadSource.of(
          reference.toString(),
          "its manifest is "
              + come
              + ", though it was asked for as "
              + asked
              + " ("
              + reference.host()
              + " sends other bytes than it names: tell its operators)");
    }
  }

  /** One image of a list: of the wanted architecture, and of its plainest variant. */
  private JsonTree choose(JsonTree list) throws IOException {
    List<JsonTree> fitting = new ArrayList<>();
    TreeSet<String> others = new TreeSet<>();
    for (JsonTree image : list.get("manifests").items()) {
      if (!LayeredImage.isNoStatement(image)) {
        continue;
      }
      Platform its = Platform.of(image.get("platform"));
      if (its.isFor(platform)) {
        fitting.add(image);
      } else {
        others.add(its.toString());
      }
    }
    return fitting.stream()
        .min(Comparator.comparing(image -> Platform.of(image.get("platform")).rank()))
        .orElseThrow(
            () ->
                new IOException(
                    "it has no image for "
                        + platform
                        + (others.isEmpty() ? "" : ", but for " + String.join(", ", others))
                        + " (choose one that your nodes can run: --arch)"));
  }

  /**
   * Begins to fetch an image.
   *
   * @param watcher is told what happens
   */
  public RegistryPull pull(Found found, RegistryPull.Watcher watcher)
      throws StoreException, IOException {
    Reference reference = found.reference();
    Digest image = found.source().manifest();
    byte[] bytes =
        found.manifest().isPresent() ? found.manifest().get() : manifest(reference, image);
    try {
      JsonTree manifest = LayeredImage.parse("manifest", bytes);
      if (manifest.get("config").get("digest").text().isEmpty()) {
        throw new IOException(
            manifest.get("schemaVersion").number() == 1
                ? "it is of docker's schema 1, which has been given up (push it there again with a"
                    + " docker of this decade)"
                : "its manifest is not that of an image");
      }
      return RegistryPull.start(
          scratch, skopeo, found, manifest, LayeredImage.describedLayers(manifest), watcher);
    } catch (IOException e) {
      if (e instanceof FileSystemException) {
        throw e;
      }
      throw BadSource.of(reference.toString(), e.getMessage());
    }
  }

  /** What is kept of an image's annotations; none of them when they are beyond all bounds. */
  static SortedMap<String, String> annotations(JsonTree manifest) {
    return new TreeMap<>(manifest.get("annotations").strings());
  }
}
