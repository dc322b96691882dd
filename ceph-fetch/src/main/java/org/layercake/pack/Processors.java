package org.layercake.pack;

import java.util.Comparator;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;

/**
 * For which processor the programs of an image are, by the headers of its executable files, elf(5).
 * Those of its own directories for programs count before others, which may be for another machine,
 * as those beside a cross compiler are.
 */
final class Processors {
  /** As many of a file's first bytes as say it. */
  static final int HEADER_BYTES = 20;

  private static final Set<String> OWN =
      Set.of("", "bin", "sbin", "usr/bin", "usr/sbin", "usr/local/bin", "lib", "usr/lib");
  private static final int DATA = 5;
  private static final int BIG_ENDIAN = 2;
  private static final int MACHINE = 18;

  private final Map<String, Integer> own = new TreeMap<>();
  private final Map<String, Integer> others = new TreeMap<>();

  /** Takes note of an executable file. */
  void count(String path, byte[] header) {
    String machine = machine(header);
    if (!machine.isEmpty()) {
      Map<String, Integer> counts = OWN.contains(FileTree.parent(path)) ? own : others;
      counts.merge(machine, 1, Integer::sum);
    }
  }

  /** The one that most programs are for, as {@code uname -m} says it. */
  Optional<String> most() {
    return (own.isEmpty() ? others : own)
        .entrySet().stream()
            .max(Map.Entry.comparingByValue(Comparator.naturalOrder()))
            .map(Map.Entry::getKey);
  }

  /**
   * As {@code uname -m} says it; empty when it is no ELF file, or of a processor not known here.
   */
  static String machine(byte[] header) {
    if (header.length < HEADER_BYTES
        || header[0] != 0x7f
        || header[1] != 'E'
        || header[2] != 'L'
        || header[3] != 'F') {
      return "";
    }
    boolean isBig = header[DATA] == BIG_ENDIAN;
    int low = header[isBig ? MACHINE + 1 : MACHINE] & 0xff;
    int high = header[isBig ? MACHINE : MACHINE + 1] & 0xff;
    return switch (high << 8 | low) {
      case 3 -> "i686";
      case 21 -> isBig ? "ppc64" : "ppc64le";
      case 22 -> "s390x";
      case 40 -> "arm";
      case 62 -> "x86_64";
      case 183 -> "aarch64";
      case 243 -> "riscv64";
      case 258 -> "loongarch64";
      default -> "";
    };
  }
}
