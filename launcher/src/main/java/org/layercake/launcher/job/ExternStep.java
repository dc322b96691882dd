package org.layercake.launcher.job;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;

/** A job's extern step, which Slurm keeps on each of the job's nodes from its prolog to its end. */
final class ExternStep {
  // Its step id, SLURM_EXTERN_CONT in slurm.h.
  private static final String ID = "4294967292";

  private ExternStep() {}

  /** Whether the job has one here; true when that cannot be told. */
  static boolean isHere(Path slurmSpoolDirectory, long job) {
    // slurmstepd's socket is SPOOL/NODE_JOB.STEP; its name is all that says the node's Slurm name.
    String suffix = "_" + job + "." + ID;
    try (Stream<Path> files = Files.list(slurmSpoolDirectory)) {
      return files.anyMatch(file -> file.getFileName().toString().endsWith(suffix));
    } catch (IOException e) {
      return true;
    }
  }
}
