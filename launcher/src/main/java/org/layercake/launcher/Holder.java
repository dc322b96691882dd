package org.layercake.launcher;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;

/**
 * The process that keeps a container's namespaces, and our descriptors of them. As long as the
 * descriptors are open the container can be entered, whatever becomes of the process.
 */
final class Holder implements AutoCloseable {
  private static final long READY_TIMEOUT_MILLIS = 30_000;

  private final ProcessHandle process;
  private final int userNamespace;
  private final int mountNamespace;
  private boolean open = true;

  private Holder(ProcessHandle process) throws IOException {
    this.process = process;
    String namespaces = "/proc/" + process.pid() + "/ns/";
    this.userNamespace = Libc.open(namespaces + "user");
    try {
      this.mountNamespace = Libc.open(namespaces + "mnt");
    } catch (IOException e) {
      Libc.close(userNamespace);
      throw e;
    }
  }

  /**
   * Starts a holder in the job's extern step and waits until its namespaces are complete.
   *
   * @param image where the image is mounted
   * @param home the user's home directory, or null when it is not to be mounted
   * @throws Abort as the holder program says it, {@link Abort#MISCONFIGURED} without {@code ch-run}
   */
  static Holder start(Config config, JobKey job, Spec spec, Path image, String home)
      throws Abort, InterruptedException {
    if (!Files.isExecutable(config.chRun())) {
      throw new Abort(
          Abort.MISCONFIGURED,
          "cannot start the container: no ch-run at \""
              + config.chRun()
              + "\" (tell the site: install charliecloud-runtime)");
    }
    Program program =
        Program.start(command(config, job, spec, image, home), "ready", READY_TIMEOUT_MILLIS);
    try {
      return new Holder(program.handle());
    } catch (IOException e) {
      program.handle().destroyForcibly();
      throw new Abort(Abort.INTERNAL, "the container ended at once: " + e.getMessage(), e);
    }
  }

  /**
   * Takes over a holder that an earlier launcher started.
   *
   * @throws IOException when it is gone
   */
  static Holder find(long pid, long startMillis) throws IOException {
    ProcessHandle process =
        Program.find(pid, startMillis)
            .orElseThrow(() -> new IOException("holder " + pid + " is gone"));
    return new Holder(process);
  }

  private static List<String> command(
      Config config, JobKey job, Spec spec, Path image, String home) {
    CacheLayout layout = new CacheLayout(config.cacheDirectory(), config.runDirectory());
    List<String> command = new ArrayList<>();
    command.add(config.libraryDirectory().resolve("holder").toString());
    command.addAll(List.of("--job", Long.toString(job.job())));
    command.addAll(List.of("--uid", Long.toString(job.uid())));
    command.addAll(List.of("--spool", config.slurmSpoolDirectory().toString()));
    command.addAll(List.of("--image", image.toString()));
    command.addAll(List.of("--stage", layout.stage().toString()));
    command.addAll(List.of("--pause", config.libraryDirectory().resolve("pause").toString()));
    command.addAll(List.of("--ch-run", config.chRun().toString()));
    if (spec.root()) {
      command.add("--root");
    }
    // PMIx keeps each step's server files below Slurm's spool directory.
    String spool = config.slurmSpoolDirectory().toString();
    add(command, "--site-mount", new Spec.Mount(spool, spool, Spec.Mount.Mode.RW));
    if (home != null) {
      add(command, "--site-mount", new Spec.Mount(home, home, Spec.Mount.Mode.RW));
    }
    config.siteMounts().forEach(mount -> add(command, "--site-mount", mount));
    spec.mounts().forEach(mount -> add(command, "--mount", mount));
    return command;
  }

  // Paths are any bytes but a JVM's program arguments are not: they travel as in a spec.
  private static void add(List<String> command, String option, Spec.Mount mount) {
    String mode = mount.mode() == Spec.Mount.Mode.RO ? "ro" : "rw";
    command.addAll(
        List.of(option, mode, Spec.encode(mount.source()), Spec.encode(mount.destination())));
  }

  long pid() {
    return process.pid();
  }

  long startMillis() {
    return Program.startMillis(process);
  }

  /** Completes when the process has ended. */
  CompletableFuture<ProcessHandle> onExit() {
    return process.onExit();
  }

  /** Sends a frame together with the user and the mount namespace, in this order. */
  synchronized void send(int connection, ByteBuffer frame) throws IOException {
    if (!open) {
      throw new IOException("the job has ended");
    }
    Libc.send(connection, frame, userNamespace, mountNamespace);
  }

  /** Ends the process and lets go of the namespaces. Twice is harmless. */
  @Override
  public synchronized void close() {
    if (open) {
      open = false;
      Libc.close(userNamespace);
      Libc.close(mountNamespace);
      process.destroyForcibly();
    }
  }
}
