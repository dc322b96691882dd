package org.layercake.store;

import static java.nio.charset.StandardCharsets.US_ASCII;
import static org.layercake.store.StoreException.Kind.CORRUPT;
import static org.layercake.store.StoreException.Kind.INVALID;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Iterator;
import java.util.List;
import java.util.Optional;
import java.util.SortedSet;
import java.util.TreeSet;
import java.util.function.BinaryOperator;
import java.util.function.Predicate;
import java.util.regex.Pattern;

/**
 * Who beside its owner may run an image. Stored as lines {@code all}, {@code group NAME} and {@code
 * user NAME}, in this order, names sorted.
 */
public record Audience(boolean all, SortedSet<String> groups, SortedSet<String> users) {
  public static final Audience NOBODY = new Audience(false, new TreeSet<>(), new TreeSet<>());
  public static final Audience ALL = new Audience(true, new TreeSet<>(), new TreeSet<>());

  private static final int MAX_NAMES = 100;
  private static final String GROUP_PREFIX = "group ";
  private static final String USER_PREFIX = "user ";

  /** Directory services have groups with spaces. A colon could not be looked up. */
  private static final Pattern GROUP = Pattern.compile("[!-9;-~]([ -9;-~]{0,126}[!-9;-~])?");

  /** What sharing does to an audience. */
  public interface Change {
    Audience apply(Audience now) throws StoreException;
  }

  public Audience {
    if (groups.size() + users.size() > MAX_NAMES
        || !groups.stream().allMatch(name -> GROUP.matcher(name).matches())
        || !users.stream().allMatch(ImageName::isUser)) {
      throw new IllegalArgumentException("not an audience");
    }
  }

  public static Audience user(String name) throws StoreException {
    return of(false, List.of(), List.of(name));
  }

  public static Audience group(String name) throws StoreException {
    return of(false, List.of(name), List.of());
  }

  private static Audience of(boolean all, List<String> groups, List<String> users)
      throws StoreException {
    try {
      return new Audience(all, new TreeSet<>(groups), new TreeSet<>(users));
    } catch (IllegalArgumentException e) {
      throw new StoreException(
          INVALID,
          "cannot share with "
              + String.join(", ", users)
              + String.join(", ", groups)
              + ": at most "
              + MAX_NAMES
              + " users and groups, whose names are ASCII without a colon (make a group)",
          e);
    }
  }

  public boolean isNobody() {
    return equals(NOBODY);
  }

  /**
   * @param memberOf whether the user is in a group
   */
  boolean admits(String user, Predicate<String> memberOf) {
    return all || users.contains(user) || groups.stream().anyMatch(memberOf);
  }

  public Audience with(Audience more) throws StoreException {
    return combine(
        more,
        all || more.all,
        (mine, others) -> {
          mine.addAll(others);
          return mine;
        });
  }

  public Audience without(Audience less) throws StoreException {
    return combine(
        less,
        all && !less.all,
        (mine, others) -> {
          mine.removeAll(others);
          return mine;
        });
  }

  private Audience combine(Audience other, boolean newAll, BinaryOperator<SortedSet<String>> how)
      throws StoreException {
    return of(
        newAll,
        List.copyOf(how.apply(new TreeSet<>(groups), other.groups)),
        List.copyOf(how.apply(new TreeSet<>(users), other.users)));
  }

  /** What a store has. Nothing, and what cannot be read, admits nobody. */
  static Audience read(Optional<byte[]> stored) {
    try {
      return stored.isEmpty() ? NOBODY : parse(stored.get());
    } catch (StoreException e) {
      return NOBODY;
    }
  }

  /**
   * Parses hostile bytes. Only what {@link #bytes} would write is an audience: of anything else,
   * such as one that was cut off, nobody knows whom it was to admit.
   */
  static Audience parse(byte[] bytes) throws StoreException {
    SortedSet<String> groups = new TreeSet<>();
    SortedSet<String> users = new TreeSet<>();
    boolean all = false;
    if (bytes.length > ObjectStore.MAX_TAG_BYTES) {
      throw malformed(null);
    }
    Iterator<String> lines = new String(bytes, US_ASCII).lines().limit(MAX_NAMES + 2L).iterator();
    while (lines.hasNext()) {
      String line = lines.next();
      if (line.equals("all")) {
        all = true;
      } else if (line.startsWith(GROUP_PREFIX)) {
        groups.add(line.substring(GROUP_PREFIX.length()));
      } else if (line.startsWith(USER_PREFIX)) {
        users.add(line.substring(USER_PREFIX.length()));
      } else {
        throw malformed(null);
      }
    }
    try {
      Audience audience = new Audience(all, groups, users);
      if (Arrays.equals(audience.bytes(), bytes)) {
        return audience;
      }
    } catch (IllegalArgumentException e) {
      throw malformed(e);
    }
    throw malformed(null);
  }

  private static StoreException malformed(Exception cause) {
    return new StoreException(
        CORRUPT, "cannot read whom an image is shared with: malformed (unshare it)", cause);
  }

  byte[] bytes() {
    StringBuilder text = new StringBuilder(all ? "all\n" : "");
    groups.forEach(name -> text.append(GROUP_PREFIX).append(name).append('\n'));
    users.forEach(name -> text.append(USER_PREFIX).append(name).append('\n'));
    return text.toString().getBytes(US_ASCII);
  }

  /** As {@code share --with} takes it: {@code all}, or names; none for nobody. */
  public List<String> words() {
    List<String> words = new ArrayList<>();
    if (all) {
      words.add("all");
    }
    groups.forEach(name -> words.add("group:" + name));
    users.forEach(name -> words.add("user:" + name));
    return words;
  }

  /** The words with commas; empty for nobody. */
  @Override
  public String toString() {
    return String.join(",", words());
  }
}
