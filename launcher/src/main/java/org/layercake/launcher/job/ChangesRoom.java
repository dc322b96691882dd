package org.layercake.launcher.job;

import java.io.IOException;
import java.nio.file.Path;
import java.util.Optional;
import org.layercake.launcher.node.Abort;
import org.layercake.store.ExitCode;

/**
 * How much a job may change: where that is in memory, a job whose memory runs out is killed, and
 * where it is on a disk, that is told when its room is taken.
 */
final class ChangesRoom {
  private static final long MIB = 1 << 20;

  private final Path slurmSpoolDirectory;
  private final Optional<ChangesDisk> disk;
  private final JobMemory memory = new JobMemory(Path.of("/proc"), Path.of("/sys/fs/cgroup"));

  ChangesRoom(Path slurmSpoolDirectory, Optional<ChangesDisk> disk) {
    this.slurmSpoolDirectory = slurmSpoolDirectory;
    this.disk = disk;
  }

  /**
   * In bytes.
   *
   * @param asked as in {@link Spec#writableBytes}
   * @throws Abort when the job has less memory on this node
   */
  long of(long job, long asked) throws Abort {
    if (disk.isPresent()) {
      return disk.get().room(asked);
    }
    long limit = memoryOf(job);
    if (asked > limit) {
      throw new Abort(
          ExitCode.REQUEST,
          "cannot keep "
              + asked / MIB
              + " MiB of changes to the image: the job has "
              + limit / MIB
              + " MiB of memory on this node (ask for more with --mem, or for less with"
              + " --ch-writable)");
    }
    return asked == Spec.DEFAULT_BYTES ? limit / 2 : asked;
  }

  private long memoryOf(long job) throws Abort {
    long slurmstepd =
        ExternStep.list(slurmSpoolDirectory).stream()
            .filter(step -> step.job() == job)
            .mapToLong(ExternStep::slurmstepd)
            .findFirst()
            .orElse(0); // the holder says it
    try {
      return memory.limit(slurmstepd);
    } catch (IOException e) {
      throw new Abort(
          ExitCode.INTERNAL,
          "cannot tell how much memory job " + job + " has: " + e.getMessage() + " (tell the site)",
          e);
    }
  }
}
