package org.layercake.pack;

import static java.nio.charset.StandardCharsets.ISO_8859_1;

import java.io.IOException;
import java.util.HexFormat;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.zip.CRC32C;

/**
 * What is in a file tree, in short: of two trees that differ in a name, a mode, a time, an
 * attribute or a byte, the proofs differ. The program {@code prove} (prove.c) finds an image's.
 *
 * @param names of all files and directories but the root
 * @param bytes of regular files, each name counted
 * @param sum of a CRC-32C for each name, modulo 2^64
 */
public record Proof(long names, long bytes, long sum) {
  private static final Pattern LINE =
      Pattern.compile("names (\\d{1,18}) bytes (\\d{1,18}) sum ([0-9a-f]{16})");

  /** Reads what {@code prove} prints. */
  static Optional<Proof> parse(String line) {
    Matcher found = LINE.matcher(line);
    return found.matches()
        ? Optional.of(
            new Proof(
                Long.parseLong(found.group(1)),
                Long.parseLong(found.group(2)),
                Long.parseUnsignedLong(found.group(3), 16)))
        : Optional.empty();
  }

  /** Of a tree whose contents have been packed. */
  static Proof of(FileTree tree) throws IOException {
    Adding adding = new Adding();
    tree.walk(adding::add);
    return new Proof(adding.names, adding.bytes, adding.sum);
  }

  @Override
  public String toString() {
    return String.format(Locale.ROOT, "names %d bytes %d sum %016x", names, bytes, sum);
  }

  private static final class Adding {
    private long names;
    private long bytes;
    private long sum;

    private void add(FileTree.Node node) {
      FileTree.Inode inode = node.inode();
      long size = inode.isFile() ? inode.content().bytes() : 0;
      names++;
      bytes += size;
      String record =
          node.path()
              + '\0'
              + kind(inode.type())
              + ' '
              + Integer.toOctalString(inode.mode())
              + ' '
              + inode.seconds()
              + ' '
              + size
              + ' '
              + hex(content(inode))
              + ' '
              + hex(attributes(inode));
      sum += Integer.toUnsignedLong(checksum(record));
    }

    private static char kind(char type) {
      return switch (type) {
        case TarEntry.DIRECTORY -> 'd';
        case TarEntry.SYMBOLIC_LINK -> 'l';
        case TarEntry.FIFO -> 'p';
        default -> 'f';
      };
    }

    private static int content(FileTree.Inode inode) {
      return switch (inode.type()) {
        case TarEntry.FILE -> inode.content().checksum();
        case TarEntry.SYMBOLIC_LINK -> checksum(inode.link());
        default -> 0;
      };
    }

    private static int attributes(FileTree.Inode inode) {
      int sum = 0;
      for (Map.Entry<String, String> attribute : inode.attributes().entrySet()) {
        sum += checksum(attribute.getKey() + '\0' + attribute.getValue());
      }
      return sum;
    }

    private static int checksum(String text) {
      CRC32C checksum = new CRC32C();
      checksum.update(text.getBytes(ISO_8859_1));
      return (int) checksum.getValue();
    }

    private static String hex(int number) {
      return HexFormat.of().toHexDigits(number);
    }
  }
}
