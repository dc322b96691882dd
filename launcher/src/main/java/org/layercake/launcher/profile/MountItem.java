package org.layercake.launcher.profile;

import java.io.IOException;
import java.util.List;
import org.layercake.launcher.edit.Mount;
import org.layercake.launcher.edit.Origin;
import org.layercake.store.ImageName;
import org.layercake.store.StoreException;

/**
 * An item of {@code mounts} or {@code replace}: {@code SOURCE[:DESTINATION][:ro|rw][?]} or {@code
 * image:OWNER/NAME:DESTINATION[?]}.
 *
 * @param source null for an image
 * @param image null for a path
 * @param destination empty for that of the source
 */
record MountItem(
    PathPattern source,
    ImageName image,
    String destination,
    boolean writable,
    Mount.Kind kind,
    boolean optional) {
  private static final String IMAGE = "image:";

  /** Refuses what is none with an {@link IllegalArgumentException} that names it. */
  static MountItem parse(String item, Mount.Kind kind) {
    boolean optional = item.endsWith("?");
    String text = optional ? item.substring(0, item.length() - 1) : item;
    if (text.contains("?")) {
      throw refused(item, "a question mark stands at its end alone");
    }
    if (kind == Mount.Kind.REPLACEMENT) {
      return new MountItem(PathPattern.parse(text), null, "", false, kind, optional);
    }
    boolean writable = text.endsWith(":rw");
    if (writable || text.endsWith(":ro")) {
      text = text.substring(0, text.length() - 3);
    }
    if (text.startsWith(IMAGE)) {
      return image(item, text.substring(IMAGE.length()), writable, optional);
    }
    int colon = text.indexOf(':');
    PathPattern source = PathPattern.parse(colon < 0 ? text : text.substring(0, colon));
    String destination = colon < 0 ? "" : destination(item, text.substring(colon + 1));
    if (source.isGlob() && colon >= 0) {
      throw refused(item, "what * stands for can only be shown where it is");
    }
    if (colon < 0 && isRoot(source.text())) {
      throw refused(item, "nothing can be mounted on /");
    }
    return new MountItem(source, null, destination, writable, kind, optional);
  }

  private static MountItem image(String item, String text, boolean writable, boolean optional) {
    int colon = text.lastIndexOf(":/");
    if (colon < 0 || writable) {
      throw refused(item, "an image is mounted by image:OWNER/NAME:DESTINATION, and only read");
    }
    try {
      ImageName name = ImageName.parse(text.substring(0, colon));
      if (name.owner().isEmpty()) {
        throw refused(item, "the image's owner is missing, as in image:site/NAME:DESTINATION");
      }
      return new MountItem(
          null,
          name,
          destination(item, text.substring(colon + 1)),
          false,
          Mount.Kind.PLAIN,
          optional);
    } catch (StoreException e) {
      throw refused(item, e.getMessage());
    }
  }

  private static String destination(String item, String path) {
    if (!Mount.isPath(path) || path.contains(":") || path.contains("*") || isRoot(path)) {
      throw refused(item, "\"" + path + "\" is no place for a mount");
    }
    return path;
  }

  private static boolean isRoot(String path) {
    return path.chars().allMatch(c -> c == '/');
  }

  private static IllegalArgumentException refused(String item, String why) {
    return new IllegalArgumentException("\"" + item + "\": " + why);
  }

  /**
   * What it is on this node. A pattern without a match is a path that is not there.
   *
   * @throws IllegalArgumentException when it means too much
   */
  List<Mount> mounts(Origin origin) throws IOException {
    if (image != null) {
      return List.of(new Mount(null, image, destination, false, kind, optional, origin));
    }
    List<String> paths = source.matches();
    if (paths.isEmpty()) {
      paths = optional ? List.of() : List.of(source.text());
    }
    return paths.stream()
        .map(
            path ->
                new Mount(
                    path,
                    null,
                    destination.isEmpty() ? path : destination,
                    writable,
                    kind,
                    optional,
                    origin))
        .toList();
  }
}
