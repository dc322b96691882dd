package org.layercake.policy;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.layercake.store.StoreException;

/**
 * The rules of a site, in the order in which they stand. The first one that applies decides; where
 * none does, everything is allowed.
 *
 * @param file where they are from, for messages; empty when there is none
 */
public record Policy(String file, List<Rule> rules) {
  /** Of a site that has no rules. */
  public static final Policy NONE = new Policy("", List.of());

  /** The rule that decides about the container; empty when none does. */
  public Optional<Rule> onContainer(Wish wish) throws StoreException {
    for (Rule rule : rules) {
      if (rule.mounts().isEmpty() && rule.applies(wish)) {
        return Optional.of(rule);
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
    return "line " + rule.line() + " of " + file + ": " + rule.text();
  }
}
