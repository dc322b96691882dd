package org.layercake.pack;

import static org.layercake.store.StoreException.Kind.INVALID;

import java.io.IOException;
import java.nio.file.FileSystemException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.layercake.store.Digest;
import org.layercake.store.Origin;
import org.layercake.store.StoreException;

/**
 * Images in registries, by skopeo. A registry is hostile: what it sends is bounded, and compared
 * with the digest by which it was asked for.
 */
public final class Registry {
  private static final int MAX_LISTS = 3;

  /** What there is for each processor: an image that says nothing of its variant is for all. */
  private static final List<String> PLAINEST_VARIANTS = List.of("", "v1", "v8");

  private static final Pattern ARCHITECTURE =
      Pattern.compile("([A-Za-z0-9_]{1,32})(?:/([A-Za-z0-9._]{1,32}))?");

  private final Skopeo skopeo;
  private final Scratch scratch;
  private final String architecture;
  private final String variant;

  /**
   * How a registry is asked.
   *
   * @param architecture as Go or {@code uname -m} say it, with a variant behind a slash perhaps;
   *     empty for this machine's
   * @param authFile that credentials are looked for in, instead of the usual places
   */
  public record Options(
      Optional<String> architecture, Optional<Path> authFile, boolean verifyTls) {}

  /**
   * @param environment in which skopeo finds the user's files
   */
  public Registry(Scratch scratch, Map<String, String> environment, Options options)
      throws StoreException {
    this.scratch = scratch;
    this.skopeo = new Skopeo(scratch, environment, options.authFile(), options.verifyTls());
    String wanted = options.architecture().orElse(LayeredImage.architecture());
    Matcher parts = ARCHITECTURE.matcher(wanted);
    if (!parts.matches()) {
      throw new StoreException(
          INVALID,
          "cannot push for \"" + wanted + "\": no architecture (--arch=arm64, --arch=amd64/v3)");
    }
    this.architecture = LayeredImage.architecture(parts.group(1));
    this.variant = parts.group(2) == null ? "" : parts.group(2);
  }

  /** What images are for, in Go's words. */
  public String architecture() {
    return architecture;
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
        new Origin.Source(
            reference.withoutDigest(), digest, image, name("", architecture, variant)),
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
              + " sends other bytes than it names: tell who runs it)");
    }
  }

  /** One image of a list: of the wanted architecture, and of its plainest variant. */
  private JsonTree choose(JsonTree list) throws IOException {
    List<JsonTree> fitting = new ArrayList<>();
    TreeSet<String> others = new TreeSet<>();
    for (JsonTree image : list.get("manifests").items()) {
      JsonTree platform = image.get("platform");
      String its = platform.get("architecture").text();
      String os = platform.get("os").text();
      boolean isWanted = its.isEmpty() || its.equals(architecture);
      boolean isLinux = os.isEmpty() || os.equals("linux");
      if (!LayeredImage.isNoStatement(image)) {
        continue;
      }
      if (isWanted && isLinux && (variant.isEmpty() || variant.equals(variant(image)))) {
        fitting.add(image);
      } else {
        others.add(name(os, its, variant(image)));
      }
    }
    if (fitting.isEmpty()) {
      throw new IOException(
          "it has no image for "
              + name("", architecture, variant)
              + (others.isEmpty() ? "" : ", but for " + String.join(", ", others))
              + " (choose one that your nodes can run: --arch)");
    }
    for (String plain : PLAINEST_VARIANTS) {
      for (JsonTree image : fitting) {
        if (variant(image).equals(plain)) {
          return image;
        }
      }
    }
    return fitting.get(0);
  }

  private static String variant(JsonTree image) {
    return image.get("platform").get("variant").text();
  }

  private static String name(String os, String architecture, String variant) {
    return (os.isEmpty() || os.equals("linux") ? "" : os + "/")
        + architecture
        + (variant.isEmpty() ? "" : "/" + variant);
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
