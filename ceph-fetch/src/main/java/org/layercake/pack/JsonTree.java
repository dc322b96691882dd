package org.layercake.pack;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import java.io.IOException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** A JSON document of somebody else's, bounded by whoever reads its bytes. */
final class JsonTree {
  private static final int MAX_DEPTH = 64;

  private final Object value;

  private JsonTree(Object value) {
    this.value = value;
  }

  /** Parses a document; what is no JSON is an IOException with a short reason. */
  static JsonTree parse(byte[] bytes) throws IOException {
    try (JsonParser json = new JsonFactory().createParser(bytes)) {
      json.nextToken();
      Object value = read(json, 0);
      if (json.nextToken() != null) {
        throw new IOException("something follows its end");
      }
      return new JsonTree(value);
    }
  }

  private static Object read(JsonParser json, int depth) throws IOException {
    if (depth > MAX_DEPTH || json.currentToken() == null) {
      throw new IOException(depth > MAX_DEPTH ? "it is nested too deep" : "it is empty");
    }
    return switch (json.currentToken()) {
      case START_OBJECT -> {
        Map<String, Object> fields = new LinkedHashMap<>();
        while (json.nextToken() == JsonToken.FIELD_NAME) {
          String name = json.currentName();
          json.nextToken();
          fields.put(name, read(json, depth + 1));
        }
        yield fields;
      }
      case START_ARRAY -> {
        List<Object> items = new ArrayList<>();
        while (json.nextToken() != JsonToken.END_ARRAY) {
          items.add(read(json, depth + 1));
        }
        yield items;
      }
      case VALUE_STRING -> json.getText();
      case VALUE_NUMBER_INT -> json.getLongValue();
      default -> ""; // nothing that anyone here asks for
    };
  }

  /** A field; what is not there is a tree without anything. */
  JsonTree get(String name) {
    return new JsonTree(value instanceof Map<?, ?> fields ? fields.get(name) : null);
  }

  /** The elements of an array; none when it is none. */
  List<JsonTree> items() {
    return value instanceof List<?> items ? items.stream().map(JsonTree::new).toList() : List.of();
  }

  /** The names of an object's fields. */
  List<String> names() {
    return value instanceof Map<?, ?> fields
        ? fields.keySet().stream().map(String.class::cast).toList()
        : List.of();
  }

  /** The fields of an object whose values are strings. */
  Map<String, String> strings() {
    Map<String, String> strings = new LinkedHashMap<>();
    if (value instanceof Map<?, ?> fields) {
      fields.forEach(
          (name, field) -> {
            if (field instanceof String text) {
              strings.put((String) name, text);
            }
          });
    }
    return strings;
  }

  /** A string; empty when it is none. */
  String text() {
    return value instanceof String text ? text : "";
  }

  /** A whole number; -1 when it is none. */
  long number() {
    return value instanceof Long number ? number : -1;
  }
}
