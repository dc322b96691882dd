package org.layercake.store;

import static org.layercake.store.StoreException.Kind.CORRUPT;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.regex.Pattern;

/**
 * The document that lists an image's chunks. The digest of its bytes is the image's digest, so
 * there is exactly one encoding of a manifest, and bytes that are not that encoding are refused.
 * {@code docs/store-format.md} describes it.
 *
 * @param chunker name and parameters of the chunker that cut the file, {@link Chunker#ID}
 * @param size of the image file in bytes: the sum of the chunks' lengths
 */
public record Manifest(String chunker, long size, ImageConfig config, List<Chunk> chunks) {
  /** A contiguous piece of the image file, stored as one object. */
  public record Chunk(Digest digest, long offset, int length) {}

  /** Room for some 200,000 chunks, 250 GB of image at the usual chunk size. */
  static final int MAX_BYTES = 16 << 20;

  static final int MAX_CHUNK_BYTES = 4 << 20;
  static final long MAX_IMAGE_BYTES = 1L << 40;

  private static final int VERSION = 1;
  private static final Pattern CHUNKER = Pattern.compile("[A-Za-z0-9 ._-]{1,100}");

  /** Characters outside the first plane are written as they are, like all others. */
  private static final JsonFactory JSON =
      new JsonFactory().enable(JsonGenerator.Feature.COMBINE_UNICODE_SURROGATES_IN_UTF8);

  /** Checks that the chunks tile the file from 0 to {@code size}. */
  public Manifest {
    chunks = List.copyOf(chunks);
    if (!CHUNKER.matcher(chunker).matches()) {
      throw new IllegalArgumentException("a chunker without a name");
    }
    long end = 0;
    for (Chunk chunk : chunks) {
      if (chunk.length() < 1 || chunk.length() > MAX_CHUNK_BYTES) {
        throw new IllegalArgumentException("a chunk of " + chunk.length() + " bytes");
      }
      if (chunk.offset() != end) {
        throw new IllegalArgumentException("a gap at offset " + end);
      }
      end += chunk.length();
    }
    if (end != size) {
      throw new IllegalArgumentException("chunks of " + end + " bytes for a file of " + size);
    }
    if (size < 1 || size > MAX_IMAGE_BYTES) {
      throw new IllegalArgumentException("a file of " + size + " bytes");
    }
  }

  /** Parses hostile bytes: of bounded length, in the one encoding, chunks that sum up. */
  public static Manifest parse(byte[] bytes) throws StoreException {
    if (bytes.length > MAX_BYTES) {
      throw malformed("it is longer than " + MAX_BYTES + " bytes", null);
    }
    Manifest manifest;
    try (JsonParser json = JSON.createParser(bytes)) {
      manifest = read(new StrictReader(json));
    } catch (IOException | IllegalArgumentException e) {
      throw malformed(reason(e), e);
    }
    if (!Arrays.equals(bytes, manifest.bytes())) {
      throw malformed("it is not in the canonical encoding", null);
    }
    return manifest;
  }

  /** The one encoding of this manifest. */
  public byte[] bytes() {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    try (JsonGenerator json = JSON.createGenerator(out)) {
      write(json);
    } catch (IOException e) {
      throw new UncheckedIOException("writing to memory", e);
    }
    return out.toByteArray();
  }

  private void write(JsonGenerator json) throws IOException {
    json.writeStartObject();
    json.writeNumberField("layercake", VERSION);
    json.writeStringField("chunker", chunker);
    json.writeNumberField("size", size);
    json.writeStringField("architecture", config.architecture());
    json.writeArrayFieldStart("environment");
    writeStrings(json, config.environment());
    if (!config.run().equals(ImageConfig.Run.NONE)) {
      writeRun(json, config.run());
    }
    json.writeArrayFieldStart("chunks");
    for (Chunk chunk : chunks) {
      json.writeStartArray();
      json.writeString(chunk.digest().hex());
      json.writeNumber(chunk.length());
      json.writeEndArray();
    }
    json.writeEndArray();
    json.writeEndObject();
  }

  private static void writeRun(JsonGenerator json, ImageConfig.Run run) throws IOException {
    json.writeObjectFieldStart("run");
    json.writeStringField("directory", run.directory());
    json.writeArrayFieldStart("entryPoint");
    writeStrings(json, run.entryPoint());
    json.writeArrayFieldStart("command");
    writeStrings(json, run.command());
    json.writeStringField("user", run.user());
    json.writeObjectFieldStart("labels");
    for (Map.Entry<String, String> label : run.labels().entrySet()) {
      json.writeStringField(label.getKey(), label.getValue());
    }
    json.writeEndObject();
    json.writeEndObject();
  }

  private static void writeStrings(JsonGenerator json, List<String> strings) throws IOException {
    for (String string : strings) {
      json.writeString(string);
    }
    json.writeEndArray();
  }

  private static Manifest read(StrictReader json) throws IOException {
    json.expect(JsonToken.START_OBJECT);
    json.field("layercake");
    long version = json.number();
    if (version != VERSION) {
      throw new IOException("it is of version " + version + ", this program reads " + VERSION);
    }
    json.field("chunker");
    String chunker = json.string(MAX_BYTES);
    json.field("size");
    long size = json.number();
    json.field("architecture");
    String architecture = json.string(MAX_BYTES);
    json.field("environment");
    List<String> environment = json.strings();
    ImageConfig.Run run = ImageConfig.Run.NONE;
    json.expect(JsonToken.FIELD_NAME);
    if (json.currentNameIs("run")) {
      run = readRun(json);
      json.expect(JsonToken.FIELD_NAME);
    }
    json.requireName("chunks");
    List<Chunk> chunks = readChunks(json);
    json.expect(JsonToken.END_OBJECT);
    json.expectEnd();
    return new Manifest(chunker, size, new ImageConfig(environment, architecture, run), chunks);
  }

  private static ImageConfig.Run readRun(StrictReader json) throws IOException {
    json.expect(JsonToken.START_OBJECT);
    json.field("directory");
    String directory = json.string(MAX_BYTES);
    json.field("entryPoint");
    List<String> entryPoint = json.strings();
    json.field("command");
    List<String> command = json.strings();
    json.field("user");
    String user = json.string(MAX_BYTES);
    json.field("labels");
    json.expect(JsonToken.START_OBJECT);
    SortedMap<String, String> labels = new TreeMap<>();
    while (json.next() == JsonToken.FIELD_NAME) {
      labels.put(json.currentName(), json.string(MAX_BYTES));
    }
    json.expectCurrent(JsonToken.END_OBJECT);
    json.expect(JsonToken.END_OBJECT);
    return new ImageConfig.Run(directory, entryPoint, command, user, labels);
  }

  private static List<Chunk> readChunks(StrictReader json) throws IOException {
    List<Chunk> chunks = new ArrayList<>();
    long offset = 0;
    json.expect(JsonToken.START_ARRAY);
    while (json.next() == JsonToken.START_ARRAY) {
      Digest digest = json.digest();
      long length = json.number();
      if (length < 1 || length > MAX_CHUNK_BYTES) {
        throw new IOException("a chunk of " + length + " bytes");
      }
      json.expect(JsonToken.END_ARRAY);
      chunks.add(new Chunk(digest, offset, (int) length));
      offset += length;
    }
    json.expectCurrent(JsonToken.END_ARRAY);
    return chunks;
  }

  private static StoreException malformed(String cause, Exception e) {
    return new StoreException(
        CORRUPT, "cannot read image manifest: " + cause + " (push the image again)", e);
  }

  /**
   * Jackson's messages quote the input and the place over several lines; the first line will do.
   */
  private static String reason(Exception e) {
    return String.valueOf(e.getMessage()).lines().findFirst().orElse("malformed");
  }

  /** A parser in which the next thing is always known, so that anything else is an error. */
  private record StrictReader(JsonParser json) {
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

    List<String> strings() throws IOException {
      List<String> strings = new ArrayList<>();
      expect(JsonToken.START_ARRAY);
      while (next() != JsonToken.END_ARRAY) {
        strings.add(currentString(MAX_BYTES));
      }
      return strings;
    }

    long number() throws IOException {
      expect(JsonToken.VALUE_NUMBER_INT);
      return json.getLongValue();
    }

    Digest digest() throws IOException {
      try {
        return Digest.parseHex(string(64));
      } catch (StoreException e) {
        throw new IOException("a chunk without a digest", e);
      }
    }

    String string(int maxLength) throws IOException {
      json.nextToken();
      return currentString(maxLength);
    }

    String currentString(int maxLength) throws IOException {
      expectCurrent(JsonToken.VALUE_STRING);
      String text = json.getText();
      if (text.length() > maxLength) {
        throw new IOException("a string of " + text.length() + " characters");
      }
      return text;
    }

    void expectEnd() throws IOException {
      if (json.nextToken() != null) {
        throw new IOException("something follows the end");
      }
    }
  }
}
