package org.layercake.launcher.job;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import org.layercake.launcher.edit.Given;
import org.layercake.launcher.edit.Mount;
import org.layercake.launcher.node.Abort;
import org.layercake.launcher.node.Libc;
import org.layercake.launcher.node.ProcessId;
import org.layercake.launcher.node.Program;
import org.layercake.launcher.node.UnixSocket;
import org.layercake.store.ExitCode;

/**
 * The process that keeps a container's namespaces, and our descriptors of it and of them. As long
 * as those are open the container can be entered, whatever becomes of the process.
 */
public final class Holder implements AutoCloseable {
  private static final long READY_TIMEOUT_MILLIS = 30_000;
  private static final int SIGKILL = 9;

  private final ProcessHandle process;
  private final ProcessId id;
  private final int pidfd;
  private final int userNamespace;
  private final int mountNamespace;
  private Program program; // null for one that was started by an earlier launcher
  private boolean open = true; // guarded by this
  private int senders; // guarded by this

  private Holder(
      ProcessHandle process, ProcessId id, int pidfd, int userNamespace, int mountNamespace) {
    this.process = process;
    this.id = id;
    this.pidfd = pidfd;
    this.userNamespace = userNamespace;
    this.mountNamespace = mountNamespace;
  }

  /** Knows where images are. */
  interface Places {
    /** A mount with the path in place of its image; none for one that is left out. */
    Optional<Spec.Mount> of(Spec.Mount mount);
  }

  /**
   * What a container has beside what its user asks for.
   *
   * @param mountRules the site's about the user's mounts, as the program takes them
   * @param given by profiles and devices
   * @param libraryDirectories of the image, where libraries are looked for that are replaced
   */
  record Additions(List<String> mountRules, Given given, List<String> libraryDirectories) {
    static final Additions NONE = new Additions(List.of(), Given.NOTHING, List.of());

    private void addTo(List<String> command) {
      given.users().forEach(user -> command.addAll(List.of("--user", user)));
      given
          .replacements()
          .forEach(
              (name, source) ->
                  add(
                      command,
                      "--replace",
                      new Spec.Mount(
                          Spec.bytes(source), "/" + Spec.bytes(name), Spec.Mount.Mode.RO)));
      for (String directory : libraryDirectories) {
        command.addAll(List.of("--library-directory", Spec.encode(Spec.bytes(directory))));
      }
      mountRules.forEach(rule -> command.addAll(List.of("--mount-rule", rule)));
    }
  }

  /**
   * Starts a holder in the job's extern step and waits until its namespaces are complete.
   *
   * @param root where the image is mounted, or what the job has made of it
   * @param places of mounts whose source is an image
   * @param home the user's home directory, or null when it has none
   * @param more what the site and the devices add
   * @throws Abort as the holder program says it, {@link ExitCode#MISCONFIGURED} without {@code
   *     ch-run}
   */
  static Holder start(
      JobSettings settings,
      JobKey job,
      Spec spec,
      Path root,
      Places places,
      String home,
      Additions more)
      throws Abort, InterruptedException {
    if (!Files.isExecutable(settings.chRun())) {
      throw new Abort(
          ExitCode.MISCONFIGURED,
          "cannot start the container: no ch-run at \""
              + settings.chRun()
              + "\" (tell the site: install charliecloud-runtime)");
    }
    List<String> command = command(settings, job, spec, root, places, home, more);
    Program program = Program.startTentative(command, "ready", READY_TIMEOUT_MILLIS);
    try {
      Holder holder = find(program.id());
      holder.program = program;
      return holder;
    } catch (IOException e) {
      program.handle().destroyForcibly();
      throw Abort.ofKilled("the container ended at once: " + e.getMessage(), e);
    }
  }

  /**
   * Takes over a holder that was started before, by an earlier launcher too.
   *
   * @throws IOException when it is gone, also when its pid is another's now
   */
  static Holder find(ProcessId id) throws IOException {
    List<Integer> opened = new ArrayList<>();
    try {
      opened.add(Libc.openProcess(id.pid()));
      // The pidfd first: if that process is alive in the end, all the rest was of it.
      ProcessHandle process = id.find().orElse(null);
      for (String kind : List.of("user", "mnt")) {
        opened.add(Libc.open("/proc/" + id.pid() + "/ns/" + kind));
      }
      if (process == null || !Libc.signal(opened.get(0), 0)) {
        throw new IOException("holder " + id.pid() + " is gone");
      }
      return new Holder(process, id, opened.get(0), opened.get(1), opened.get(2));
    } catch (IOException e) {
      opened.forEach(Libc::close);
      throw e;
    }
  }

  private static List<String> command(
      JobSettings settings,
      JobKey job,
      Spec spec,
      Path root,
      Places places,
      String home,
      Additions more) {
    List<String> command = new ArrayList<>();
    command.add(settings.libraryDirectory().resolve("holder").toString());
    command.addAll(List.of("--job", Long.toString(job.job())));
    command.addAll(List.of("--uid", Long.toString(job.uid())));
    command.addAll(List.of("--spool", settings.slurmSpoolDirectory().toString()));
    command.addAll(List.of("--image", root.toString()));
    for (Path hidden : settings.hidden()) {
      command.addAll(List.of("--hide", hidden.toString()));
    }
    command.addAll(List.of("--stage", settings.stage().toString()));
    command.addAll(List.of("--pause", settings.libraryDirectory().resolve("pause").toString()));
    command.addAll(List.of("--ch-run", settings.chRun().toString()));
    if (spec.root()) {
      command.add("--root");
    }
    if (settings.timeZone()) {
      command.add("--time-zone");
    }
    if (spec.isWritable()) {
      command.add("--writable");
    }
    if (!spec.isWritable()) {
      command.addAll(List.of("--scratch-size", Long.toString(settings.scratchBytes())));
      settings.scratch().forEach(path -> command.addAll(List.of("--scratch", path)));
    }
    // PMIx keeps each step's server files below Slurm's spool directory.
    String spool = settings.slurmSpoolDirectory().toString();
    add(command, "--site-mount", new Spec.Mount(spool, spool, Spec.Mount.Mode.RW));
    if (home != null) {
      addHome(command, settings, spec, home);
    }
    more.given.mounts().forEach(mount -> add(command, mount, places));
    spec.mounts().forEach(mount -> add(command, "--", mount, places));
    String directory = spec.directory();
    if (directory != null) {
      add(command, "--directory", new Spec.Mount(directory, directory, Spec.Mount.Mode.RW));
    }
    more.addTo(command);
    return command;
  }

  private static void addHome(List<String> command, JobSettings settings, Spec spec, String home) {
    if (spec.home() == null && settings.mountHome()) {
      add(command, "--site-mount", new Spec.Mount(home, home, Spec.Mount.Mode.RW));
    } else if (spec.home() != null && !spec.home().equals(Spec.NO_HOME)) {
      add(command, "--mount", new Spec.Mount(spec.home(), home, Spec.Mount.Mode.RW));
    }
  }

  /** What the site gives: what is optional is left out where it cannot be had. */
  private static void add(List<String> command, Mount mount, Places places) {
    String whose = mount.optional() ? "--site-" : mount.image() == null ? "--needed-" : "--";
    add(command, whose, Spec.Mount.of(mount), places);
  }

  private static void add(List<String> command, String prefix, Spec.Mount mount, Places places) {
    String option = prefix + (mount.isImage() ? "image-mount" : "mount");
    places.of(mount).ifPresent(placed -> add(command, option, placed));
  }

  // Paths are any bytes but a JVM's program arguments are not: mounts travel as in a spec.
  private static void add(List<String> command, String option, Spec.Mount mount) {
    command.addAll(List.of(option, mount.text()));
  }

  public ProcessId id() {
    return id;
  }

  /**
   * Lets it outlive us. Until then it ends with the launcher: one that is in no file would never be
   * found again.
   */
  void keep() {
    if (program != null) {
      program.keep();
    }
  }

  /** Completes when the process has ended. */
  CompletableFuture<ProcessHandle> onExit() {
    return process.onExit();
  }

  /**
   * Sends a frame together with the user and the mount namespace, in this order. A client that does
   * not read delays nobody else.
   */
  public void send(int connection, ByteBuffer frame) throws IOException {
    synchronized (this) {
      if (!open) {
        throw new IOException("the job has ended");
      }
      senders++;
    }
    try {
      UnixSocket.send(connection, frame, userNamespace, mountNamespace);
    } finally {
      synchronized (this) {
        senders--;
        closeUnlessNeeded();
      }
    }
  }

  /** Ends the process and lets go of the namespaces. Twice is harmless. */
  @Override
  public synchronized void close() {
    if (open) {
      open = false;
      Libc.signal(pidfd, SIGKILL);
      Libc.close(pidfd);
      closeUnlessNeeded();
    }
  }

  private void closeUnlessNeeded() {
    if (!open && senders == 0) {
      Libc.close(userNamespace);
      Libc.close(mountNamespace);
    }
  }
}
