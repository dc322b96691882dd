package org.layercake.store;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.time.DateTimeException;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.regex.Pattern;

/**
 * Where an image came from when it was last pushed from a registry. It is no part of the image,
 * whose digest does not depend on when and by which name it was pushed. {@code
 * docs/store-format.md}, "Origins", describes it.
 *
 * @param packer what packed it, with its version
 * @param pushed to the second
 * @param layers the lowest first, as they lie in the registry
 * @param annotations of the image's manifest there
 */
public record Origin(
    Source source,
    String packer,
    Instant pushed,
    List<Layer> layers,
    SortedMap<String, String> annotations) {
  /**
   * An image in a registry.
   *
   * @param reference as the user wrote it, without a digest
   * @param digest of what the reference pointed to: an image's manifest, or a list of several
   * @param manifest of the image's own manifest
   * @param architecture that an image was asked for, in Go's words
   */
  public record Source(String reference, Digest digest, Digest manifest, String architecture) {
    public Source {
      requireText(reference, "reference");
      requireText(architecture, "architecture");
    }
  }

  /** A layer: the digest and length of its file. */
  public record Layer(Digest digest, long bytes) {}

  /** Of what is stored. */
  static final int MAX_BYTES = 512 << 10;

  /** What an image in layers may have. */
  public static final int MAX_LAYERS = 512;

  private static final int MAX_TEXT = 1024;
  private static final Pattern TEXT = Pattern.compile("[\\x20-\\x7e]{1,1024}");

  private static final JsonFactory JSON = StrictJson.factory(MAX_BYTES);

  /** Refuses what is out of bounds with an {@link IllegalArgumentException} that names it. */
  public Origin {
    layers = List.copyOf(layers);
    annotations = Collections.unmodifiableSortedMap(new TreeMap<>(annotations));
    requireText(packer, "packer");
    if (layers.size() > MAX_LAYERS || layers.stream().anyMatch(layer -> layer.bytes() < 0)) {
      throw new IllegalArgumentException(layers.size() + " layers, at most " + MAX_LAYERS);
    }
    // The bounds, and the rule for characters, are those of labels.
    new ImageConfig.Run("", List.of(), List.of(), "", annotations);
  }

  private static void requireText(String text, String what) {
    if (!TEXT.matcher(text).matches()) {
      throw new IllegalArgumentException(
          "a " + what + " that is not 1 to " + MAX_TEXT + " printable characters");
    }
  }

  /** The same image of another push. */
  Origin again(Source from, Instant when) {
    return new Origin(from, packer, when, layers, annotations);
  }

  byte[] bytes() {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    try (JsonGenerator json = JSON.createGenerator(out)) {
      json.writeStartObject();
      json.writeStringField("reference", source.reference());
      json.writeStringField("digest", source.digest().toString());
      json.writeStringField("manifest", source.manifest().toString());
      json.writeStringField("architecture", source.architecture());
      json.writeStringField("packer", packer);
      json.writeStringField("pushed", pushed.toString());
      json.writeArrayFieldStart("layers");
      for (Layer layer : layers) {
        json.writeStartArray();
        json.writeString(layer.digest().toString());
        json.writeNumber(layer.bytes());
        json.writeEndArray();
      }
      json.writeEndArray();
      json.writeObjectFieldStart("annotations");
      for (Map.Entry<String, String> annotation : annotations.entrySet()) {
        json.writeStringField(annotation.getKey(), annotation.getValue());
      }
      json.writeEndObject();
      json.writeEndObject();
    } catch (IOException e) {
      throw new UncheckedIOException("writing to memory", e);
    }
    return out.toByteArray();
  }

  /** Empty for what is no origin: users write them, and nothing rests on one. */
  static Optional<Origin> read(byte[] bytes) {
    if (bytes.length > MAX_BYTES) {
      return Optional.empty();
    }
    try (JsonParser json = JSON.createParser(bytes)) {
      return Optional.of(read(new StrictJson(json)));
    } catch (IOException | StoreException | IllegalArgumentException | DateTimeException e) {
      return Optional.empty();
    }
  }

  private static Origin read(StrictJson json) throws IOException, StoreException {
    json.expect(JsonToken.START_OBJECT);
    json.field("reference");
    String reference = json.string();
    json.field("digest");
    Digest digest = Digest.parse(json.string());
    json.field("manifest");
    Digest manifest = Digest.parse(json.string());
    json.field("architecture");
    Source source = new Source(reference, digest, manifest, json.string());
    json.field("packer");
    String packer = json.string();
    json.field("pushed");
    Instant pushed = Instant.parse(json.string());
    json.field("layers");
    List<Layer> layers = readLayers(json);
    json.field("annotations");
    SortedMap<String, String> annotations = json.texts(new StrictJson.Room());
    json.expect(JsonToken.END_OBJECT);
    json.expectEnd();
    return new Origin(source, packer, pushed, layers, annotations);
  }

  private static List<Layer> readLayers(StrictJson json) throws IOException, StoreException {
    List<Layer> layers = new ArrayList<>();
    json.expect(JsonToken.START_ARRAY);
    while (json.next() == JsonToken.START_ARRAY) {
      layers.add(new Layer(Digest.parse(json.string()), json.number()));
      json.expect(JsonToken.END_ARRAY);
    }
    json.expectCurrent(JsonToken.END_ARRAY);
    return layers;
  }
}
