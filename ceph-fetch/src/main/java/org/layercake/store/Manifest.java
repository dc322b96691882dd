package org.layercake.store;

import static com.fasterxml.jackson.core.JsonGenerator.Feature.AUTO_CLOSE_TARGET;
import static org.layercake.store.StoreException.Kind.CORRUPT;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.core.StreamReadConstraints;
import com.fasterxml.jackson.core.json.JsonWriteFeature;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.FilterInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.security.DigestOutputStream;
import java.security.MessageDigest;
import java.util.ArrayList;
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

  /** What {@link #MAX_CHUNKS} and a whole {@link ImageConfig} need, and some more. */
  static final int MAX_BYTES = 16 << 20;

  /** 200 GB of image at the usual chunk size, 7 MB in memory. */
  static final int MAX_CHUNKS = 200_000;

  static final int MAX_CHUNK_BYTES = 4 << 20;
  static final long MAX_IMAGE_BYTES = 1L << 40;

  /**
   * Chunks have so many bytes on average at least, {@link #MAX_SMALL_CHUNKS} aside: each costs its
   * readers an operation, so that a small image is not to have hundreds of thousands.
   */
  private static final int LEAST_AVERAGE_BYTES = 64 << 10;

  private static final int MAX_SMALL_CHUNKS = 1000;

  private static final int VERSION = 1;
  private static final Pattern CHUNKER = Pattern.compile("[A-Za-z0-9 ._-]{1,100}");

  /**
   * Characters outside the first plane are written as they are, like all others. What is read has
   * bounds, and names that users choose are not kept for the next manifest.
   */
  private static final JsonFactory JSON =
      JsonFactory.builder()
          .enable(JsonWriteFeature.COMBINE_UNICODE_SURROGATES_IN_UTF8)
          .disable(JsonFactory.Feature.CANONICALIZE_FIELD_NAMES)
          .disable(JsonFactory.Feature.INTERN_FIELD_NAMES)
          .streamReadConstraints(
              StreamReadConstraints.builder()
                  .maxDocumentLength(MAX_BYTES)
                  .maxStringLength(ImageConfig.MAX_BYTES)
                  .maxNameLength(ImageConfig.MAX_BYTES)
                  .maxNumberLength(20)
                  .maxNestingDepth(4)
                  .build())
          .build();

  /** Checks that the chunks tile the file from 0 to {@code size}. */
  public Manifest {
    if (!CHUNKER.matcher(chunker).matches()) {
      throw new IllegalArgumentException("a chunker without a name");
    }
    ChunkList list = ChunkList.copyOf(chunks);
    if (list.bytes() != size) {
      throw new IllegalArgumentException(
          "chunks of " + list.bytes() + " bytes for a file of " + size);
    }
    if (size < 1 || size > MAX_IMAGE_BYTES) {
      throw new IllegalArgumentException("a file of " + size + " bytes");
    }
    requireFew(list.size(), size);
    chunks = list;
  }

  private static void requireFew(int chunks, long size) {
    if (chunks > MAX_CHUNKS || chunks - MAX_SMALL_CHUNKS > size / LEAST_AVERAGE_BYTES) {
      throw new IllegalArgumentException(
          "more than "
              + Math.min(MAX_CHUNKS, MAX_SMALL_CHUNKS + size / LEAST_AVERAGE_BYTES)
              + " chunks for a file of "
              + size
              + " bytes");
    }
  }

  /** The image's bytes if each different chunk is counted once: what it takes in its domain. */
  public long distinctBytes() {
    return ((ChunkList) chunks).distinctBytes();
  }

  /** Bytes that are no manifest, and why. */
  public static final class MalformedException extends Exception {
    private static final long serialVersionUID = 1;
    private final boolean damaged;

    private MalformedException(String message, boolean damaged, Throwable cause) {
      super(message, cause);
      this.damaged = damaged;
    }

    /**
     * Whether these are other bytes than somebody has stored; else somebody has stored no manifest.
     */
    boolean isDamaged() {
      return damaged;
    }
  }

  /** Parses hostile bytes: of bounded length, in the one encoding, chunks that sum up. */
  public static Manifest parse(byte[] bytes) throws StoreException {
    try {
      return read(new ByteArrayInputStream(bytes), Digest.of(bytes));
    } catch (MalformedException e) {
      throw new StoreException(
          CORRUPT, "cannot read image manifest: " + e.getMessage() + " (push the image again)", e);
    } catch (IOException e) {
      throw new UncheckedIOException("reading from memory", e);
    }
  }

  /**
   * Parses hostile bytes while they come, and holds no more of them than what a manifest has room
   * for. That there is but one encoding makes them comparable by their digest.
   *
   * @param wanted the digest of the manifest
   * @throws IOException what the stream has thrown
   */
  public static Manifest read(InputStream in, Digest wanted)
      throws MalformedException, IOException {
    Hashed bytes = new Hashed(in);
    Manifest manifest;
    try (JsonParser json = parser(bytes)) {
      manifest = read(new StrictReader(json));
    } catch (IOException | IllegalArgumentException e) {
      bytes.rethrow();
      throw new MalformedException(reason(e), !bytes.digest().equals(wanted), e);
    }
    if (!bytes.digest().equals(wanted)) {
      throw new MalformedException("its bytes have another digest", true, null);
    }
    if (!manifest.digest().equals(wanted)) {
      throw new MalformedException("it is not in the canonical encoding", false, null);
    }
    return manifest;
  }

  /** It leaves the stream open: what follows the end, or a fault, is digested, too. */
  private static JsonParser parser(Hashed bytes) throws IOException {
    return JSON.createParser(bytes).disable(JsonParser.Feature.AUTO_CLOSE_SOURCE);
  }

  /** A stream that is digested while it is read, at most {@link #MAX_BYTES} of it. */
  private static final class Hashed extends FilterInputStream {
    private final MessageDigest sha256 = Digest.sha256();
    private long count;
    private IOException failure;

    Hashed(InputStream in) {
      super(in);
    }

    @Override
    public int read() throws IOException {
      byte[] one = new byte[1];
      return read(one, 0, 1) < 0 ? -1 : one[0] & 0xff;
    }

    @Override
    public int read(byte[] target, int from, int length) throws IOException {
      int read = readAny(target, from, length);
      if (count > MAX_BYTES) {
        throw new IOException("it is longer than " + MAX_BYTES + " bytes");
      }
      return read;
    }

    private int readAny(byte[] target, int from, int length) throws IOException {
      try {
        int read = in.read(target, from, length);
        if (read > 0) {
          sha256.update(target, from, read);
          count += read;
        }
        return read;
      } catch (IOException e) {
        failure = e;
        throw e;
      }
    }

    /** What the stream itself has thrown is not the bytes' fault. */
    void rethrow() throws IOException {
      if (failure != null) {
        throw failure;
      }
    }

    /** Of all the bytes; of more than there may be, another than theirs. */
    Digest digest() throws IOException {
      byte[] rest = new byte[8 << 10];
      while (count <= MAX_BYTES && readAny(rest, 0, rest.length) >= 0) {}
      return Digest.of(sha256);
    }
  }

  /** The one encoding of this manifest. */
  public byte[] bytes() {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    try {
      writeTo(out);
    } catch (IOException e) {
      throw new UncheckedIOException("writing to memory", e);
    }
    return out.toByteArray();
  }

  /** Writes the one encoding of this manifest, without a copy of it in memory. */
  public void writeTo(OutputStream out) throws IOException {
    try (JsonGenerator json = JSON.createGenerator(out).disable(AUTO_CLOSE_TARGET)) {
      write(json);
    }
  }

  private Digest digest() throws IOException {
    MessageDigest sha256 = Digest.sha256();
    writeTo(new DigestOutputStream(OutputStream.nullOutputStream(), sha256));
    return Digest.of(sha256);
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
    String chunker = json.string();
    json.field("size");
    long size = json.number();
    json.field("architecture");
    String architecture = json.string();
    json.field("environment");
    List<String> environment = json.strings(new Room());
    ImageConfig.Run run = ImageConfig.Run.NONE;
    json.expect(JsonToken.FIELD_NAME);
    if (json.currentNameIs("run")) {
      run = readRun(json);
      json.expect(JsonToken.FIELD_NAME);
    }
    json.requireName("chunks");
    List<Chunk> chunks = readChunks(json, size);
    json.expect(JsonToken.END_OBJECT);
    json.expectEnd();
    return new Manifest(chunker, size, new ImageConfig(environment, architecture, run), chunks);
  }

  private static ImageConfig.Run readRun(StrictReader json) throws IOException {
    Room room = new Room();
    json.expect(JsonToken.START_OBJECT);
    json.field("directory");
    String directory = json.string(room);
    json.field("entryPoint");
    List<String> entryPoint = json.strings(room);
    json.field("command");
    List<String> command = json.strings(room);
    json.field("user");
    String user = json.string(room);
    json.field("labels");
    json.expect(JsonToken.START_OBJECT);
    SortedMap<String, String> labels = new TreeMap<>();
    while (json.next() == JsonToken.FIELD_NAME) {
      labels.put(room.take(json.currentName()), json.string(room));
    }
    json.expectCurrent(JsonToken.END_OBJECT);
    json.expect(JsonToken.END_OBJECT);
    return new ImageConfig.Run(directory, entryPoint, command, user, labels);
  }

  private static List<Chunk> readChunks(StrictReader json, long size) throws IOException {
    ChunkList.Builder chunks = new ChunkList.Builder();
    json.expect(JsonToken.START_ARRAY);
    while (json.next() == JsonToken.START_ARRAY) {
      requireFew(chunks.size() + 1, size);
      chunks.add(json.digest(), json.number());
      json.expect(JsonToken.END_ARRAY);
    }
    json.expectCurrent(JsonToken.END_ARRAY);
    return chunks.build();
  }

  /** What may still come of texts, so that they are refused before they are all in memory. */
  private static final class Room {
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

    List<String> strings(Room room) throws IOException {
      List<String> strings = new ArrayList<>();
      expect(JsonToken.START_ARRAY);
      while (next() != JsonToken.END_ARRAY) {
        strings.add(room.take(currentString()));
      }
      return strings;
    }

    long number() throws IOException {
      expect(JsonToken.VALUE_NUMBER_INT);
      return json.getLongValue();
    }

    Digest digest() throws IOException {
      try {
        return Digest.parseHex(string());
      } catch (StoreException e) {
        throw new IOException("a chunk without a digest", e);
      }
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
}
