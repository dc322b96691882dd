package org.layercake.launcher.profile;

import java.util.ArrayList;
import java.util.List;
import java.util.regex.Pattern;
import org.layercake.store.StoreException;

/**
 * Which containers have a profile: those for which one of the conditions holds.
 *
 * @param conditions none for what only those have who ask for it
 * @param text as the site wrote it
 */
record When(List<Condition> conditions, String text) {
  static final When ALWAYS = new When(List.of(new Condition(Kind.ALWAYS, "")), "always");

  private static final int MAX_CONDITIONS = 64;
  private static final Pattern VALUE = Pattern.compile("[\\x21-\\x7e]{1,256}");

  private enum Kind {
    ALWAYS,
    GRES,
    PARTITION,
    IMAGE_LABEL
  }

  private record Condition(Kind kind, String value) {
    boolean holds(Facts facts) throws StoreException {
      return switch (kind) {
        case ALWAYS -> true;
        case GRES -> facts.gres().contains(value);
        case PARTITION -> facts.partition().equals(value);
        case IMAGE_LABEL -> {
          int equals = value.indexOf('=');
          yield value.substring(equals + 1).equals(facts.labels().get(value.substring(0, equals)));
        }
      };
    }
  }

  /** Refuses what is none with an {@link IllegalArgumentException} that names it. */
  static When parse(String text) {
    if (text.equals("always")) {
      return ALWAYS;
    }
    if (text.equals("none")) {
      return new When(List.of(), text);
    }
    List<Condition> conditions = new ArrayList<>();
    for (String each : text.split(",", -1)) {
      conditions.add(condition(each.strip()));
      if (conditions.size() > MAX_CONDITIONS) {
        throw new IllegalArgumentException("more than " + MAX_CONDITIONS + " conditions");
      }
    }
    return new When(List.copyOf(conditions), text);
  }

  private static Condition condition(String text) {
    int colon = text.indexOf(':');
    String value = text.substring(colon + 1);
    Kind kind =
        switch (colon < 0 ? "" : text.substring(0, colon)) {
          case "gres" -> Kind.GRES;
          case "partition" -> Kind.PARTITION;
          case "image-label" -> Kind.IMAGE_LABEL;
          default -> null;
        };
    if (kind == null
        || !VALUE.matcher(value).matches()
        || (kind == Kind.IMAGE_LABEL && value.indexOf('=') <= 0)) {
      throw new IllegalArgumentException(
          "\""
              + text
              + "\" is neither always, none, gres:NAME, partition:NAME nor image-label:KEY=VALUE");
    }
    return new Condition(kind, value);
  }

  boolean isOptIn() {
    return conditions.isEmpty();
  }

  boolean holds(Facts facts) throws StoreException {
    for (Condition condition : conditions) {
      if (condition.holds(facts)) {
        return true;
      }
    }
    return false;
  }
}
