package org.layercake.launcher.job;

import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import org.layercake.launcher.node.Abort;

/** Specs that name no image: docs/protocol.md, "Spec". Their job or the site has one for them. */
final class SpecText {
  /** Asks for the host, and no container. */
  static final String HOST = "none";

  private static final String IMAGE = "image=";
  private static final String BATCH = "batch=1";
  // Said of every step, whatever its user asked for.
  private static final Set<String> UNASKED = Set.of("image", "cwd", "batch");

  private SpecText() {}

  static boolean namesImage(String spec) {
    return spec.length() > IMAGE.length()
        && spec.startsWith(IMAGE)
        && spec.charAt(IMAGE.length()) != ';';
  }

  /** A spec of nothing but an image. */
  static String of(String image, boolean batchInside) {
    return IMAGE + image + (batchInside ? ";" + BATCH : "");
  }

  /** Whether a spec, which need not name an image, asks for something that only images can have. */
  static boolean needsImage(String spec) {
    return items(spec).stream().anyMatch(item -> !UNASKED.contains(key(item)));
  }

  /** Whether a batch script is to be inside as well. */
  static boolean hasBatchInside(String spec) {
    return items(spec).contains(BATCH);
  }

  /**
   * Requires a spec without image to be right in all else.
   *
   * @throws Abort with the offending part
   */
  static void require(String spec) throws Abort {
    if (!spec.startsWith(IMAGE)) {
      throw Spec.refused(spec, "image must be the first item");
    }
    Spec unused = Spec.parse(IMAGE + "any" + spec.substring(IMAGE.length()));
  }

  /**
   * The spec of an image, and what another asks for beside one.
   *
   * @param own goes before what the first has of the same kind
   */
  static String merge(String spec, String own) throws Abort {
    require(own);
    Spec there = Spec.parse(spec);
    List<String> merged = new ArrayList<>(items(spec));
    for (String item : items(own)) {
      boolean shown = key(item).equals("cwd") && there.shows(Spec.decoded(item));
      if (!shown && !key(item).equals("image")) {
        put(merged, item);
      }
    }
    return String.join(";", merged);
  }

  private static void put(List<String> items, String item) {
    for (int i = 0; i < items.size(); i++) {
      if (place(items.get(i)).equals(place(item))) {
        items.set(i, item);
        return;
      }
    }
    items.add(item);
  }

  /** What there can be one of in a spec. */
  private static String place(String item) {
    if (!key(item).equals("mount")) {
      return key(item);
    }
    String withoutMode = item.substring(0, item.lastIndexOf(':'));
    return "mount " + withoutMode.substring(withoutMode.lastIndexOf(':') + 1);
  }

  private static List<String> items(String spec) {
    return List.of(spec.split(";"));
  }

  private static String key(String item) {
    int equals = item.indexOf('=');
    return equals < 0 ? item : item.substring(0, equals);
  }
}
