package org.layercake.store;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.core.StreamReadConstraints;
import com.fasterxml.jackson.core.json.JsonWriteFeature;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.SortedMap;
import java.util.TreeMap;

/** A parser in which the next thing is always known, so that anything else is an error. */
record StrictJson(JsonParser json) {
  /** What may still come of texts, so that they are refused before they are all in memory. */
  static final class Room {
    private int strings = ImageConfig.MAX_STRINGS;
    private int bytes = ImageConfig.MAX_BYTES;

    String take(String text) throws IOException {
      strings--;
      bytes -= text.length(); // at most what it has in UTF-8
      if (strings < 0 || bytes < 0) {
        throw new IOException(
            "a configuration of more than "
                + ImageConfig.MAX_STRINGS
                + " strings or "
                + ImageConfig.MAX_BYTES
                + " bytes");
      }
      return text;
    }
  }

  /**
   * Of documents of the store. Characters outside the first plane are written as they are, like all
   * others. What is read has bounds, and names that users choose are not kept for the next
   * document.
   */
  static JsonFactory factory(int maxBytes) {
    return JsonFactory.builder()
        .enable(JsonWriteFeature.COMBINE_UNICODE_SURROGATES_IN_UTF8)
        .disable(JsonFactory.Feature.CANONICALIZE_FIELD_NAMES)
        .disable(JsonFactory.Feature.INTERN_FIELD_NAMES)
        .streamReadConstraints(
            StreamReadConstraints.builder()
                .maxDocumentLength(maxBytes)
                .maxStringLength(ImageConfig.MAX_BYTES)
                .maxNameLength(ImageConfig.MAX_BYTES)
                .maxNumberLength(20)
                .maxNestingDepth(4)
                .build())
        .build();
  }

  JsonToken next() throws IOException {
    return json.nextToken();
  }

  void expect(JsonToken wanted) throws IOException {
    json.nextToken();
    expectCurrent(wanted);
  }

  void expectCurrent(JsonToken wanted) throws IOException {
    if (json.currentToken() != wanted) {
      throw new IOException("found " + json.currentToken() + " in place of " + wanted);
    }
  }

  void field(String name) throws IOException {
    expect(JsonToken.FIELD_NAME);
    requireName(name);
  }

  void requireName(String name) throws IOException {
    if (!currentNameIs(name)) {
      throw new IOException("field \"" + name + "\" is missing");
    }
  }

  boolean currentNameIs(String name) throws IOException {
    return json.currentName().equals(name);
  }

  String currentName() throws IOException {
    return json.currentName();
  }

  List<String> strings(Room room) throws IOException {
    List<String> strings = new ArrayList<>();
    expect(JsonToken.START_ARRAY);
    while (next() != JsonToken.END_ARRAY) {
      strings.add(room.take(currentString()));
    }
    return strings;
  }

  /** An object of texts, up to its end. */
  SortedMap<String, String> texts(Room room) throws IOException {
    SortedMap<String, String> texts = new TreeMap<>();
    expect(JsonToken.START_OBJECT);
    while (next() == JsonToken.FIELD_NAME) {
      texts.put(room.take(currentName()), string(room));
    }
    expectCurrent(JsonToken.END_OBJECT);
    return texts;
  }

  long number() throws IOException {
    expect(JsonToken.VALUE_NUMBER_INT);
    return json.getLongValue();
  }

  String string(Room room) throws IOException {
    return room.take(string());
  }

  String string() throws IOException {
    json.nextToken();
    return currentString();
  }

  /** The parser bounds its length. */
  String currentString() throws IOException {
    expectCurrent(JsonToken.VALUE_STRING);
    return json.getText();
  }

  void expectEnd() throws IOException {
    if (json.nextToken() != null) {
      throw new IOException("something follows the end");
    }
  }
}
