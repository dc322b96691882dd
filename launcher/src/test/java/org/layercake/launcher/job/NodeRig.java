package org.layercake.launcher.job;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.layercake.launcher.device.Devices;
import org.layercake.launcher.edit.Editor;
import org.layercake.launcher.edit.Origin;
import org.layercake.launcher.image.ImageSettings;
import org.layercake.launcher.image.Images;
import org.layercake.launcher.image.TestStore;
import org.layercake.launcher.node.Abort;
import org.layercake.launcher.profile.Profiles;
import org.layercake.policy.PolicyFile;
import org.layercake.store.StoreConfig;

/**
 * A node in a directory: store, cache, processes and files are real, but the image server mounts
 * nothing, and the holder is a process that waits.
 */
public final class NodeRig {
  /** A user that every node has. */
  public static final long NOBODY = 65_534;

  /** Of a site's image, which has one variable. */
  public static final String SPEC = "image=site/small";

  /** The same, which mounts another image of the site. */
  static final String DATA_SPEC = SPEC + ";mount=image:site/data:/data:ro";

  static final String VARIABLE = "GREETING=é日";

  public final Path directory;
  public final Path runDirectory;
  public final Path library;
  final JobFiles files;
  private final Path images;
  private final JobSettings settings;
  private final List<Launcher> launchers = new ArrayList<>();

  public NodeRig(Path directory) throws Exception {
    this(directory, 32, 256);
  }

  NodeRig(Path directory, int containersPerJob, int containersPerUser) throws Exception {
    this.directory = directory;
    Files.setPosixFilePermissions(directory, PosixFilePermissions.fromString("rwx--x--x"));
    this.runDirectory = Files.createDirectory(directory.resolve("run"));
    Files.setPosixFilePermissions(runDirectory, PosixFilePermissions.fromString("rwx--x--x"));
    this.images = Files.createDirectory(directory.resolve("store"));
    Files.createDirectory(images.resolve("site"));
    Files.createDirectory(images.resolve("launchers"));
    this.library = Files.createDirectory(directory.resolve("lib"));
    script(directory.resolve("scontrol"), "echo 'ClusterName = rig'");
    script(library.resolve("imageserver"), "echo mounted; exec sleep 1000");
    script(library.resolve("holder"), "echo ready; read kept && exec sleep 1000");
    this.settings =
        new JobSettings(
            runDirectory,
            library,
            Path.of("/bin/true"),
            containersPerJob,
            containersPerUser,
            true,
            true,
            List.of("/run"),
            1 << 20,
            true,
            Files.createDirectory(directory.resolve("spool")),
            Optional.empty(),
            PolicyFile.ofSite(directory.resolve("policy")),
            profiles(
                directory.resolve("profiles.d"),
                "/site:/site:rw",
                new Devices(List.of(directory.resolve("cdi"))),
                runDirectory));
    this.files = new JobFiles(runDirectory);
    files.prepare();
    push("not much");
  }

  /** Those of a directory, and mounts of every container. */
  static Profiles profiles(Path directory, String siteMounts, Devices devices, Path run)
      throws Abort {
    Origin origin = new Origin("the test", "correct it");
    return new Profiles(
        directory,
        Spec.mounts(siteMounts).stream().map(mount -> mount.ofSite(origin)).toList(),
        List.of(),
        devices,
        new Editor(run.resolve("devices")));
  }

  JobSettings settings() {
    return settings;
  }

  Slurm slurm() {
    return new Slurm(directory.resolve("scontrol").toString());
  }

  private ImageSettings imageSettings(StoreConfig store) {
    return new ImageSettings(
        store,
        directory.resolve("cache"),
        runDirectory,
        new ImageSettings.Limits(1 << 30, 75, 64),
        new ImageSettings.Pace(1 << 30, 600),
        false,
        library.resolve("imageserver"),
        2L << 30);
  }

  /** Stores the site's image, which gets the tag. */
  void push(String content) throws Exception {
    push("site/small", content, VARIABLE);
  }

  /** Stores another image of the site. */
  void push(String name, String content, String... environment) throws Exception {
    Path file = Files.writeString(directory.resolve(name.substring(5)), content);
    try (TestStore store = new TestStore(images)) {
      store.push("root", name, file, environment);
    }
  }

  /** Of the site's image. */
  String digest() throws Exception {
    try (TestStore store = new TestStore(images)) {
      return store
          .push("root", "site/small", directory.resolve("small"), VARIABLE)
          .digest()
          .toString();
    }
  }

  /** The site's image with a mount of its own: another container for each number. */
  static String spec(int n) {
    return SPEC + ";mount=/tmp:/m" + n + ":ro";
  }

  /** The job, which has its extern step from now on. */
  JobKey here(JobKey job) throws IOException {
    externStep(job.job(), true);
    return job;
  }

  /** How many jobs have a state. */
  long states() throws IOException {
    try (Stream<Path> states = Files.list(files.states())) {
      return states.count();
    }
  }

  /** Has all mounts of images be those of another user. */
  void giveMountsTo(long uid) throws IOException {
    try (Stream<Path> mounts = Files.list(runDirectory.resolve("images"))) {
      for (Path path : mounts.toList()) {
        String name = path.getFileName().toString();
        Files.move(path, path.resolveSibling(name.replaceFirst("-\\d+", "-" + uid)));
      }
    }
  }

  /** Where the job has its note. */
  public Path note(JobKey job) {
    return files.note(job);
  }

  /** Where the job has its state. */
  public Path state(JobKey job) {
    return files.state(job);
  }

  public void script(Path path, String text) throws IOException {
    Files.writeString(path, "#!/bin/sh\n" + text + "\n");
    Files.setPosixFilePermissions(path, PosixFilePermissions.fromString("rwxr-xr-x"));
  }

  /** Has each image server write its pid to a file, "server" in the node's directory. */
  public Path noteImageServer() throws IOException {
    Path noted = directory.resolve("server");
    script(
        library.resolve("imageserver"),
        "echo $$ >'%s'; echo mounted; exec sleep 1000".formatted(noted));
    return noted;
  }

  /** Lets a job have its extern step here, or ends it. */
  public void externStep(long job, boolean here) throws IOException {
    Path socket = directory.resolve("spool/n1_" + job + ".4294967292");
    if (here) {
      Files.createFile(socket);
    } else {
      Files.delete(socket);
    }
  }

  /** A launcher of the node, which has recovered what the one before left. */
  public Launcher launcher() throws Exception {
    Launcher launcher = new Launcher();
    launchers.add(launcher);
    return launcher;
  }

  public final class Launcher {
    final ExecutorService workers = Executors.newCachedThreadPool();
    final Images images;
    public final Jobs jobs;
    private boolean stopped;

    private Launcher() throws Exception {
      try (TestStore store = new TestStore(NodeRig.this.images)) {
        this.images = new Images(imageSettings(store.config()));
      }
      this.jobs = new Jobs(settings, images, slurm(), workers);
      jobs.recover();
    }

    /** As on SIGTERM. */
    public void stop() throws Exception {
      if (stopped) {
        return;
      }
      stopped = true;
      images.close();
      workers.shutdownNow();
      workers.awaitTermination(10, TimeUnit.SECONDS);
    }
  }

  /** Processes of the node that run a program of ours, by what they have become. */
  public List<ProcessHandle> processes() {
    return ProcessHandle.current().descendants().toList();
  }

  public void close() throws Exception {
    for (Launcher launcher : launchers) {
      launcher.stop();
    }
    processes().forEach(ProcessHandle::destroyForcibly);
  }
}
