package org.layercake.launcher;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.HashSet;
import java.util.Set;
import java.util.stream.Stream;
import org.layercake.store.Digest;
import org.layercake.store.StoreException;

/** The only class that knows a path of the cache directory or the run directory. */
record CacheLayout(Path cacheDirectory, Path runDirectory) {
  private static final String SUFFIX = ".sqfs";
  private static final String SOURCE_SUFFIX = ".source";

  /** Makes the directories, closed to users except for one, and drops what was never published. */
  void prepare() throws IOException {
    makePrivate(images());
    makePrivate(manifests());
    makePrivate(stagingDirectory());
    makePrivate(mounts());
    makePrivate(jobs());
    Files.createDirectories(contained());
    Files.setPosixFilePermissions(contained(), PosixFilePermissions.fromString("rwx--x--x"));
    Files.createDirectories(stage());
    dropOrphans();
    Set<Digest> filling = filling();
    try (Stream<Path> unpublished = Files.list(stagingDirectory())) {
      for (Path file : unpublished.toList()) {
        if (filling.stream().noneMatch(d -> file.getFileName().toString().startsWith(d.hex()))) {
          Files.delete(file);
        }
      }
    }
  }

  private void dropOrphans() throws IOException {
    try (Stream<Path> files = Files.list(manifests())) {
      for (Path file : files.toList()) {
        if (!Files.exists(images().resolve(file.getFileName() + SUFFIX))) {
          Files.delete(file);
        }
      }
    }
  }

  /** The images that an earlier launcher was filling while they were read. */
  Set<Digest> filling() throws IOException {
    Set<Digest> filling = new HashSet<>();
    try (Stream<Path> files = Files.list(stagingDirectory())) {
      for (Path file : files.toList()) {
        String name = file.getFileName().toString();
        if (name.endsWith(SOURCE_SUFFIX)) {
          filling.add(Digest.parseHex(name.substring(0, name.length() - SOURCE_SUFFIX.length())));
        }
      }
    } catch (StoreException e) {
      throw new IOException("a stray file in " + stagingDirectory() + ": " + e.getMessage(), e);
    }
    return filling;
  }

  /** Complete, verified images. */
  Path images() {
    return cacheDirectory.resolve("images");
  }

  Path image(Digest digest) {
    return images().resolve(digest.hex() + SUFFIX);
  }

  /** Which image it is, or null for a stray file. */
  Digest digestOfImage(Path file) {
    String name = file.getFileName().toString();
    try {
      return name.endsWith(SUFFIX)
          ? Digest.parseHex(name.substring(0, name.length() - SUFFIX.length()))
          : null;
    } catch (StoreException e) {
      return null;
    }
  }

  /** The manifest of a complete image, by which others find chunks in it. */
  Path manifest(Digest digest) {
    return manifests().resolve(digest.hex());
  }

  private Path manifests() {
    return cacheDirectory.resolve("manifests");
  }

  /** Where an image is written until it is complete: same file system as {@link #images}. */
  Path staging(Digest digest) {
    return stagingDirectory().resolve(digest.hex());
  }

  /** Room on the disk for what is written to {@link #staging}. */
  long usableBytes() throws IOException {
    return Files.getFileStore(stagingDirectory()).getUsableSpace();
  }

  /** Which image it is that is being filled, by its pinned name. */
  Path fillSource(Digest digest) {
    return stagingDirectory().resolve(digest.hex() + SOURCE_SUFFIX);
  }

  /** Which chunks of it are there. */
  Path fillMap(Digest digest) {
    return stagingDirectory().resolve(digest.hex() + ".map");
  }

  /** FIFO from its image server. */
  Path fillWanted(Digest digest) {
    return stagingDirectory().resolve(digest.hex() + ".wanted");
  }

  /** FIFO to its image server. */
  Path fillArrived(Digest digest) {
    return stagingDirectory().resolve(digest.hex() + ".arrived");
  }

  /** Mount points of shared image mounts; no user may pass this directory. */
  Path mounts() {
    return runDirectory.resolve("images");
  }

  Path mountPoint(Digest digest) {
    return mounts().resolve(digest.hex());
  }

  /** One state file per job. */
  Path jobs() {
    return runDirectory.resolve("jobs");
  }

  Path job(JobKey job) {
    return jobs().resolve(job.toString());
  }

  /**
   * A file for each job with a container, JOB.UID, which holds the spec that the shim's prolog left
   * or nothing. By it ssh-entry knows whom to refuse when the launcher does not run, and a launcher
   * that did not run at the prolog hears of the job. Users may look up names, but not list or read.
   */
  Path contained() {
    return runDirectory.resolve("contained");
  }

  Path contained(JobKey job) {
    return contained().resolve(job.toString());
  }

  /** An empty directory on which each holder mounts what it prepares, in its own namespace. */
  Path stage() {
    return runDirectory.resolve("stage");
  }

  Path socket() {
    return runDirectory.resolve("launcher.sock");
  }

  Path lock() {
    return runDirectory.resolve("launcher.lock");
  }

  private Path stagingDirectory() {
    return cacheDirectory.resolve("staging");
  }

  private static void makePrivate(Path directory) throws IOException {
    Files.createDirectories(directory);
    Files.setPosixFilePermissions(directory, PosixFilePermissions.fromString("rwx------"));
  }
}
