package org.layercake.launcher.image;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.util.List;
import java.util.stream.Collectors;

/** An image's entry point, in the one line in which tasks get it. */
final class EntryPoint {
  /** So much has room in a frame beside an environment of any size. */
  static final int MAX_BYTES = 8192;

  private EntryPoint() {}

  /**
   * The words with single spaces between them, each written as values in a spec are; empty when no
   * task could run it.
   */
  static String line(List<String> words) {
    String line = words.stream().map(EntryPoint::escaped).collect(Collectors.joining(" "));
    return line.length() > MAX_BYTES || line.contains("%00") ? "" : line;
  }

  private static String escaped(String word) {
    StringBuilder escaped = new StringBuilder(word.length());
    for (byte each : word.getBytes(UTF_8)) {
      if (each <= ' ' || each == 0x7f || each == '%' || each == ';') {
        escaped.append(String.format("%%%02X", each & 0xff));
      } else {
        escaped.append((char) each);
      }
    }
    return escaped.toString();
  }
}
