package org.layercake.launcher.device;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.layercake.launcher.node.RootFile.UnusableException;

/** A mapping of a spec; says where it is when it lacks or has something. */
final class Fields {
  private final String place;
  private final Map<?, ?> values;

  private Fields(String place, Map<?, ?> values) {
    this.place = place;
    this.values = values;
  }

  static Fields of(String place, Object value) throws UnusableException {
    if (value instanceof Map<?, ?> map) {
      return new Fields(place, map);
    }
    throw new UnusableException(place + " is not a mapping");
  }

  /** Refuses any other key. */
  void allow(String... keys) throws UnusableException {
    Set<String> known = Set.of(keys);
    for (Object key : values.keySet()) {
      if (!(key instanceof String text) || !known.contains(text)) {
        throw new UnusableException("\"" + key + "\" of " + place + " is not known here");
      }
    }
  }

  boolean has(String key) {
    return values.get(key) != null;
  }

  String text(String key) throws UnusableException {
    if (values.get(key) instanceof String text) {
      return text;
    }
    throw new UnusableException("\"" + key + "\" of " + place + " is missing, or not text");
  }

  /** Empty where there is none. */
  List<String> texts(String key) throws UnusableException {
    List<String> texts = new ArrayList<>();
    for (Object each : sequence(key)) {
      if (!(each instanceof String text)) {
        throw new UnusableException(
            "\"" + key + "\" of " + place + " has something other than texts");
      }
      texts.add(text);
    }
    return texts;
  }

  /** Empty where there is none. */
  List<Fields> list(String key) throws UnusableException {
    List<Fields> fields = new ArrayList<>();
    for (Object each : sequence(key)) {
      fields.add(of("an item of " + key, each));
    }
    return fields;
  }

  /** Without any where there is none. */
  Fields fields(String key) throws UnusableException {
    return has(key) ? of(key, values.get(key)) : new Fields(key, Map.of());
  }

  private List<?> sequence(String key) throws UnusableException {
    Object value = values.get(key);
    if (value == null) {
      return List.of();
    }
    if (value instanceof List<?> list) {
      return list;
    }
    throw new UnusableException("\"" + key + "\" of " + place + " is not a list");
  }
}
