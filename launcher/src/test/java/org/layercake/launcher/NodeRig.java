package org.layercake.launcher;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assertions.fail;

import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalInt;
import java.util.Properties;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;
import org.layercake.store.ImageConfig;
import org.layercake.store.ImageName;
import org.layercake.store.ImageStore;
import org.layercake.store.StoreConfig;

/**
 * A node in a directory: sockets, store, cache, processes and files are real, but the image server
 * mounts nothing, and the holder is a process that waits.
 */
final class NodeRig {
  /** A user that every node has. */
  static final long NOBODY = 65_534;

  /** Of a site's image, which has one variable. */
  static final String SPEC = "image=site/small";

  static final String VARIABLE = "GREETING=é日";

  final Path directory;
  final CacheLayout layout;
  final JobFiles files;
  final Path socket;
  final Path config;
  private final List<Launcher> launchers = new ArrayList<>();

  NodeRig(Path directory, String... settings) throws Exception {
    this.directory = directory;
    Files.setPosixFilePermissions(directory, PosixFilePermissions.fromString("rwx--x--x"));
    this.layout = new CacheLayout(directory.resolve("cache"), directory.resolve("run"));
    this.files = new JobFiles(layout.runDirectory());
    this.socket = layout.runDirectory().resolve("launcher.sock");
    Files.createDirectories(directory.resolve("store/site"));
    Files.createDirectories(directory.resolve("spool"));
    Path library = Files.createDirectories(directory.resolve("lib"));
    Files.createDirectories(directory.resolve("store/launchers"));
    script(directory.resolve("scontrol"), "echo 'ClusterName = rig'");
    script(library.resolve("imageserver"), "echo mounted; exec sleep 1000");
    script(library.resolve("holder"), "echo ready; read kept && exec sleep 1000");
    this.config =
        Files.writeString(
            directory.resolve("launcher.conf"),
            """
            store = directory
            directory = %1$s/store
            cache-directory = %1$s/cache
            run-directory = %1$s/run
            library-directory = %1$s/lib
            slurm-spool-directory = %1$s/spool
            scontrol = %1$s/scontrol
            ch-run = /bin/true
            instant-start = false
            """
                    .formatted(directory)
                + String.join("\n", settings));
    push("not much");
    layout.prepare();
    files.prepare();
    Files.setPosixFilePermissions(
        layout.runDirectory(), PosixFilePermissions.fromString("rwx--x--x"));
  }

  /** Stores the site's image, which gets the tag. */
  void push(String content) throws Exception {
    Properties properties = new Properties();
    properties.setProperty("store", "directory");
    properties.setProperty("directory", directory.resolve("store").toString());
    try (ImageStore store = ImageStore.open(StoreConfig.forNode(properties))) {
      ImageName image = ImageName.parse("site/small");
      store.push(
          Files.write(directory.resolve("small"), content.getBytes(UTF_8)),
          image,
          "root",
          new ImageConfig(List.of(VARIABLE), "x86_64"),
          ImageStore.Existing.TRUST,
          store.pushAhead(image, "root", ImageStore.Existing.TRUST),
          (done, fresh) -> {});
    }
  }

  void script(Path path, String text) throws IOException {
    Files.writeString(path, "#!/bin/sh\n" + text + "\n");
    Files.setPosixFilePermissions(path, PosixFilePermissions.fromString("rwxr-xr-x"));
  }

  /** Lets a job have its extern step here, or ends it. */
  void externStep(long job, boolean here) throws IOException {
    Path socket = directory.resolve("spool/n1_" + job + ".4294967292");
    if (here) {
      Files.createFile(socket);
    } else {
      Files.delete(socket);
    }
  }

  /** A launcher of the node, which has recovered what the one before left. */
  Launcher launcher() throws Exception {
    Launcher launcher = new Launcher();
    launchers.add(launcher);
    return launcher;
  }

  JobSettings jobSettings() throws Abort {
    return Config.read(config).jobs();
  }

  Slurm slurm() {
    return new Slurm(directory.resolve("scontrol").toString());
  }

  final class Launcher {
    final ExecutorService workers = Executors.newCachedThreadPool();
    final Images images;
    final Jobs jobs;
    private Server server;
    private Thread serving;
    private boolean stopped;

    private Launcher() throws Exception {
      Config read = Config.read(config);
      this.images = new Images(read.images());
      this.jobs = new Jobs(read.jobs(), images, slurm(), workers);
      jobs.recover();
    }

    /** Answers clients on the node's socket. */
    Launcher serve() throws IOException {
      listen();
      accept();
      return this;
    }

    /** Opens the socket only: clients wait in the kernel's queue. */
    void listen() throws IOException {
      server = new Server(socket, jobs, OptionalInt.empty());
    }

    void accept() {
      serving = new Thread(this::serveUntilStopped, "serve");
      serving.start();
    }

    private void serveUntilStopped() {
      try {
        server.serve();
      } catch (IOException e) {
        throw new AssertionError(e);
      }
    }

    boolean isServing() {
      return serving.isAlive();
    }

    /** As on SIGTERM. */
    void stop() throws Exception {
      if (stopped) {
        return;
      }
      stopped = true;
      if (server != null) {
        server.stopAccepting();
        serving.join();
        server.close();
        server = null;
      }
      images.close();
      workers.shutdownNow();
      workers.awaitTermination(10, TimeUnit.SECONDS);
    }
  }

  /** Processes of the node that run a program of ours, by what they have become. */
  List<ProcessHandle> processes() {
    return ProcessHandle.current().descendants().toList();
  }

  /**
   * Starts a Python program as a user, with {@code s} a socket that is not connected and {@code
   * path} the launcher's.
   */
  Process python(long uid, String... lines) throws IOException {
    String program =
        "import os, socket, struct, sys, time\npath = sys.argv[1]\ns = socket.socket(socket.AF_UNIX)\n"
            + String.join("\n", lines);
    return new ProcessBuilder(
            "setpriv",
            "--reuid=" + uid,
            "--clear-groups",
            "/usr/bin/python3",
            "-u", // what it prints is waited for
            "-c",
            program,
            socket.toString())
        .directory(Path.of("/").toFile())
        .redirectErrorStream(true)
        .start();
  }

  static String output(Process process) throws Exception {
    String output = new String(process.getInputStream().readAllBytes(), UTF_8).strip();
    process.waitFor();
    return output;
  }

  /** Takes all descriptors that this process may still have; they are to be closed again. */
  static List<Integer> takeAllDescriptors() throws Exception {
    String pid = Long.toString(ProcessHandle.current().pid());
    // Without pipes, which would be closed some time later.
    Process limit =
        new ProcessBuilder("prlimit", "--pid=" + pid, "--nofile=4096:").inheritIO().start();
    assertEquals(0, limit.waitFor());
    List<Integer> taken = takeFree();
    assertTrue(taken.size() > 100);
    return taken;
  }

  private static List<Integer> takeFree() {
    List<Integer> taken = new ArrayList<>();
    for (int fd = Libc.openOrNone("/dev/null"); fd >= 0; fd = Libc.openOrNone("/dev/null")) {
      taken.add(fd);
    }
    return taken;
  }

  /** Awaits what is so without descriptors: what earlier tests had may still be given back. */
  static void awaitWithoutDescriptors(String what, BooleanSupplier condition) throws Exception {
    List<Integer> all = takeAllDescriptors();
    try {
      await(
          what,
          () -> {
            all.addAll(takeFree());
            return condition.getAsBoolean();
          });
    } finally {
      all.forEach(Libc::close);
    }
  }

  /** The files below a directory that this process has open, also such as were deleted. */
  static List<String> open(Path below) {
    List<String> open = new ArrayList<>();
    for (File each : new File("/proc/self/fd").listFiles()) {
      try {
        String target = Files.readSymbolicLink(each.toPath()).toString();
        if (target.startsWith(below.toString())) {
          open.add(target);
        }
      } catch (IOException e) {
        // It was the descriptor of the list.
      }
    }
    return open;
  }

  static void await(String what, BooleanSupplier condition) throws InterruptedException {
    long deadline = System.nanoTime() + Duration.ofSeconds(60).toNanos();
    while (!condition.getAsBoolean()) {
      if (System.nanoTime() > deadline) {
        fail("never came: " + what);
      }
      Thread.sleep(10);
    }
  }

  void close() throws Exception {
    for (Launcher launcher : launchers) {
      launcher.stop();
    }
    processes().forEach(ProcessHandle::destroyForcibly);
  }
}
