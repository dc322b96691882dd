package org.layercake.cli;

import static org.layercake.store.StoreException.Kind.INTERNAL;
import static org.layercake.store.StoreException.Kind.MISCONFIGURED;
import static org.layercake.store.StoreException.Kind.NOT_FOUND;

import java.io.IOException;
import java.util.List;
import org.layercake.store.Audience;
import org.layercake.store.StoreException;

/** What people write to say with whom: {@code all}, {@code [user:]NAME}, {@code [group:]NAME}. */
final class Who {
  private static final String USER = "user:";
  private static final String GROUP = "group:";

  private Who() {}

  static Audience parse(List<String> words) throws StoreException {
    Audience audience = Audience.NOBODY;
    for (String word : words) {
      audience = audience.with(one(word.strip()));
    }
    return audience;
  }

  /** Those who are in an audience are known by it: they may have left the site. */
  static Audience among(Audience audience, List<String> words) throws StoreException {
    Audience found = Audience.NOBODY;
    for (String word : words) {
      String name = word.strip();
      if (audience.users().contains(name)) {
        found = found.with(Audience.user(name));
      } else if (audience.groups().contains(name)) {
        found = found.with(Audience.group(name));
      } else {
        found = found.with(one(name));
      }
    }
    return found;
  }

  private static Audience one(String word) throws StoreException {
    if (word.equals("all")) {
      return Audience.ALL;
    } else if (word.startsWith(USER)) {
      return Audience.user(known("passwd", word.substring(USER.length())));
    } else if (word.startsWith(GROUP)) {
      return Audience.group(known("group", word.substring(GROUP.length())));
    }
    return isKnown("passwd", word) ? Audience.user(word) : Audience.group(known("group", word));
  }

  private static String known(String database, String name) throws StoreException {
    if (!isKnown(database, name)) {
      throw new StoreException(
          NOT_FOUND,
          "cannot share with \""
              + name
              + "\": no such user or group (see: getent "
              + database
              + " "
              + name
              + ")");
    }
    return name;
  }

  /** Names that are numbers would be taken for ids. */
  private static boolean isKnown(String database, String name) throws StoreException {
    if (name.isEmpty() || name.chars().allMatch(Character::isDigit)) {
      return false;
    }
    try {
      Process getent =
          new ProcessBuilder("getent", database, "--", name)
              .redirectOutput(ProcessBuilder.Redirect.DISCARD)
              .redirectError(ProcessBuilder.Redirect.DISCARD)
              .start();
      getent.getOutputStream().close();
      return getent.waitFor() == 0;
    } catch (IOException e) {
      throw new StoreException(
          MISCONFIGURED, "cannot look up \"" + name + "\": getent: " + e.getMessage(), e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new StoreException(INTERNAL, "cannot look up \"" + name + "\": interrupted", e);
    }
  }
}
