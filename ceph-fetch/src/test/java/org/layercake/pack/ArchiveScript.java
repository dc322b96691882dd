package org.layercake.pack;

import static java.nio.charset.StandardCharsets.ISO_8859_1;

import java.io.ByteArrayOutputStream;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.layercake.store.Digest;

/**
 * An archive of an image in layers, made of lines that a fuzzer can change without breaking digests
 * and checksums. A line that says nothing here is left out.
 *
 * <pre>
 *   docker                        as docker save writes it; else an OCI layout
 *   config|JSON                   the image's configuration
 *   manifest|JSON                 manifest.json, or the manifest of the layout
 *   index|JSON                    the layout's index.json
 *   file|NAME|CONTENT             one more file in the archive
 *   link|NAME|TARGET              one more symbolic link in the archive
 *   layer                         begins a layer, the lowest first; its entries follow
 *   TYPE|NAME|TARGET|CONTENT      an entry of a type of tar(5)
 *   x|RECORD                      a pax record for the entry that follows
 * </pre>
 *
 * In the documents, and a link's target, {@code @0} is the first layer's digest and {@code #0} its
 * name, and so on; {@code @c} and {@code #c} are the configuration's, {@code @m} and {@code #m} the
 * manifest's.
 */
final class ArchiveScript {
  private static final String CONFIG =
      "{\"architecture\":\"amd64\",\"config\":{\"Env\":[\"A=1\"]},\"rootfs\":{\"diff_ids\":[@*]}}";
  private static final String INDEX =
      "{\"schemaVersion\":2,\"manifests\":[{\"digest\":\"@m\",\"size\":1}]}";
  private static final String OCI_MANIFEST =
      "{\"schemaVersion\":2,\"config\":{\"digest\":\"@c\"},\"layers\":[%*]}";
  private static final String DOCKER_MANIFEST = "[{\"Config\":\"#c\",\"Layers\":[#*]}]";
  private static final int MAX_LAYERS = 10;

  private final List<ByteArrayOutputStream> layers = new ArrayList<>();
  private final Map<String, byte[]> files = new TreeMap<>();
  private final Map<String, String> links = new TreeMap<>();
  private final Map<String, String> documents = new TreeMap<>();
  private boolean isDocker;

  private ArchiveScript() {}

  /** The archive, a tar. */
  static byte[] archive(byte[] script) {
    ArchiveScript read = new ArchiveScript();
    for (String line : new String(script, ISO_8859_1).split("\n", -1)) {
      read.line(line.split("\\|", 4));
    }
    return read.archive();
  }

  private void line(String[] fields) {
    String second = fields.length > 1 ? fields[1] : "";
    String third = fields.length > 2 ? fields[2] : "";
    switch (fields[0]) {
      case "docker" -> isDocker = true;
      case "config", "manifest", "index" -> documents.put(fields[0], second);
      case "file" -> files.put(second, third.getBytes(ISO_8859_1));
      case "link" -> links.put(second, third);
      case "layer" -> {
        if (layers.size() < MAX_LAYERS) {
          layers.add(new ByteArrayOutputStream());
        }
      }
      default -> entry(fields[0], second, third, fields.length > 3 ? fields[3] : "");
    }
  }

  private void entry(String type, String name, String target, String content) {
    if (layers.isEmpty() || type.length() != 1) {
      return;
    }
    ByteArrayOutputStream tar = layers.get(layers.size() - 1);
    if (type.equals("x") || type.equals("g")) {
      put(tar, "", type.charAt(0), "", record(name));
    } else {
      put(tar, name, type.charAt(0), target, content.getBytes(ISO_8859_1));
    }
  }

  /** {@code LENGTH NAME=VALUE\n}, the length being that of the whole. */
  private static byte[] record(String text) {
    int length = text.length() + 2;
    int whole = length + Integer.toString(length).length();
    whole += Integer.toString(whole).length() - Integer.toString(length).length();
    return (whole + " " + text + "\n").getBytes(ISO_8859_1);
  }

  private static void put(
      ByteArrayOutputStream tar, String name, char type, String target, byte[] content) {
    tar.writeBytes(Tars.header(name, type, 0755, 1_700_000_000, target, content.length));
    tar.writeBytes(content);
    tar.writeBytes(new byte[-content.length & (TarHeader.BLOCK - 1)]);
  }

  private byte[] archive() {
    for (int i = 0; i < layers.size(); i++) {
      layers.get(i).writeBytes(new byte[2 * TarHeader.BLOCK]);
      add(Integer.toString(i), layers.get(i).toByteArray());
    }
    add("c", filled(documents.getOrDefault("config", CONFIG)));
    String manifest = isDocker ? DOCKER_MANIFEST : OCI_MANIFEST;
    byte[] chosen = filled(documents.getOrDefault("manifest", manifest));
    if (isDocker) {
      files.put("manifest.json", chosen);
    } else {
      add("m", chosen);
      files.put("oci-layout", "{\"imageLayoutVersion\":\"1.0.0\"}".getBytes(ISO_8859_1));
      files.put("index.json", filled(documents.getOrDefault("index", INDEX)));
    }
    ByteArrayOutputStream tar = new ByteArrayOutputStream();
    files.forEach((name, bytes) -> put(tar, name, TarEntry.FILE, "", bytes));
    links.forEach((name, to) -> put(tar, name, TarEntry.SYMBOLIC_LINK, marked(to), new byte[0]));
    tar.writeBytes(new byte[2 * TarHeader.BLOCK]);
    return tar.toByteArray();
  }

  /** Adds a blob, which documents name by a mark. */
  private void add(String mark, byte[] bytes) {
    Digest digest = Digest.of(bytes);
    String name = isDocker ? digest.hex() + ".tar" : "blobs/sha256/" + digest.hex();
    files.put(name, bytes);
    documents.put("@" + mark, digest.toString());
    documents.put("#" + mark, name);
  }

  private byte[] filled(String document) {
    List<String> digests = new ArrayList<>();
    List<String> names = new ArrayList<>();
    List<String> described = new ArrayList<>();
    for (int i = 0; i < layers.size(); i++) {
      digests.add("\"@" + i + "\"");
      names.add("\"#" + i + "\"");
      described.add("{\"digest\":\"@" + i + "\"}");
    }
    return marked(
            document
                .replace("@*", String.join(",", digests))
                .replace("#*", String.join(",", names))
                .replace("%*", String.join(",", described)))
        .getBytes(ISO_8859_1);
  }

  /** A text with blobs in place of their marks. */
  private String marked(String with) {
    String text = with;
    for (Map.Entry<String, String> mark : documents.entrySet()) {
      if (mark.getKey().length() == 2) {
        text = text.replace(mark.getKey(), mark.getValue());
      }
    }
    return text;
  }
}
