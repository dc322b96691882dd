package org.layercake.store;

import java.util.Collection;
import java.util.List;

/** Names a user may have meant. */
public final class NearNames {
  private NearNames() {}

  /** Those with the same name and another tag, or a slip of the finger away. */
  static List<String> find(ImageName wanted, Collection<ImageName> known) {
    String text = wanted.tagged();
    int tolerance = Math.max(1, text.length() / 4);
    return known.stream()
        .filter(
            name -> name.name().equals(wanted.name()) || distance(name.tagged(), text) <= tolerance)
        .map(ImageName::toString)
        .toList();
  }

  /** Levenshtein's edit distance. */
  public static int distance(String a, String b) {
    int[] previous = new int[b.length() + 1];
    for (int j = 0; j < previous.length; j++) {
      previous[j] = j;
    }
    for (int i = 1; i <= a.length(); i++) {
      int[] current = new int[b.length() + 1];
      current[0] = i;
      for (int j = 1; j <= b.length(); j++) {
        int substitution = previous[j - 1] + (a.charAt(i - 1) == b.charAt(j - 1) ? 0 : 1);
        current[j] = Math.min(substitution, 1 + Math.min(previous[j], current[j - 1]));
      }
      previous = current;
    }
    return previous[b.length()];
  }
}
