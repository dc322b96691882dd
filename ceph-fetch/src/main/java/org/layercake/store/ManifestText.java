package org.layercake.store;

import static com.fasterxml.jackson.core.JsonGenerator.Feature.AUTO_CLOSE_TARGET;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import java.io.FilterInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.security.DigestOutputStream;
import java.security.MessageDigest;
import java.util.List;
import java.util.Map;
import java.util.SortedMap;

/** The one encoding of a {@link Manifest}, written, and read from hostile bytes. */
final class ManifestText {
  private static final int VERSION = 1;

  private static final JsonFactory JSON = StrictJson.factory(Manifest.MAX_BYTES);

  private ManifestText() {}

  /** See {@link Manifest#read}. */
  static Manifest read(InputStream in, Digest wanted)
      throws Manifest.MalformedException, IOException {
    Hashed bytes = new Hashed(in);
    Manifest manifest;
    try (JsonParser json = parser(bytes)) {
      manifest = read(new StrictJson(json));
    } catch (IOException | IllegalArgumentException e) {
      bytes.rethrow();
      throw new Manifest.MalformedException(reason(e), !bytes.digest().equals(wanted), e);
    }
    if (!bytes.digest().equals(wanted)) {
      throw new Manifest.MalformedException("its bytes have another digest", true, null);
    }
    if (!digest(manifest).equals(wanted)) {
      throw new Manifest.MalformedException("it is not in the canonical encoding", false, null);
    }
    return manifest;
  }

  /** It leaves the stream open: what follows the end, or a fault, is digested, too. */
  private static JsonParser parser(Hashed bytes) throws IOException {
    return JSON.createParser(bytes).disable(JsonParser.Feature.AUTO_CLOSE_SOURCE);
  }

  /** A stream that is digested while it is read, at most {@link Manifest#MAX_BYTES} of it. */
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
      if (count > Manifest.MAX_BYTES) {
        throw new IOException("it is longer than " + Manifest.MAX_BYTES + " bytes");
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
      while (count <= Manifest.MAX_BYTES && readAny(rest, 0, rest.length) >= 0) {}
      return Digest.of(sha256);
    }
  }

  /** Writes the one encoding of a manifest. */
  static void write(Manifest manifest, OutputStream out) throws IOException {
    try (JsonGenerator json = JSON.createGenerator(out).disable(AUTO_CLOSE_TARGET)) {
      write(manifest, json);
    }
  }

  private static Digest digest(Manifest manifest) throws IOException {
    MessageDigest sha256 = Digest.sha256();
    write(manifest, new DigestOutputStream(OutputStream.nullOutputStream(), sha256));
    return Digest.of(sha256);
  }

  private static void write(Manifest manifest, JsonGenerator json) throws IOException {
    json.writeStartObject();
    json.writeNumberField("layercake", VERSION);
    json.writeStringField("chunker", manifest.chunker());
    json.writeNumberField("size", manifest.size());
    json.writeStringField("architecture", manifest.config().architecture());
    json.writeArrayFieldStart("environment");
    writeStrings(json, manifest.config().environment());
    if (!manifest.config().run().equals(ImageConfig.Run.NONE)) {
      writeRun(json, manifest.config().run());
    }
    json.writeArrayFieldStart("chunks");
    for (Manifest.Chunk chunk : manifest.chunks()) {
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

  private static Manifest read(StrictJson json) throws IOException {
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
    List<String> environment = json.strings(new StrictJson.Room());
    ImageConfig.Run run = ImageConfig.Run.NONE;
    json.expect(JsonToken.FIELD_NAME);
    if (json.currentNameIs("run")) {
      run = readRun(json);
      json.expect(JsonToken.FIELD_NAME);
    }
    json.requireName("chunks");
    List<Manifest.Chunk> chunks = readChunks(json, size);
    json.expect(JsonToken.END_OBJECT);
    json.expectEnd();
    return new Manifest(chunker, size, new ImageConfig(environment, architecture, run), chunks);
  }

  private static ImageConfig.Run readRun(StrictJson json) throws IOException {
    StrictJson.Room room = new StrictJson.Room();
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
    SortedMap<String, String> labels = json.texts(room);
    json.expect(JsonToken.END_OBJECT);
    return new ImageConfig.Run(directory, entryPoint, command, user, labels);
  }

  private static Digest digest(StrictJson json) throws IOException {
    try {
      return Digest.parseHex(json.string());
    } catch (StoreException e) {
      throw new IOException("a chunk without a digest", e);
    }
  }

  private static List<Manifest.Chunk> readChunks(StrictJson json, long size) throws IOException {
    ChunkList.Builder chunks = new ChunkList.Builder();
    json.expect(JsonToken.START_ARRAY);
    while (json.next() == JsonToken.START_ARRAY) {
      Manifest.requireFew(chunks.size() + 1, size);
      chunks.add(digest(json), json.number());
      json.expect(JsonToken.END_ARRAY);
    }
    json.expectCurrent(JsonToken.END_ARRAY);
    return chunks.build();
  }

  /**
   * Jackson's messages quote the input and the place over several lines; the first line will do.
   */
  private static String reason(Exception e) {
    return String.valueOf(e.getMessage()).lines().findFirst().orElse("malformed");
  }
}
