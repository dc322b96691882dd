package org.layercake.policy;

import java.util.List;
import java.util.Optional;
import org.layercake.store.StoreException;

/**
 * One line of the file.
 *
 * @param line its number, from 1
 * @param text as it was written, without the reason
 * @param allows else it denies
 * @param mounts what it says of mounts
 * @param host what it says of tasks on the host; a rule without both decides about the container
 * @param reason what the site tells users who are refused; may be empty
 */
public record Rule(
    int line,
    String text,
    boolean allows,
    List<Condition> conditions,
    Optional<MountPaths> mounts,
    Optional<Condition> host,
    String reason) {

  /**
   * Directories, in which, or outside of all of which, a mount's source is.
   *
   * @param others whether the rule is about what is outside
   */
  public record MountPaths(boolean others, List<String> paths) {}

  /** Whether all its conditions hold. An unknown one does not hold to allow, but does to deny. */
  boolean applies(Wish wish) throws StoreException {
    for (Condition condition : conditions) {
      if (!condition.holds(wish).orElse(!allows)) {
        return false;
      }
    }
    return true;
  }

  /** Whether it applies whatever partition, account and groups are. */
  boolean appliesAnyway(Wish wish) throws StoreException {
    for (Condition condition : conditions) {
      if (!condition.key().isKnownEarly() || !condition.holds(wish).orElse(false)) {
        return false;
      }
    }
    return true;
  }

  /** Whether it applies for some partition, account and groups. */
  boolean mayApply(Wish wish) throws StoreException {
    for (Condition condition : conditions) {
      if (condition.key().isKnownEarly() && !condition.holds(wish).orElse(true)) {
        return false;
      }
    }
    return true;
  }

  boolean isAboutContainer() {
    return mounts.isEmpty() && host.isEmpty();
  }

  /**
   * Whether it is about a mount, as far as the text of its source tells: the holder, which decides,
   * looks where that leads (holder/rules.c).
   */
  public boolean isAbout(String source) {
    MountPaths of = mounts.orElseThrow();
    boolean found = false;
    for (String path : of.paths()) {
      found |= isIn(source, path) || (allows == of.others() && isIn(path, source));
    }
    return found != of.others();
  }

  private static boolean isIn(String path, String directory) {
    return directory.equals("/") || path.equals(directory) || path.startsWith(directory + "/");
  }

  boolean names(Condition.Key key) {
    return conditions.stream().anyMatch(condition -> condition.key() == key);
  }
}
