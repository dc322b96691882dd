package org.layercake.store;

import java.util.regex.Pattern;

/** Text of others, made harmless for logs and terminals. */
public final class Text {
  // Control, direction and other invisible characters, and what some programs take for a new line.
  private static final Pattern INVISIBLE = Pattern.compile("[\\p{C}\\u2028\\u2029]");

  private Text() {}

  /** The text with a question mark for each character that could do more than stand there. */
  public static String clean(String text) {
    return INVISIBLE.matcher(text).replaceAll("?");
  }
}
