package org.layercake.launcher.device;

import java.util.ArrayList;
import java.util.List;
import java.util.regex.Pattern;

/**
 * A device as users name it, {@code VENDOR/CLASS=NAME}, all ASCII.
 *
 * @param kind {@code VENDOR/CLASS}
 */
public record DeviceName(String kind, String name) {
  /** How many can be asked for at once. */
  public static final int MAX_NAMES = 64;

  private static final int MAX_LENGTH = 256;

  // VENDOR, CLASS and NAME as in "CDI Device requirements" of the specification.
  private static final String PART = "[A-Za-z](?:[A-Za-z0-9_.-]*[A-Za-z0-9])?";
  private static final Pattern KIND = Pattern.compile(PART + "/" + PART);
  private static final Pattern NAME =
      Pattern.compile("[A-Za-z0-9](?:[A-Za-z0-9_.:-]*[A-Za-z0-9])?");

  /** Whether a text is {@code VENDOR/CLASS}. */
  static boolean isKind(String text) {
    return text.length() <= MAX_LENGTH && KIND.matcher(text).matches();
  }

  /** Whether a text can be the name of a device within its kind. */
  static boolean isName(String text) {
    return text.length() <= MAX_LENGTH && NAME.matcher(text).matches();
  }

  /** Refuses what is no name with an {@link IllegalArgumentException} that says what one is. */
  public static DeviceName parse(String text) {
    int equals = text.indexOf('=');
    if (equals < 0 || !isKind(text.substring(0, equals)) || !isName(text.substring(equals + 1))) {
      throw new IllegalArgumentException(
          "\"" + text + "\" is not VENDOR/CLASS=NAME, as in nvidia.com/gpu=all");
    }
    return new DeviceName(text.substring(0, equals), text.substring(equals + 1));
  }

  /** The same for a list with commas between. */
  public static List<DeviceName> parseList(String text) {
    List<DeviceName> names = new ArrayList<>();
    for (String each : text.split(",", -1)) {
      names.add(parse(each));
      if (names.size() > MAX_NAMES) {
        throw new IllegalArgumentException("more than " + MAX_NAMES + " devices");
      }
    }
    return List.copyOf(names);
  }

  @Override
  public String toString() {
    return kind + "=" + name;
  }
}
