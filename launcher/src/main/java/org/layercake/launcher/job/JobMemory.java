package org.layercake.launcher.job;

import static java.nio.charset.StandardCharsets.ISO_8859_1;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * How much memory a process may take: the least that one of its cgroups allows, and no more than
 * the node has. cgroups(7), proc(5)
 */
final class JobMemory {
  private static final Pattern TOTAL = Pattern.compile("^MemTotal: +(\\d{1,15}) kB$");

  private final Path proc;
  private final Path cgroups;

  /**
   * @param proc where processes are: /proc
   * @param cgroups where cgroups are mounted: /sys/fs/cgroup
   */
  JobMemory(Path proc, Path cgroups) {
    this.proc = proc;
    this.cgroups = cgroups;
  }

  /** In bytes; what the node has if there is no such process. */
  long limit(long pid) throws IOException {
    long limit = total();
    for (String line : cgroupsOf(pid)) {
      String[] fields = line.split(":", 3);
      if (fields.length == 3 && fields[1].isEmpty()) {
        limit = Math.min(limit, least(cgroups, fields[2], "memory.max"));
      } else if (fields.length == 3 && Arrays.asList(fields[1].split(",")).contains("memory")) {
        limit =
            Math.min(limit, least(cgroups.resolve("memory"), fields[2], "memory.limit_in_bytes"));
      }
    }
    return limit;
  }

  private List<String> cgroupsOf(long pid) throws IOException {
    try {
      return Files.readAllLines(proc.resolve(pid + "/cgroup"), ISO_8859_1);
    } catch (NoSuchFileException e) {
      return List.of();
    }
  }

  private long total() throws IOException {
    for (String line : Files.readAllLines(proc.resolve("meminfo"), ISO_8859_1)) {
      Matcher matcher = TOTAL.matcher(line);
      if (matcher.matches()) {
        return Long.parseLong(matcher.group(1)) * 1024;
      }
    }
    throw new IOException(proc.resolve("meminfo") + " does not say how much memory there is");
  }

  /** What the cgroup and those above it allow. */
  private static long least(Path root, String cgroup, String file) {
    long least = Long.MAX_VALUE;
    for (Path at = Path.of(cgroup); at != null; at = at.getParent()) {
      least = Math.min(least, read(root.resolve(Path.of("/").relativize(at)).resolve(file)));
    }
    return least;
  }

  /** No limit where there is no such file, as at the top, or no number in it. */
  private static long read(Path file) {
    try {
      return Long.parseLong(Files.readString(file, ISO_8859_1).strip());
    } catch (IOException | NumberFormatException e) {
      return Long.MAX_VALUE;
    }
  }
}
