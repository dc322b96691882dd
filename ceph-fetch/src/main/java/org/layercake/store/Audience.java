package org.layercake.store;

import static java.nio.charset.StandardCharsets.US_ASCII;
import static org.layercake.store.StoreException.Kind.CORRUPT;
import static org.layercake.store.StoreException.Kind.INVALID;

import java.util.ArrayList;
import java.util.List;
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

  /** Directory services have groups with spaces. A colon could not be looked up. */
  private static final Pattern GROUP = Pattern.compile("[!-9;-~]([ -9;-~]{0,126}[!-9;-~])?");

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

  static Audience parse(byte[] bytes) throws StoreException {
    List<String> groups = new ArrayList<>();
    List<String> users = new ArrayList<>();
    boolean all = false;
    for (String line : new String(bytes, US_ASCII).lines().toList()) {
      if (line.equals("all")) {
        all = true;
      } else if (line.startsWith("group ")) {
        groups.add(line.substring("group ".length()));
      } else if (line.startsWith("user ")) {
        users.add(line.substring("user ".length()));
      } else {
        throw new StoreException(
            CORRUPT, "cannot read whom an image is shared with: malformed (unshare it)");
      }
    }
    return of(all, groups, users);
  }

  byte[] bytes() {
    StringBuilder text = new StringBuilder(all ? "all\n" : "");
    groups.forEach(name -> text.append("group ").append(name).append('\n'));
    users.forEach(name -> text.append("user ").append(name).append('\n'));
    return text.toString().getBytes(US_ASCII);
  }

  /** As {@code share --with} takes it: {@code all}, or names; empty for nobody. */
  @Override
  public String toString() {
    List<String> names = new ArrayList<>();
    if (all) {
      names.add("all");
    }
    groups.forEach(name -> names.add("group:" + name));
    users.forEach(name -> names.add("user:" + name));
    return String.join(",", names);
  }
}
