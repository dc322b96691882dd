package org.layercake.launcher.job;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.layercake.launcher.node.UnixSocket;

/**
 * A job's extern step, which Slurm keeps on each of the job's nodes from its prolog to its end.
 *
 * @param socket of its slurmstepd: SPOOL/NODE_JOB.STEP, whose name is all that says the node's
 *     Slurm name
 */
record ExternStep(long job, Path socket) {
  // Its step id, SLURM_EXTERN_CONT in slurm.h.
  private static final String ID = "4294967292";
  private static final Pattern NAME = Pattern.compile(".*_(\\d{1,10})\\." + ID);

  /** Whether the job has one here; true when that cannot be told. */
  static boolean isHere(Path slurmSpoolDirectory, long job) {
    try {
      return read(slurmSpoolDirectory).stream().anyMatch(step -> step.job() == job);
    } catch (IOException e) {
      return true;
    }
  }

  /** Those of all jobs on this node; none when that cannot be told. */
  static List<ExternStep> list(Path slurmSpoolDirectory) {
    try {
      return read(slurmSpoolDirectory);
    } catch (IOException e) {
      return List.of();
    }
  }

  private static List<ExternStep> read(Path slurmSpoolDirectory) throws IOException {
    try (Stream<Path> files = Files.list(slurmSpoolDirectory)) {
      return files.flatMap(ExternStep::of).toList();
    }
  }

  /** The jobs that have one here for certain. */
  static Set<Long> jobs(Path slurmSpoolDirectory) {
    return list(slurmSpoolDirectory).stream().map(ExternStep::job).collect(Collectors.toSet());
  }

  private static Stream<ExternStep> of(Path socket) {
    Matcher matcher = NAME.matcher(socket.getFileName().toString());
    return matcher.matches()
        ? Stream.of(new ExternStep(Long.parseLong(matcher.group(1)), socket))
        : Stream.empty();
  }

  /** Its slurmstepd's pid; 0 when it has ended. */
  long slurmstepd() {
    try {
      return UnixSocket.listener(socket).pid();
    } catch (IOException e) {
      return 0;
    }
  }
}
