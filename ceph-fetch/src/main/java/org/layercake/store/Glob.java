package org.layercake.store;

/**
 * A pattern, in which {@code *} stands for any characters, also none, and {@code ?} for one.
 * Everything else stands for itself.
 */
public record Glob(String pattern) {
  /** In time that grows with the product of both lengths, at worst. */
  public boolean matches(String text) {
    int p = 0;
    int t = 0;
    int star = -1; // the last one, to which we come back
    int resume = 0;
    while (t < text.length()) {
      if (p < pattern.length() && pattern.charAt(p) == '*') {
        star = p++;
        resume = t;
      } else if (p < pattern.length()
          && (pattern.charAt(p) == '?' || pattern.charAt(p) == text.charAt(t))) {
        p++;
        t++;
      } else if (star >= 0) {
        p = star + 1;
        t = ++resume;
      } else {
        return false;
      }
    }
    while (p < pattern.length() && pattern.charAt(p) == '*') {
      p++;
    }
    return p == pattern.length();
  }
}
