package org.layercake.launcher.profile;

import java.util.ArrayList;
import java.util.List;
import java.util.regex.Pattern;

/**
 * A profile that a user wants to have, {@code +NAME}, or to do without, {@code -NAME}.
 *
 * @param added else it is left out
 */
public record ProfileChange(String name, boolean added) {
  /** How many can be asked for at once. */
  public static final int MAX_CHANGES = 64;

  private static final Pattern NAME = Pattern.compile("[A-Za-z0-9][A-Za-z0-9_-]{0,63}");

  /** Whether a text can be the name of a profile. No file that an editor leaves has such a one. */
  static boolean isName(String text) {
    return NAME.matcher(text).matches();
  }

  /** Refuses what is no list of changes with an {@link IllegalArgumentException} that says why. */
  public static List<ProfileChange> parseList(String text) {
    List<ProfileChange> changes = new ArrayList<>();
    for (String each : text.split(",", -1)) {
      boolean hasSign = each.startsWith("+") || each.startsWith("-");
      if (!hasSign || !isName(each.substring(1))) {
        throw new IllegalArgumentException("\"" + each + "\" is neither +PROFILE nor -PROFILE");
      }
      changes.add(new ProfileChange(each.substring(1), each.startsWith("+")));
      if (changes.size() > MAX_CHANGES) {
        throw new IllegalArgumentException("more than " + MAX_CHANGES + " profiles");
      }
    }
    return List.copyOf(changes);
  }

  @Override
  public String toString() {
    return (added ? "+" : "-") + name;
  }
}
