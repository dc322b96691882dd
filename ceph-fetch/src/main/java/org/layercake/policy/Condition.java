package org.layercake.policy;

import java.util.List;
import java.util.Optional;
import java.util.function.Predicate;
import org.layercake.store.Glob;
import org.layercake.store.StoreException;

/**
 * One condition of a rule: {@code KEY=VALUE[,VALUE…]}, which holds when one of the values is right,
 * or {@code KEY!=…}, which holds when none is.
 *
 * @param bytes of {@code size>N}, else 0
 */
public record Condition(Key key, boolean negated, List<Glob> values, long bytes) {
  /** What rules can ask, by the words that they ask it with. */
  enum Key {
    PARTITION,
    ACCOUNT,
    USER,
    GROUP,
    IMAGE,
    DIGEST,
    LABEL,
    SIZE,
    ROOT,
    WRITABLE,
    DEVICE,
    PROFILE,
    MOUNT,
    HOST;

    /** Whether it is about the job, and so can be asked of tasks that have no image. */
    boolean isOfJob() {
      return this == PARTITION || this == ACCOUNT || this == USER || this == GROUP;
    }

    /** Whether it is known, and told, before a job has its nodes. */
    boolean isKnownEarly() {
      return this != PARTITION && this != ACCOUNT && this != GROUP && this != PROFILE;
    }

    String word() {
      return name().toLowerCase(java.util.Locale.ROOT);
    }
  }

  private static final Glob YES = new Glob("yes");

  /** Empty when it cannot be known: the name of an image that is given by its digest. */
  Optional<Boolean> holds(Wish wish) throws StoreException {
    return switch (key) {
      case PARTITION -> is(wish.job().place().partition());
      case ACCOUNT -> is(wish.job().place().account());
      case USER -> is(wish.user());
      case GROUP -> any(group -> wish.inGroup().test(group.pattern()));
      case IMAGE -> image(wish.image());
      case DIGEST -> is(wish.image().digest());
      case LABEL -> any(label -> label(label.pattern(), wish.image()));
      case SIZE -> Optional.of(wish.image().bytes() > bytes);
      case ROOT -> any(value -> value.equals(YES) == wish.root());
      case WRITABLE -> any(value -> value.equals(YES) == wish.writable());
      case DEVICE -> any(device -> wish.devices().stream().anyMatch(device::matches));
      case PROFILE -> any(profile -> wish.profiles().stream().anyMatch(profile::matches));
      case MOUNT, HOST -> throw new IllegalStateException("not about the container");
    };
  }

  /** Of {@code host}: whether it is about such a task. */
  boolean isAbout(HostTask task) {
    return values.stream().anyMatch(value -> value.matches(task.word())) != negated;
  }

  private Optional<Boolean> is(String actual) {
    return any(value -> value.matches(actual));
  }

  private Optional<Boolean> any(Predicate<Glob> matches) {
    return Optional.of(values.stream().anyMatch(matches) != negated);
  }

  private Optional<Boolean> image(Wish.ImageFacts image) {
    boolean possible = false;
    for (Glob value : values) {
      String pattern = value.pattern();
      int slash = pattern.indexOf('/');
      if (!new Glob(pattern.substring(0, slash)).matches(image.owner())) {
        continue;
      }
      String name = pattern.substring(slash + 1);
      if (name.equals("*") || image.tagged().filter(t -> named(name).matches(t)).isPresent()) {
        return Optional.of(!negated);
      }
      possible |= image.tagged().isEmpty();
    }
    return possible ? Optional.empty() : Optional.of(negated);
  }

  private static Glob named(String pattern) {
    return new Glob(pattern.contains(":") ? pattern : pattern + ":*");
  }

  private static boolean label(String pattern, Wish.ImageFacts image) {
    int equals = pattern.indexOf('=');
    String value = image.labels().get(pattern.substring(0, equals));
    return value != null && new Glob(pattern.substring(equals + 1)).matches(value);
  }
}
