package org.layercake.pack;

import java.io.IOException;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.Predicate;
import java.util.stream.Stream;

/**
 * One of the images that an archive or a directory holds, before its layers are looked at.
 *
 * @param identity equal for what is the same image, however often it is listed
 * @param names under which it is listed
 * @param isThere whether it is in the archive, and not only listed there
 */
record ArchivedImage(
    String identity, Set<String> names, Platform platform, boolean isThere, Opener opener) {
  private static final int MAX_SHOWN = 12;
  private static final String DOCKERS_OWN = "docker.io/";
  private static final String DOCKERS_LIBRARY = "docker.io/library/";

  /** Reads it. */
  @FunctionalInterface
  interface Opener {
    LayeredImage open() throws IOException;
  }

  ArchivedImage {
    names = Collections.unmodifiableSet(new TreeSet<>(names));
  }

  /**
   * The one that is wanted.
   *
   * @throws IOException with what there is, when that is none or several
   */
  static ArchivedImage choose(List<ArchivedImage> listed, Wanted wanted) throws IOException {
    List<ArchivedImage> all = merged(listed);
    List<ArchivedImage> named = all;
    if (wanted.tag().isPresent()) {
      named = filtered(all, image -> image.isCalled(wanted.tag().get()));
      if (named.isEmpty()) {
        throw new IOException(
            "it holds no image called \""
                + wanted.tag().get()
                + "\", but "
                + shown(all)
                + " (choose one: --tag)");
      }
    }
    Platform platform = wanted.platformOrMachine();
    List<ArchivedImage> fitting = filtered(named, image -> image.platform.isFor(platform));
    if (fitting.isEmpty()) {
      throw new IOException(
          named.size() == 1
              ? Misfit.message(named.get(0).platform.toString(), platform)
              : "it holds no image for "
                  + platform
                  + ", but "
                  + shown(named)
                  + " (choose one that your nodes can run: --arch)");
    }
    List<ArchivedImage> there = filtered(fitting, ArchivedImage::isThere);
    fitting = plainest(there.isEmpty() ? fitting : there);
    if (fitting.size() != 1) {
      throw new IOException(
          "it holds "
              + fitting.size()
              + " images for "
              + platform
              + ": "
              + shown(fitting)
              + (fitting.stream().allMatch(image -> image.names.isEmpty())
                  ? " (take out one, with skopeo copy)"
                  : " (choose one: --tag)"));
    }
    return fitting.get(0);
  }

  private static List<ArchivedImage> filtered(
      List<ArchivedImage> images, Predicate<ArchivedImage> condition) {
    return images.stream().filter(condition).toList();
  }

  /** Each image once, with all its names. */
  private static List<ArchivedImage> merged(List<ArchivedImage> listed) {
    Map<String, ArchivedImage> images = new LinkedHashMap<>();
    for (ArchivedImage image : listed) {
      images.merge(image.identity, image, ArchivedImage::with);
    }
    return new ArrayList<>(images.values());
  }

  private ArchivedImage with(ArchivedImage same) {
    Set<String> all = new TreeSet<>(names);
    all.addAll(same.names);
    return new ArchivedImage(
        identity,
        all,
        platform.or(same.platform),
        isThere || same.isThere,
        isThere ? opener : same.opener);
  }

  /** Variants are one image when they have the same names: what runs everywhere is taken. */
  private static List<ArchivedImage> plainest(List<ArchivedImage> images) {
    boolean areVariants =
        images.stream().map(ArchivedImage::names).distinct().count() == 1
            && images.stream().map(image -> image.platform.variant()).distinct().count()
                == images.size();
    if (!areVariants) {
      return images;
    }
    String least = images.stream().map(i -> i.platform.rank()).sorted().findFirst().orElse("");
    return filtered(images, image -> image.platform.rank().equals(least));
  }

  /** By the whole name, by its end from a slash on, or by the tag alone. */
  private boolean isCalled(String tag) {
    return Stream.of(tag, tag + ":latest")
            .anyMatch(
                wanted ->
                    names.stream()
                        .anyMatch(name -> name.equals(wanted) || name.endsWith("/" + wanted)))
        || names.stream().anyMatch(name -> name.endsWith(":" + tag));
  }

  private static String shown(List<ArchivedImage> images) {
    Stream<String> some = images.stream().limit(MAX_SHOWN).map(ArchivedImage::shown);
    String more = images.size() > MAX_SHOWN ? " and " + (images.size() - MAX_SHOWN) + " more" : "";
    return String.join(", ", some.toList()) + more;
  }

  private String shown() {
    String name = names.isEmpty() ? "one without a name" : String.join(" = ", familiar());
    return name + " (" + platform + (isThere ? ")" : ", listed only)");
  }

  private List<String> familiar() {
    return names.stream()
        .limit(MAX_SHOWN)
        .map(
            name ->
                name.startsWith(DOCKERS_LIBRARY)
                    ? name.substring(DOCKERS_LIBRARY.length())
                    : name.startsWith(DOCKERS_OWN) ? name.substring(DOCKERS_OWN.length()) : name)
        .toList();
  }
}
