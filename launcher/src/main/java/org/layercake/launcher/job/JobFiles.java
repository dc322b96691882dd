package org.layercake.launcher.job;

import static java.nio.charset.StandardCharsets.ISO_8859_1;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.FileAttribute;
import java.nio.file.attribute.FileTime;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.layercake.launcher.node.Abort;
import org.layercake.launcher.node.Event;
import org.layercake.launcher.node.PrivateDirectory;
import org.layercake.store.ExitCode;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * What of the jobs is in files of the run directory: their state, and the notes by which ssh-entry
 * and a later launcher know that a job has a container. Whoever calls for a job holds its lock.
 */
final class JobFiles {
  private static final Logger log = LoggerFactory.getLogger(JobFiles.class);

  private static final FileAttribute<?> NOTE_MODE =
      PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("r--------"));

  private final Path runDirectory;

  JobFiles(Path runDirectory) {
    this.runDirectory = runDirectory;
  }

  /** Makes the directories, the notes' open to those who know a name. */
  void prepare() throws IOException {
    PrivateDirectory.make(states());
    Files.createDirectories(notesDirectory());
    Files.setPosixFilePermissions(notesDirectory(), PosixFilePermissions.fromString("rwx--x--x"));
  }

  /** One state file per job. */
  Path states() {
    return runDirectory.resolve("jobs");
  }

  Path state(JobKey job) {
    return states().resolve(job.toString());
  }

  /** Where a job's state is written until it is whole: same file system as {@link #states}. */
  Path staged(JobKey job) {
    return runDirectory.resolve("job-" + job + ".tmp");
  }

  private static boolean isStaged(Path file) {
    String name = file.getFileName().toString();
    return name.startsWith("job") && name.endsWith(".tmp");
  }

  /** Where a state that cannot be read is kept, for whoever wants to know why. */
  Path damaged(Path state) {
    return runDirectory.resolve("job-" + state.getFileName() + ".damaged");
  }

  /**
   * A file for each job with a container, JOB.UID, which holds the spec that the shim's prolog left
   * or nothing. By it ssh-entry knows whom to refuse when the launcher does not run, and a launcher
   * that did not run at the prolog hears of the job. Users may look up names, but not list or read.
   */
  Path notesDirectory() {
    return runDirectory.resolve("contained");
  }

  Path note(JobKey job) {
    return notesDirectory().resolve(job.toString());
  }

  /** Writes the state of a job with a container, after its note: {@link #notedSince}. */
  void save(JobState state) throws IOException {
    Path staged = staged(state.job());
    mark(note(state.job()), state.registeredSpec(), staged);
    state.write(state(state.job()), staged);
  }

  void deleteState(JobKey job) {
    delete(state(job));
  }

  /** False, too, when that cannot be told. */
  boolean hasNoNote(JobKey job) {
    return Files.notExists(note(job));
  }

  /** Removes the note of a job that has ended. */
  void deleteNote(JobKey job) {
    delete(note(job));
  }

  private static void delete(Path file) {
    try {
      Files.deleteIfExists(file);
    } catch (IOException e) {
      Event.DELETE_FAILED
          .on(log)
          .addKeyValue("file", file)
          .addKeyValue("cause", e.toString())
          .log();
    }
  }

  /** Writes the note that the prolog could not write, as note.c does. */
  private static void mark(Path note, String spec, Path staged) throws IOException {
    if (Files.exists(note) && (spec.isEmpty() || Files.size(note) > 0)) {
      return;
    }
    Files.createFile(staged, NOTE_MODE);
    try {
      Files.writeString(staged, spec, ISO_8859_1);
      Files.move(staged, note, StandardCopyOption.ATOMIC_MOVE);
    } finally {
      Files.deleteIfExists(staged);
    }
  }

  /**
   * The spec that the job's prolog left since a launcher last saved the job's state: that of a job
   * that was requeued. Empty when there is none.
   */
  String notedSince(JobKey job) throws Abort {
    String spec = noted(job);
    try {
      FileTime seen = Files.getLastModifiedTime(state(job));
      return Files.getLastModifiedTime(note(job)).compareTo(seen) > 0 ? spec : "";
    } catch (IOException e) {
      return spec; // no launcher has seen it
    }
  }

  /** The spec that the job's prolog left; empty when it left none. */
  String noted(JobKey job) throws Abort {
    try {
      return Files.readString(note(job), ISO_8859_1);
    } catch (NoSuchFileException e) {
      return "";
    } catch (IOException e) {
      throw new Abort(
          ExitCode.INTERNAL, "cannot read the spec of job " + job.job() + ": " + e.getMessage(), e);
    }
  }

  /** The jobs that have a note; not what a prolog is just writing, whose name begins with a dot. */
  List<JobKey> notes() throws IOException {
    List<JobKey> jobs = new ArrayList<>();
    try (Stream<Path> notes = Files.list(notesDirectory())) {
      for (Path note : notes.toList()) {
        String name = note.getFileName().toString();
        try {
          if (!name.startsWith(".")) {
            jobs.add(JobKey.parse(name));
          }
        } catch (NumberFormatException e) {
          Event.STRAY_FILE.on(log).addKeyValue("path", note).log();
        }
      }
    }
    return jobs;
  }

  /** Every job's state that can be read; what cannot is set aside, its note kept. */
  List<JobState> readAll() throws IOException {
    List<JobState> states = new ArrayList<>();
    try (Stream<Path> files = Files.list(states())) {
      for (Path file : files.toList()) {
        try {
          states.add(JobState.read(file));
        } catch (IOException e) {
          setAside(file, e);
        }
      }
    }
    return states;
  }

  private void setAside(Path file, IOException damage) {
    Path aside = damaged(file);
    Event.STATE_DAMAGED
        .on(log)
        .addKeyValue("file", file)
        .addKeyValue("kept-as", aside)
        .addKeyValue("cause", damage.getMessage())
        .log();
    try {
      Files.move(file, aside, StandardCopyOption.REPLACE_EXISTING);
    } catch (IOException e) {
      Event.SET_ASIDE_FAILED
          .on(log)
          .addKeyValue("file", file)
          .addKeyValue("cause", e.toString())
          .log();
    }
  }

  /** Removes what a launcher that was killed while it wrote has left. */
  void dropStaged() throws IOException {
    try (Stream<Path> files = Files.list(runDirectory)) {
      for (Path file : files.filter(JobFiles::isStaged).toList()) {
        Files.deleteIfExists(file);
      }
    }
  }
}
