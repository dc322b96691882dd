package org.layercake.pack;

import static java.nio.charset.StandardCharsets.UTF_8;
import static java.nio.file.StandardOpenOption.WRITE;
import static org.layercake.store.StoreException.Kind.FULL;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.security.DigestOutputStream;
import java.security.MessageDigest;
import java.util.List;
import java.util.Map;
import java.util.zip.Deflater;
import java.util.zip.GZIPOutputStream;
import org.layercake.store.Digest;
import org.layercake.store.ImageConfig;
import org.layercake.store.Machines;
import org.layercake.store.StoreException;

/**
 * Writes an image as an OCI image layout in a tar, with one layer: image-layout.md of the
 * specification. The same image makes the same bytes. There is no second pass, and no room but for
 * the archive: the layer comes first, and its header when its digest is known.
 */
public final class OciArchive {
  private static final String MEDIA_TYPE = "application/vnd.oci.image.";

  private final FileChannel file;
  private long end;

  private OciArchive(FileChannel file) {
    this.file = file;
  }

  /** What is known of a blob. */
  private record Blob(String type, Digest digest, long size) {
    void describe(JsonGenerator out) throws IOException {
      out.writeStringField("mediaType", MEDIA_TYPE + type);
      out.writeStringField("digest", digest.toString());
      out.writeNumberField("size", size);
    }
  }

  private interface Json {
    void write(JsonGenerator out) throws IOException;
  }

  /**
   * Writes it in the place of what is there, once it is whole.
   *
   * @param name by which it will be known, with its tag
   * @param act for messages: what cannot be done with what
   */
  public static void write(
      Unpacking unpacking, String name, ImageConfig config, Path target, String act)
      throws StoreException, IOException {
    Path absolute = target.toAbsolutePath();
    if (Files.isDirectory(absolute) || !Files.isDirectory(absolute.getParent())) {
      throw new StoreException(
          FULL, "cannot " + act + ": not a place for a file (give a file's path)");
    }
    unpacking.proof(act);
    String prefix = "." + absolute.getFileName() + ".";
    try (Partial partial =
        new Partial(Files.createTempFile(absolute.getParent(), prefix, ".partial"))) {
      try (FileChannel file = FileChannel.open(partial.path(), WRITE)) {
        new OciArchive(file).write(unpacking, name, config, act);
        file.force(true);
      }
      Files.setPosixFilePermissions(partial.path(), Umask.file());
      Files.move(partial.path(), absolute, StandardCopyOption.ATOMIC_MOVE);
    } catch (IOException e) {
      if (StoreException.saysNoRoom(e)) {
        throw new StoreException(
            FULL, "cannot " + act + ": no room: " + e.getMessage() + " (write it elsewhere)", e);
      }
      throw e;
    }
  }

  private void write(Unpacking unpacking, String name, ImageConfig config, String act)
      throws StoreException, IOException {
    MessageDigest plain = Digest.sha256();
    Blob layer = layer(unpacking, plain, act);
    Digest plainDigest = Digest.of(plain);
    Blob configuration = blob("config.v1+json", out -> describe(config, plainDigest, out));
    Blob manifest =
        blob(
            "manifest.v1+json",
            out -> {
              out.writeNumberField("schemaVersion", 2);
              out.writeStringField("mediaType", MEDIA_TYPE + "manifest.v1+json");
              out.writeObjectFieldStart("config");
              configuration.describe(out);
              out.writeEndObject();
              out.writeArrayFieldStart("layers");
              out.writeStartObject();
              layer.describe(out);
              out.writeEndObject();
              out.writeEndArray();
            });
    entry(
        "index.json",
        json(
            out -> {
              out.writeNumberField("schemaVersion", 2);
              out.writeStringField("mediaType", MEDIA_TYPE + "index.v1+json");
              out.writeArrayFieldStart("manifests");
              out.writeStartObject();
              manifest.describe(out);
              texts("annotations", Map.of("org.opencontainers.image.ref.name", name), out);
              out.writeEndObject();
              out.writeEndArray();
            }));
    entry("oci-layout", json(out -> out.writeStringField("imageLayoutVersion", "1.0.0")));
    append(new byte[2 * TarHeader.BLOCK]);
  }

  /** image-spec, config.md. Without a time, which would make it another image each time. */
  private static void describe(ImageConfig image, Digest plain, JsonGenerator out)
      throws IOException {
    boolean isForAll = image.architecture().equals(Machines.ANY);
    Platform platform =
        isForAll ? Platform.ofThisMachine() : Platform.ofMachine(image.architecture());
    out.writeStringField("architecture", platform.architecture());
    out.writeStringField("os", "linux");
    ImageConfig.Run run = image.run();
    out.writeObjectFieldStart("config");
    text("User", run.user(), out);
    texts("Env", image.environment(), out);
    texts("Entrypoint", run.entryPoint(), out);
    texts("Cmd", run.command(), out);
    text("WorkingDir", run.directory(), out);
    texts("Labels", run.labels(), out);
    out.writeEndObject();
    out.writeObjectFieldStart("rootfs");
    out.writeStringField("type", "layers");
    texts("diff_ids", List.of(plain.toString()), out);
    out.writeEndObject();
  }

  /** The tar of all files, compressed little, since whoever sends it on compresses it anew. */
  private Blob layer(Unpacking unpacking, MessageDigest plain, String act)
      throws StoreException, IOException {
    long header = end;
    append(new byte[TarHeader.BLOCK]);
    MessageDigest packed = Digest.sha256();
    unpacking.tar(
        act,
        List.of(),
        tar -> {
          try (OutputStream gzip = new Quick(new DigestOutputStream(new Appended(), packed))) {
            tar.transferTo(new DigestOutputStream(gzip, plain));
          }
        });
    long size = end - header - TarHeader.BLOCK;
    append(new byte[padding(size)]);
    Blob layer = new Blob("layer.v1.tar+gzip", Digest.of(packed), size);
    write(ByteBuffer.wrap(header(path(layer.digest()), size)), header);
    return layer;
  }

  private static final class Quick extends GZIPOutputStream {
    Quick(OutputStream out) throws IOException {
      super(out, 64 << 10);
      def.setLevel(Deflater.BEST_SPEED);
    }
  }

  /** What is written to it is the archive's next bytes. */
  private final class Appended extends OutputStream {
    @Override
    public void write(int b) throws IOException {
      append(new byte[] {(byte) b});
    }

    @Override
    public void write(byte[] bytes, int from, int count) throws IOException {
      OciArchive.this.write(ByteBuffer.wrap(bytes, from, count), end);
      end += count;
    }
  }

  private Blob blob(String type, Json content) throws IOException {
    byte[] bytes = json(content);
    Digest digest = Digest.of(bytes);
    entry(path(digest), bytes);
    return new Blob(type, digest, bytes.length);
  }

  private static String path(Digest digest) {
    return "blobs/sha256/" + digest.hex();
  }

  private void entry(String name, byte[] content) throws IOException {
    append(header(name, content.length));
    append(content);
    append(new byte[padding(content.length)]);
  }

  private static int padding(long size) {
    return (int) ((TarHeader.BLOCK - size % TarHeader.BLOCK) % TarHeader.BLOCK);
  }

  private void append(byte[] bytes) throws IOException {
    write(ByteBuffer.wrap(bytes), end);
    end += bytes.length;
  }

  private void write(ByteBuffer bytes, long at) throws IOException {
    long place = at;
    while (bytes.hasRemaining()) {
      place += file.write(bytes, place);
    }
  }

  /** A header of ustar; sizes of more than 8 GiB are in binary, as GNU tar and Go have them. */
  private static byte[] header(String name, long size) {
    byte[] header = new byte[TarHeader.BLOCK];
    put(header, 0, name);
    put(header, 100, "0000644");
    put(header, 108, "0000000");
    put(header, 116, "0000000");
    if (size < 1L << 33) {
      put(header, 124, "%011o".formatted(size));
    } else {
      ByteBuffer.wrap(header).put(124, (byte) 0x80).putLong(128, size);
    }
    put(header, 136, "00000000000");
    put(header, 156, "0");
    put(header, 257, "ustar");
    put(header, 263, "00");
    put(header, 148, "%06o\0".formatted(TarHeader.checksum(header)));
    return header;
  }

  private static void put(byte[] header, int at, String text) {
    byte[] bytes = text.getBytes(UTF_8);
    System.arraycopy(bytes, 0, header, at, bytes.length);
  }

  private static byte[] json(Json content) throws IOException {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try (JsonGenerator out = new JsonFactory().createGenerator(bytes)) {
      out.writeStartObject();
      content.write(out);
      out.writeEndObject();
    }
    return bytes.toByteArray();
  }

  private static void text(String name, String text, JsonGenerator out) throws IOException {
    if (!text.isEmpty()) {
      out.writeStringField(name, text);
    }
  }

  private static void texts(String name, List<String> texts, JsonGenerator out) throws IOException {
    if (!texts.isEmpty()) {
      out.writeFieldName(name);
      out.writeArray(texts.toArray(String[]::new), 0, texts.size());
    }
  }

  private static void texts(String name, Map<String, String> texts, JsonGenerator out)
      throws IOException {
    if (texts.isEmpty()) {
      return;
    }
    out.writeObjectFieldStart(name);
    for (Map.Entry<String, String> text : texts.entrySet()) {
      out.writeStringField(text.getKey(), text.getValue());
    }
    out.writeEndObject();
  }
}
