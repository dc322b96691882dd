package org.layercake.policy;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumSet;
import java.util.List;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.layercake.store.ByteSize;
import org.layercake.store.Glob;
import org.layercake.store.ImageName;
import org.layercake.store.StoreException;

/** Reads the rules. Whatever is not understood is refused: a rule must not be lost. */
final class PolicyText {
  static final int MAX_BYTES = 1 << 20;
  static final int MAX_RULES = 4096;
  static final int MAX_VALUES = 256;
  private static final int MAX_REASON_CHARS = 200;

  private static final Pattern DEFAULT = Pattern.compile("default(?=[ \t]|$)");
  private static final Pattern CONDITION = Pattern.compile("([a-z]+)(!=|=|>)(.*)");
  private static final Pattern PRINTABLE = Pattern.compile("[\\x21-\\x7e]+");
  private static final Pattern REASON = Pattern.compile("[^\\p{IsControl}\\p{Cs}]*");

  private final String file;

  private PolicyText(String file) {
    this.file = file;
  }

  /**
   * Parses the text of a file.
   *
   * @throws StoreException MISCONFIGURED that names the line and what is wrong with it
   */
  static Policy parse(String file, String text) throws StoreException {
    PolicyText reader = new PolicyText(file);
    List<Rule> rules = new ArrayList<>();
    List<DefaultImage> defaults = new ArrayList<>();
    String[] lines = text.split("\n", -1);
    for (int i = 0; i < lines.length; i++) {
      String line = lines[i].strip();
      if (DEFAULT.matcher(line).lookingAt()) {
        defaults.add(reader.defaultImage(i + 1, line));
      } else if (!line.isEmpty() && !line.startsWith("#")) {
        rules.add(reader.rule(i + 1, line));
      }
      if (rules.size() + defaults.size() > MAX_RULES) {
        throw reader.refused(i + 1, "more than " + MAX_RULES + " rules");
      }
    }
    return new Policy(file, List.copyOf(rules), List.copyOf(defaults));
  }

  private Rule rule(int number, String line) throws StoreException {
    int dashes = (line + " ").indexOf(" -- ");
    String said = (dashes < 0 ? line : line.substring(0, dashes)).strip();
    String reason = dashes < 0 ? "" : line.substring(Math.min(line.length(), dashes + 4)).strip();
    if (reason.length() > MAX_REASON_CHARS || !REASON.matcher(reason).matches()) {
      throw refused(number, "the reason has more than " + MAX_REASON_CHARS + " characters");
    }
    List<String> words = words(said);
    String action = words.get(0);
    if (!action.equals("allow") && !action.equals("deny")) {
      throw refused(number, "it begins with \"" + action + "\", not with allow, deny or default");
    }
    List<Condition> conditions = new ArrayList<>();
    for (String word : words.subList(1, words.size())) {
      conditions.add(condition(number, word));
    }
    refuseRepetition(number, conditions);
    Optional<Rule.MountPaths> mounts =
        take(conditions, Condition.Key.MOUNT)
            .map(
                mount ->
                    new Rule.MountPaths(
                        mount.negated(), mount.values().stream().map(Glob::pattern).toList()));
    Optional<Condition> host = take(conditions, Condition.Key.HOST);
    if (host.isPresent()) {
      requireOfJob(number, conditions, "what is on the host");
      if (mounts.isPresent()) {
        throw refused(number, "what is on the host has no mounts");
      }
    }
    return new Rule(
        number, said, action.equals("allow"), List.copyOf(conditions), mounts, host, reason);
  }

  private static List<String> words(String text) {
    return Arrays.asList(text.split("[ \t]+"));
  }

  private void refuseRepetition(int number, List<Condition> conditions) throws StoreException {
    Set<Condition.Key> keys = EnumSet.noneOf(Condition.Key.class);
    for (Condition condition : conditions) {
      if (!keys.add(condition.key())) {
        throw refused(number, "\"" + condition.key().word() + "\" is there twice");
      }
    }
  }

  private static Optional<Condition> take(List<Condition> conditions, Condition.Key key) {
    Optional<Condition> found = conditions.stream().filter(c -> c.key() == key).findFirst();
    found.ifPresent(conditions::remove);
    return found;
  }

  private void requireOfJob(int number, List<Condition> conditions, String what)
      throws StoreException {
    for (Condition condition : conditions) {
      if (!condition.key().isOfJob()) {
        throw refused(
            number,
            "\""
                + condition.key().word()
                + "\" is asked of containers: "
                + what
                + " goes by partition, account, user and group");
      }
    }
  }

  private DefaultImage defaultImage(int number, String line) throws StoreException {
    Optional<String> image = Optional.empty();
    Optional<Boolean> inside = Optional.empty();
    List<Condition> conditions = new ArrayList<>();
    List<String> words = words(line);
    for (String word : words.subList(1, words.size())) {
      if (word.startsWith("image=") && image.isEmpty()) {
        image = Optional.of(word.substring("image=".length()));
      } else if (word.startsWith("batch=") && inside.isEmpty()) {
        inside = Optional.of(isInside(number, word.substring("batch=".length())));
      } else {
        conditions.add(condition(number, word));
      }
    }
    if (image.isEmpty()) {
      throw refused(number, "a default says which: default image=OWNER/NAME");
    }
    refuseRepetition(number, conditions);
    requireOfJob(number, conditions, "a default");
    return new DefaultImage(
        number, line, image(number, image.get()), inside.orElse(false), List.copyOf(conditions));
  }

  private Optional<ImageName> image(int number, String text) throws StoreException {
    if (text.equals("none")) {
      return Optional.empty();
    }
    ImageName name;
    try {
      name = ImageName.parse(text);
    } catch (StoreException e) {
      throw refused(number, e.getMessage());
    }
    if (name.owner().isEmpty()) {
      throw refused(number, "\"" + text + "\" has no owner: any user may have one of that name");
    }
    return Optional.of(name);
  }

  private boolean isInside(int number, String value) throws StoreException {
    if (!value.equals("inside") && !value.equals("host")) {
      throw refused(number, "\"batch=" + value + "\" is not inside or host");
    }
    return value.equals("inside");
  }

  private Condition condition(int number, String word) throws StoreException {
    Matcher parts = CONDITION.matcher(word);
    if (!PRINTABLE.matcher(word).matches() || !parts.matches()) {
      throw refused(number, "\"" + word + "\" is not KEY=VALUE");
    }
    Condition.Key key = key(number, parts.group(1));
    String value = parts.group(3);
    if (parts.group(2).equals(">") != (key == Condition.Key.SIZE)) {
      throw refused(number, "\"" + word + "\": a size is compared by >, all else by = or !=");
    }
    if (key == Condition.Key.SIZE) {
      return new Condition(key, false, List.of(), bytes(number, value));
    }
    List<String> values = Arrays.asList(value.split(",", -1));
    if (values.size() > MAX_VALUES) {
      throw refused(number, "more than " + MAX_VALUES + " values");
    }
    for (String each : values) {
      String wrong = wrong(key, each);
      if (!wrong.isEmpty()) {
        throw refused(number, "\"" + word + "\": \"" + each + "\" " + wrong);
      }
    }
    boolean negated = parts.group(2).equals("!=");
    return new Condition(key, negated, values.stream().map(Glob::new).toList(), 0);
  }

  private Condition.Key key(int number, String word) throws StoreException {
    for (Condition.Key key : Condition.Key.values()) {
      if (key.word().equals(word)) {
        return key;
      }
    }
    throw refused(number, "there is no \"" + word + "\" to ask for");
  }

  /** What is wrong with a value; empty when nothing is. */
  private static String wrong(Condition.Key key, String value) {
    if (value.isEmpty()) {
      return "is empty";
    }
    return switch (key) {
      case ROOT, WRITABLE -> value.equals("yes") || value.equals("no") ? "" : "is not yes or no";
      case IMAGE ->
          value.chars().filter(c -> c == '/').count() == 1 && !value.contains("@")
              ? ""
              : "is not OWNER/NAME or OWNER/NAME:TAG";
      case LABEL -> value.indexOf('=') > 0 ? "" : "is not NAME=VALUE";
      case GROUP -> value.matches(".*[*?].*") ? "names no group: * and ? cannot be used here" : "";
      case HOST -> isTask(value) ? "" : "is none of step, batch, shell and ssh";
      case MOUNT -> isPath(value) ? "" : "is not an absolute path without . and .. in it";
      default -> "";
    };
  }

  private static boolean isTask(String value) {
    return Arrays.stream(HostTask.values()).anyMatch(task -> new Glob(value).matches(task.word()));
  }

  private static boolean isPath(String value) {
    return value.equals("/")
        || (value.startsWith("/")
            && Arrays.stream(value.substring(1).split("/", -1))
                .noneMatch(part -> part.isEmpty() || part.equals(".") || part.equals("..")));
  }

  private long bytes(int number, String value) throws StoreException {
    OptionalLong bytes = ByteSize.parse(value);
    if (bytes.isEmpty()) {
      throw refused(number, "\"" + value + "\" is not a size such as 500M or 20G");
    }
    return bytes.getAsLong();
  }

  private StoreException refused(int number, String why) {
    return new StoreException(
        StoreException.Kind.MISCONFIGURED,
        "cannot use the site's rules in \""
            + file
            + "\": line "
            + number
            + ": "
            + why
            + " (correct it, then run: layercake policy check)");
  }
}
