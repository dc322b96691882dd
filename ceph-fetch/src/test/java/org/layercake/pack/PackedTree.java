package org.layercake.pack;

import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Set;

/**
 * Reads what {@link PackStream} writes, by its description in pack.c, and refuses what no image may
 * hold: the packer, which is in C, believes what it is told.
 */
final class PackedTree {
  private static final String BEGINNING = "lcpack1\n";

  private final DataInputStream in;
  private final Set<Integer> used = new HashSet<>();
  private final List<Integer> linksLeft = new ArrayList<>();
  private int contents;
  private int names;

  private PackedTree(byte[] stream) {
    in = new DataInputStream(new ByteArrayInputStream(stream));
  }

  /** Packs a tree and checks what comes out. */
  static Packer.Result check(Packer.Tree tree) throws IOException {
    return check(tree, new ByteArrayOutputStream());
  }

  /** The same of layers: whether they are read once or again must not matter. */
  static Packer.Result check(List<? extends Layers.Layer> layers) throws IOException {
    ByteArrayOutputStream again = new ByteArrayOutputStream();
    Packer.Result result = check(out -> packedAgain(new Layers(layers), out), again);
    try {
      ByteArrayOutputStream once = new ByteArrayOutputStream();
      check(new Layers(layers)::packOnce, once);
      assertTrue(Arrays.equals(once.toByteArray(), again.toByteArray()), "packed again it differs");
    } catch (PackedInVain e) {
      return result;
    }
    return result;
  }

  private static FileTree packedAgain(Layers layers, PackStream out) throws IOException {
    try {
      layers.packOnce(new PackStream(OutputStream.nullOutputStream()));
    } catch (PackedInVain e) {
      // So the other is right.
    }
    return layers.packAgain(out);
  }

  private static Packer.Result check(Packer.Tree tree, ByteArrayOutputStream bytes)
      throws IOException {
    PackStream stream = new PackStream(bytes);
    FileTree written = tree.write(stream);
    stream.tree(written);
    PackedTree read = new PackedTree(bytes.toByteArray());
    read.all();
    Proof proof = Proof.of(written);
    assertTrue(proof.names() == read.names, "a proof of another number of names");
    return new Packer.Result(null, written, proof, stream);
  }

  private void all() throws IOException {
    assertTrue(text(BEGINNING.length()).equals(BEGINNING), "another beginning");
    char kind = kind();
    for (; kind == 'C' || kind == 'H'; kind = kind()) {
      long bytes = in.readLong();
      if (kind == 'C') {
        in.skipNBytes(bytes);
      } else {
        parts(bytes);
      }
      contents++;
    }
    assertTrue(kind == 'T', "neither a content nor the tree");
    directory(0);
    assertTrue(in.read() < 0, "something follows the tree");
    assertTrue(used.size() == contents, "a content of no file");
    assertTrue(
        linksLeft.stream().allMatch(left -> left == 0), "a file of other names than it says");
  }

  private void parts(long bytes) throws IOException {
    for (long left = bytes; left > 0; ) {
      long zeros = in.readLong();
      long length = in.readLong();
      assertTrue(zeros >= 0 && zeros <= left, "a hole of " + zeros + " bytes");
      assertTrue(length >= 0 && length <= left - zeros, "a part of " + length + " bytes");
      assertTrue(zeros + length > 0, "a part of nothing");
      in.skipNBytes(length);
      left -= zeros + length;
    }
  }

  private void directory(int pathBytes) throws IOException {
    String last = "";
    for (char kind; (kind = kind()) != 'E'; ) {
      String name = text(in.readUnsignedByte());
      assertTrue(isPlain(name), "a file called \"" + name + "\"");
      assertTrue(last.compareTo(name) < 0, "names that are not in order");
      last = name;
      int path = pathBytes + name.length() + (pathBytes == 0 ? 0 : 1);
      assertTrue(path <= TarEntry.MAX_PATH_BYTES, "a path of " + path + " bytes");
      names++;
      entry(kind, path);
    }
  }

  private static boolean isPlain(String name) {
    return !name.isEmpty()
        && !name.equals(".")
        && !name.equals("..")
        && name.indexOf('/') < 0
        && name.indexOf('\0') < 0;
  }

  private void entry(char kind, int path) throws IOException {
    switch (kind) {
      case 'D' -> {
        mode();
        attributes();
        directory(path);
      }
      case 'F' -> {
        mode();
        links();
        int content = in.readInt();
        assertTrue(content >= 0 && content < contents, "a file without a content");
        assertTrue(used.add(content), "two files of one content");
        attributes();
      }
      case 'S' -> {
        in.readInt();
        links();
        String link = text(in.readUnsignedShort());
        assertTrue(!link.isEmpty() && link.indexOf('\0') < 0, "a link to nothing");
        assertTrue(
            link.length() <= TarEntry.MAX_PATH_BYTES, "a link of " + link.length() + " bytes");
      }
      case 'P' -> {
        mode();
        links();
      }
      case 'H' -> {
        int which = in.readInt();
        assertTrue(which >= 0 && which < linksLeft.size(), "a name for what has not been packed");
        linksLeft.set(which, linksLeft.get(which) - 1);
      }
      default -> throw new AssertionError("an entry of the kind " + kind);
    }
  }

  private void mode() throws IOException {
    assertTrue((in.readUnsignedShort() & ~TarEntry.PERMISSIONS) == 0, "a mode with a type");
    in.readInt();
  }

  private void links() throws IOException {
    int links = in.readInt();
    assertTrue(links > 0, "a file of " + links + " names");
    if (links > 1) {
      linksLeft.add(links - 1);
    }
  }

  private void attributes() throws IOException {
    int count = in.readUnsignedShort();
    for (int i = 0; i < count; i++) {
      String name = text(in.readUnsignedByte());
      assertTrue(name.startsWith("user.") && name.length() > 5, "an attribute \"" + name + "\"");
      int bytes = in.readInt();
      assertTrue(bytes >= 0 && bytes <= TarEntry.MAX_ATTRIBUTE_BYTES, "a value of " + bytes);
      in.skipNBytes(bytes);
    }
  }

  private char kind() throws IOException {
    return (char) in.readUnsignedByte();
  }

  private String text(int bytes) throws IOException {
    byte[] text = in.readNBytes(bytes);
    assertTrue(text.length == bytes, "a text that is cut off");
    return new String(text, ISO_8859_1);
  }
}
