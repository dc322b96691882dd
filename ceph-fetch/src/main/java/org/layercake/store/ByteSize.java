package org.layercake.store;

import java.util.Locale;
import java.util.OptionalLong;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Sizes as people write them: {@code 512M}, {@code 20g}, in powers of 1024. */
public final class ByteSize {
  private static final Pattern SIZE = Pattern.compile("(\\d{1,18})([KMGT]?)");

  private ByteSize() {}

  /**
   * Bytes.
   *
   * @return empty for what is no size, or beyond all
   */
  public static OptionalLong parse(String text) {
    Matcher size = SIZE.matcher(text.strip().toUpperCase(Locale.ROOT));
    if (!size.matches()) {
      return OptionalLong.empty();
    }
    int power = size.group(2).isEmpty() ? 0 : "KMGT".indexOf(size.group(2)) + 1;
    try {
      return OptionalLong.of(Math.multiplyExact(Long.parseLong(size.group(1)), 1L << (10 * power)));
    } catch (ArithmeticException e) {
      return OptionalLong.empty();
    }
  }
}
