package org.layercake.policy;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.Predicate;
import org.layercake.store.StoreException;

/**
 * The rules of a site, in the order in which they stand. The first one that applies decides; where
 * none does, everything is allowed, and jobs that ask for no image have none.
 *
 * @param file where they are from, for messages; empty when there is none
 */
public record Policy(String file, List<Rule> rules, List<DefaultImage> defaults) {
  /** Of a site that has no rules. */
  public static final Policy NONE = new Policy("", List.of(), List.of());

  /** The rule that decides about the container; empty when none does. */
  public Optional<Rule> onContainer(Wish wish) throws StoreException {
    for (Rule rule : rules) {
      if (rule.isAboutContainer() && rule.applies(wish)) {
        return Optional.of(rule);
      }
    }
    return Optional.empty();
  }

  /** The rule that refuses the container whatever the job's partition, account and groups are. */
  public Optional<Rule> anyhowRefusing(Wish wish) throws StoreException {
    return anyhowRefusing(wish, Rule::isAboutContainer);
  }

  /** The same for a task on the host. */
  public Optional<Rule> anyhowRefusing(Wish wish, HostTask task) throws StoreException {
    return anyhowRefusing(wish, rule -> rule.host().filter(h -> h.isAbout(task)).isPresent());
  }

  private Optional<Rule> anyhowRefusing(Wish wish, Predicate<Rule> isAbout) throws StoreException {
    for (Rule rule : rules) {
      if (isAbout.test(rule) && rule.allows() && rule.mayApply(wish)) {
        return Optional.empty();
      }
      if (isAbout.test(rule) && !rule.allows() && rule.appliesAnyway(wish)) {
        return Optional.of(rule);
      }
    }
    return Optional.empty();
  }

  /** The rule that decides about a task on the host; empty when none does. */
  public Optional<Rule> onHost(Wish wish, HostTask task) throws StoreException {
    for (Rule rule : rules) {
      if (rule.host().filter(host -> host.isAbout(task)).isPresent() && rule.applies(wish)) {
        return Optional.of(rule);
      }
    }
    return Optional.empty();
  }

  /** The line that says in which image a job runs that asks for none; empty when none does. */
  public Optional<DefaultImage> defaultImage(Wish wish) throws StoreException {
    for (DefaultImage line : defaults) {
      boolean applies = true;
      for (Condition condition : line.conditions()) {
        applies = applies && condition.holds(wish).orElse(false);
      }
      if (applies) {
        return Optional.of(line);
      }
    }
    return Optional.empty();
  }

  /** The rules that decide about each mount of the container, of which the first counts. */
  public List<Rule> onMounts(Wish wish) throws StoreException {
    List<Rule> applying = new ArrayList<>();
    for (Rule rule : rules) {
      if (rule.mounts().isPresent() && rule.applies(wish)) {
        applying.add(rule);
      }
    }
    return List.copyOf(applying);
  }

  /** Whether a digest, a label or a size is asked for, which only the store knows. */
  public boolean asksOfImages() {
    return rules.stream()
        .anyMatch(
            rule ->
                rule.names(Condition.Key.DIGEST)
                    || rule.names(Condition.Key.LABEL)
                    || rule.names(Condition.Key.SIZE));
  }

  /** How a rule is named in messages. */
  public String place(Rule rule) {
    return place(rule.line(), rule.text());
  }

  /** How a default is named in messages. */
  public String place(DefaultImage line) {
    return place(line.line(), line.text());
  }

  private String place(int line, String text) {
    return "line " + line + " of " + file + ": " + text;
  }

  /** What whoever is refused by a rule is told, after what was refused. */
  public String refusal(Rule rule) {
    return "the site's rules do not allow it"
        + (rule.reason().isEmpty() ? "" : ": " + rule.reason())
        + " ("
        + place(rule)
        + ")";
  }
}
