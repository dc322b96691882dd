package org.layercake.launcher.profile;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.function.Function;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.layercake.launcher.device.Devices;
import org.layercake.launcher.edit.Mount;
import org.layercake.launcher.edit.Origin;
import org.layercake.launcher.edit.Variable;

/** Reads a profile: lines of {@code KEY = VALUE}. It refuses lines that it does not understand. */
final class ProfileText {
  static final int MAX_BYTES = 64 << 10;
  private static final int MAX_ITEMS = 512;

  private static final Pattern LINE = Pattern.compile("([a-z]+)[ \\t]*=[ \\t]*(.*)");
  private static final Pattern EDIT = Pattern.compile("(set|prepend|unset)[ \\t]+(.*)");
  private static final Pattern USER = Pattern.compile("[A-Za-z_][A-Za-z0-9_-]{0,31}");
  private static final Set<String> ONCE = Set.of("when", "required");

  private final Origin origin;
  private final Set<String> seen = new HashSet<>();
  private final List<MountItem> items = new ArrayList<>();
  private final List<Variable> environment = new ArrayList<>();
  private final List<Devices.Wanted> devices = new ArrayList<>();
  private final List<String> users = new ArrayList<>();
  private When when = When.ALWAYS;
  private boolean isUnclear; // for whom it is
  private boolean required;

  private ProfileText(Origin origin) {
    this.origin = origin;
  }

  /**
   * Parses the text of a file. One that is wrong is a broken profile, of the containers that its
   * {@code when} names if that much is clear, else of all.
   */
  static Profile parse(String name, Origin origin, String text) {
    ProfileText reader = new ProfileText(origin);
    String fault = "";
    String[] lines = text.split("\n", -1);
    for (int i = 0; i < lines.length; i++) {
      String line = lines[i].strip();
      if (line.isEmpty() || line.startsWith("#")) {
        continue;
      }
      try {
        reader.read(line);
      } catch (IllegalArgumentException e) {
        fault = fault.isEmpty() ? "line " + (i + 1) + ": " + e.getMessage() : fault;
        reader.isUnclear |= line.startsWith("when");
      }
    }
    if (!reader.seen.contains("when")) {
      reader.isUnclear = true;
    }
    if (fault.isEmpty() && reader.isUnclear) {
      fault = "it does not say when it is used (for all containers: when = always)";
    }
    if (!fault.isEmpty()) {
      return Profile.broken(name, reader.isUnclear ? When.ALWAYS : reader.when, origin, fault);
    }
    return new Profile(
        name,
        reader.when,
        reader.required,
        List.of(),
        List.copyOf(reader.items),
        List.copyOf(reader.environment),
        List.copyOf(reader.devices),
        List.copyOf(reader.users),
        origin,
        "");
  }

  private void read(String line) {
    Matcher parts = LINE.matcher(line);
    if (!parts.matches()) {
      throw new IllegalArgumentException("it is not KEY = VALUE");
    }
    String key = parts.group(1);
    String value = parts.group(2);
    if (!seen.add(key) && ONCE.contains(key)) {
      throw new IllegalArgumentException("\"" + key + "\" is there twice");
    }
    switch (key) {
      case "when" -> when = When.parse(value);
      case "required" -> required = truth(value);
      case "mounts" -> items.addAll(list(value, item -> MountItem.parse(item, Mount.Kind.PLAIN)));
      case "replace" ->
          items.addAll(list(value, item -> MountItem.parse(item, Mount.Kind.REPLACEMENT)));
      case "devices" -> devices.addAll(list(value, Devices.Wanted::parse));
      case "users" -> users.addAll(list(value, ProfileText::user));
      case "env" -> environment.add(variable(value));
      default -> throw new IllegalArgumentException("no such key \"" + key + "\"");
    }
    int count = items.size() + devices.size() + users.size() + environment.size();
    if (count > MAX_ITEMS) {
      throw new IllegalArgumentException("more than " + MAX_ITEMS + " items");
    }
  }

  private static boolean truth(String value) {
    if (!value.equals("yes") && !value.equals("no")) {
      throw new IllegalArgumentException("\"" + value + "\" is neither yes nor no");
    }
    return value.equals("yes");
  }

  private static <T> List<T> list(String value, Function<String, T> parse) {
    return Arrays.stream(value.split(",", -1)).map(String::strip).map(parse).toList();
  }

  private static String user(String name) {
    if (!USER.matcher(name).matches()) {
      throw new IllegalArgumentException("\"" + name + "\" is no name of a user");
    }
    return name;
  }

  private Variable variable(String value) {
    Matcher parts = EDIT.matcher(value);
    if (!parts.matches()) {
      throw new IllegalArgumentException(
          "\"" + value + "\" is neither set NAME=VALUE, prepend NAME=VALUE nor unset NAME");
    }
    Variable.Act act =
        switch (parts.group(1)) {
          case "set" -> Variable.Act.SET;
          case "prepend" -> Variable.Act.PREPEND;
          default -> Variable.Act.UNSET;
        };
    Variable variable = Variable.parse(act, parts.group(2), origin);
    if (variable.name().startsWith("LAYERCAKE_")) {
      throw new IllegalArgumentException("\"" + variable.name() + "\" is not the site's to change");
    }
    return variable;
  }
}
