package org.layercake.pack;

import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static java.nio.charset.StandardCharsets.US_ASCII;

import java.io.BufferedOutputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.util.HashMap;
import java.util.Map;

/**
 * Describes a file tree to the program {@code pack}, which says at its top (pack.c) how: first the
 * contents of regular files as they come, then the tree. Strings have one character for each byte.
 */
final class PackStream {
  private static final int BUFFER_BYTES = 1 << 17;
  private static final byte[] BEGINNING = "lcpack1\n".getBytes(US_ASCII);

  /** Files of this name are kept; see {@link #kept}. */
  private static final String KEPT_NAME = "environment";

  private static final int EXECUTABLE = 0111;
  private static final int MAX_KEPT_FILE_BYTES = 1 << 17;
  private static final int MAX_KEPT_BYTES = 1 << 24;

  /** A regular file's bytes. */
  @FunctionalInterface
  interface Source {
    void copyTo(SparseOutput out) throws IOException;

    /** Whether it has holes. */
    default boolean isSparse() {
      return false;
    }
  }

  private final DataOutputStream out;
  private final Map<Integer, byte[]> kept = new HashMap<>(); // by the content's number
  private final Processors processors = new Processors();
  private int keptBytes;
  private int contents;
  private int linked;

  PackStream(OutputStream out) throws IOException {
    this.out = new DataOutputStream(new BufferedOutputStream(out, BUFFER_BYTES));
    this.out.write(BEGINNING);
  }

  /** Packs the content of a regular file, which its source gives whole. */
  Content content(TarEntry file, Source source) throws IOException {
    long bytes = file.bytes();
    out.writeByte(source.isSparse() ? 'H' : 'C');
    out.writeLong(bytes);
    boolean keeps =
        FileTree.name(file.path()).equals(KEPT_NAME)
            && bytes <= MAX_KEPT_FILE_BYTES
            && bytes <= MAX_KEPT_BYTES - keptBytes;
    boolean isProgram = (file.mode() & EXECUTABLE) != 0;
    Passed passed = new Passed(keeps, isProgram, source.isSparse());
    source.copyTo(passed);
    passed.end();
    if (passed.bytes != bytes) {
      throw new IOException("\"" + file.path() + "\" has changed while it was read");
    }
    if (isProgram) {
      processors.count(file.path(), passed.header.toByteArray());
    }
    if (keeps) {
      keptBytes += (int) bytes;
      kept.put(contents, passed.copy.toByteArray());
    }
    return new Content(contents++, bytes, passed.checksum.value());
  }

  /** How many have been packed. */
  int contents() {
    return contents;
  }

  /** The bytes of a small file by the name of {@code environment}; null of any other. */
  byte[] kept(Content content) {
    return kept.get(content.number());
  }

  /** For which processor the programs are that have been packed. */
  Processors processors() {
    return processors;
  }

  /** Ends the description. */
  void tree(FileTree tree) throws IOException {
    out.writeByte('T');
    tree.walk(node -> node.inode().countName());
    tree.walk(
        new FileTree.Visitor() {
          @Override
          public void visit(FileTree.Node node) throws IOException {
            FileTree.Inode inode = node.inode();
            if (inode.links() == 1) {
              entry(node);
            } else if (inode.linked() < 0) {
              inode.setLinked(linked++);
              entry(node);
            } else {
              begin('H', node);
              out.writeInt(inode.linked());
            }
          }

          @Override
          public void leave(FileTree.Node directory) throws IOException {
            out.writeByte('E');
          }
        });
    out.writeByte('E');
    out.flush();
  }

  private void begin(char kind, FileTree.Node node) throws IOException {
    out.writeByte(kind);
    name(node.name());
  }

  private void entry(FileTree.Node node) throws IOException {
    FileTree.Inode inode = node.inode();
    switch (inode.type()) {
      case TarEntry.DIRECTORY -> {
        begin('D', node);
        out.writeShort(inode.mode());
        out.writeInt((int) inode.seconds());
        attributes(inode);
      }
      case TarEntry.FILE -> {
        begin('F', node);
        out.writeShort(inode.mode());
        out.writeInt((int) inode.seconds());
        out.writeInt(inode.links());
        out.writeInt(inode.content().number());
        attributes(inode);
      }
      case TarEntry.SYMBOLIC_LINK -> {
        begin('S', node);
        out.writeInt((int) inode.seconds());
        out.writeInt(inode.links());
        out.writeShort(inode.link().length());
        out.write(inode.link().getBytes(ISO_8859_1));
      }
      case TarEntry.FIFO -> {
        begin('P', node);
        out.writeShort(inode.mode());
        out.writeInt((int) inode.seconds());
        out.writeInt(inode.links());
      }
      default -> throw new IOException("\"" + node.path() + "\" cannot be packed");
    }
  }

  /** Of a file or an attribute. A longer one would shift all that follows. */
  private void name(String name) throws IOException {
    if (name.length() > TarEntry.MAX_NAME_BYTES) {
      throw new IOException(
          "the name \"" + name + "\" is longer than " + TarEntry.MAX_NAME_BYTES + " bytes");
    }
    out.writeByte(name.length());
    out.write(name.getBytes(ISO_8859_1));
  }

  private void attributes(FileTree.Inode inode) throws IOException {
    out.writeShort(inode.attributes().size());
    for (Map.Entry<String, String> attribute : inode.attributes().entrySet()) {
      name(attribute.getKey());
      out.writeInt(attribute.getValue().length());
      out.write(attribute.getValue().getBytes(ISO_8859_1));
    }
  }

  /** Counts and sums up what goes out, and copies it if wanted. */
  private final class Passed extends SparseOutput {
    private final ByteArrayOutputStream copy;
    private final ByteArrayOutputStream header;
    private final boolean isSparse;
    private final Checksum checksum = new Checksum();
    private long bytes;
    private long hole; // that has not gone out yet

    private Passed(boolean keeps, boolean isProgram, boolean isSparse) {
      copy = keeps ? new ByteArrayOutputStream() : null;
      header = isProgram ? new ByteArrayOutputStream(Processors.HEADER_BYTES) : null;
      this.isSparse = isSparse;
    }

    @Override
    public void write(byte[] from, int offset, int length) throws IOException {
      bytes += length;
      checksum.update(from, offset, length);
      if (header != null && header.size() < Processors.HEADER_BYTES) {
        header.write(from, offset, Math.min(length, Processors.HEADER_BYTES - header.size()));
      }
      if (copy != null) {
        copy.write(from, offset, length);
      }
      if (isSparse) {
        part(length);
      }
      out.write(from, offset, length);
    }

    @Override
    void hole(long zeros) {
      bytes += zeros;
      checksum.updateZeros(zeros);
      if (header != null) {
        int room = Processors.HEADER_BYTES - header.size();
        header.writeBytes(new byte[(int) Math.min(zeros, room)]);
      }
      if (copy != null) { // of a file that is not long, with its holes
        copy.writeBytes(new byte[(int) zeros]);
      }
      hole += zeros;
    }

    private void part(int length) throws IOException {
      out.writeLong(hole);
      out.writeLong(length);
      hole = 0;
    }

    private void end() throws IOException {
      if (hole > 0) {
        part(0);
      }
    }
  }
}
