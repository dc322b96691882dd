package org.layercake.cli;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.core.util.DefaultIndenter;
import com.fasterxml.jackson.core.util.DefaultPrettyPrinter;
import java.io.IOException;
import java.io.PrintStream;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import org.layercake.store.Audience;
import org.layercake.store.Digest;
import org.layercake.store.Image;
import org.layercake.store.ImageName;
import org.layercake.store.PushResult;
import org.layercake.store.StoreException;
import org.layercake.store.Tagged;

/**
 * What every command prints with {@code --json}: one object, indented, with a newline at its end.
 * docs/user-guide.md, "Output for programs", describes it.
 */
final class Json {
  /** Another one when a field goes or means something else, not when one comes. */
  private static final int VERSION = 1;

  private Json() {}

  /** Writes fields of an object. */
  interface Fields {
    void write(JsonGenerator out) throws IOException;
  }

  /** Writes one thing of a list. */
  interface Item<T> {
    void write(JsonGenerator out, T item) throws IOException;
  }

  static void print(PrintStream target, Fields answer, List<StoreException> failures)
      throws IOException {
    DefaultPrettyPrinter printer = new DefaultPrettyPrinter();
    printer.indentArraysWith(DefaultIndenter.SYSTEM_LINEFEED_INSTANCE);
    try (JsonGenerator out = new JsonFactory().createGenerator(target)) {
      out.disable(JsonGenerator.Feature.AUTO_CLOSE_TARGET);
      out.setHighestNonEscapedChar(0x7e); // nothing that a terminal or an editor would obey
      out.setPrettyPrinter(printer);
      out.writeStartObject();
      out.writeNumberField("version", VERSION);
      answer.write(out);
      list(out, "errors", failures, Json::error);
      out.writeEndObject();
    }
    target.println();
  }

  private static void error(JsonGenerator out, StoreException failure) throws IOException {
    out.writeStartObject();
    out.writeNumberField("code", failure.kind().exitCode());
    out.writeStringField("message", failure.getMessage());
    out.writeEndObject();
  }

  /** The answer of a command that is about one image. */
  static Fields image(Fields fields) {
    return out -> {
      out.writeObjectFieldStart("image");
      fields.write(out);
      out.writeEndObject();
    };
  }

  /** The answer of what has stored an image. */
  static Fields pushed(PushResult result) {
    return image(
        out -> {
          image(out, result.name(), result.digest(), result.size());
          out.writeNumberField("new", result.newBytes());
        });
  }

  /** What is said of each image. */
  static void image(JsonGenerator out, ImageName name, Digest digest, long size)
      throws IOException {
    out.writeStringField("name", name.toString());
    out.writeStringField("digest", digest.toString());
    out.writeNumberField("size", size);
  }

  static void resolved(JsonGenerator out, Image image) throws IOException {
    image(out, image.name(), image.digest(), image.manifest().size());
  }

  /** What an image is for, where a name has several. */
  static void machine(JsonGenerator out, Tagged image) throws IOException {
    if (image.machine().isPresent()) {
      out.writeStringField("architecture", image.machine().get());
    }
  }

  /** A name with what it pointed to, in a list. */
  static void tagged(JsonGenerator out, Tagged image) throws IOException {
    out.writeStartObject();
    image(out, image.name(), image.digest(), image.size());
    machine(out, image);
    out.writeEndObject();
  }

  /** With whom an image is shared, as {@code share --with} takes it. */
  static void audience(JsonGenerator out, Audience audience) throws IOException {
    texts(out, "sharedWith", audience.words());
  }

  static void texts(JsonGenerator out, String name, Collection<String> texts) throws IOException {
    list(out, name, texts, JsonGenerator::writeString);
  }

  static void texts(JsonGenerator out, String name, Map<String, String> texts) throws IOException {
    out.writeObjectFieldStart(name);
    for (Map.Entry<String, String> text : texts.entrySet()) {
      out.writeStringField(text.getKey(), text.getValue());
    }
    out.writeEndObject();
  }

  static <T> void list(JsonGenerator out, String name, Collection<T> items, Item<T> item)
      throws IOException {
    out.writeArrayFieldStart(name);
    for (T one : items) {
      item.write(out, one);
    }
    out.writeEndArray();
  }
}
