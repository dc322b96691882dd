package org.layercake.launcher.job;

import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import org.layercake.launcher.profile.Profiles;
import org.layercake.policy.PolicyFile;

/**
 * What a node's jobs and their containers need to be told.
 *
 * @param libraryDirectory where the native programs are
 * @param containersPerJob how many different containers one job may have on this node
 * @param containersPerUser the same of all jobs of a user
 * @param mountCwd whether containers show the directory that their steps start in
 * @param scratch directories that are empty and writable where an image has them
 * @param scratchBytes how much fits in all of them
 * @param timeZone whether containers have the time zone of the node
 * @param changesDisk where what jobs change of their images is kept, if not in memory
 * @param policy what the site lets run
 * @param profiles what containers get beside their image
 */
public record JobSettings(
    Path runDirectory,
    Path libraryDirectory,
    Path chRun,
    int containersPerJob,
    int containersPerUser,
    boolean mountHome,
    boolean mountCwd,
    List<String> scratch,
    long scratchBytes,
    boolean timeZone,
    Path slurmSpoolDirectory,
    Optional<ChangesDisk> changesDisk,
    PolicyFile policy,
    Profiles profiles) {
  /** What of a spec counts here: a directory that makes no difference makes no other container. */
  Spec relevant(Spec spec) {
    String directory = spec.directory();
    boolean counts =
        directory == null
            || (mountCwd
                && profiles.alwaysMounted().stream()
                    .noneMatch(mount -> Spec.Mount.of(mount).shows(directory)));
    return counts ? spec : spec.withoutDirectory();
  }

  /** An empty directory on which each holder mounts what it prepares, in its own namespace. */
  Path stage() {
    return runDirectory.resolve("stage");
  }

  /** Where it is kept what jobs change of their images. */
  Path changes() {
    return runDirectory.resolve("changes");
  }

  /** Directories whose mounts no other container is to see. */
  List<Path> hidden() {
    return List.of(runDirectory.resolve("images"), changes());
  }
}
