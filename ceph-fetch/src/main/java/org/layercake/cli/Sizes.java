package org.layercake.cli;

import java.util.Locale;
import java.util.OptionalLong;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Sizes for people. */
final class Sizes {
  private static final String[] UNITS = {"kB", "MB", "GB", "TB"};

  private static final Pattern SIZE = Pattern.compile("(\\d{1,6})([kKmMgGtT]?)");

  private Sizes() {}

  /**
   * Bytes as people write them: {@code 512M}, in powers of 1024.
   *
   * @return empty for what is no size
   */
  static OptionalLong parse(String text) {
    Matcher size = SIZE.matcher(text);
    if (!size.matches()) {
      return OptionalLong.empty();
    }
    int power = "kmgt".indexOf(size.group(2).toLowerCase(Locale.ROOT)) + 1;
    return OptionalLong.of(
        Long.parseLong(size.group(1)) << (size.group(2).isEmpty() ? 0 : 10 * power));
  }

  /** Three digits or so, decimal units: {@code 999 B}, {@code 1.2 MB}. */
  static String human(long bytes) {
    if (bytes < 1000) {
      return bytes + " B";
    }
    double value = bytes / 1000.0;
    int unit = 0;
    while (value >= 999.95 && unit < UNITS.length - 1) {
      value /= 1000;
      unit++;
    }
    return String.format(Locale.ROOT, value < 9.995 ? "%.1f %s" : "%.0f %s", value, UNITS[unit]);
  }
}
