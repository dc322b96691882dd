package org.layercake.launcher;

import java.io.IOException;
import java.io.Reader;
import java.nio.file.AccessDeniedException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.Properties;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Pattern;
import org.layercake.launcher.device.Devices;
import org.layercake.launcher.edit.Editor;
import org.layercake.launcher.edit.Mount;
import org.layercake.launcher.edit.Origin;
import org.layercake.launcher.image.ImageSettings;
import org.layercake.launcher.job.ChangesDisk;
import org.layercake.launcher.job.JobSettings;
import org.layercake.launcher.job.Spec;
import org.layercake.launcher.node.Abort;
import org.layercake.launcher.profile.Profiles;
import org.layercake.policy.PolicyFile;
import org.layercake.store.ByteSize;
import org.layercake.store.ExitCode;
import org.layercake.store.StoreConfig;
import org.layercake.store.StoreException;

/**
 * The launcher's config file, Java properties syntax; docs/operations.md lists the keys.
 *
 * @param scontrol an absolute path, or a name that is looked for in the launcher's {@code PATH}
 * @param commentField where Slurm's record of a job is told what it ran in, if it is
 * @param metricsFile where the node's figures are written, if they are
 * @param jsonLog whether lines of the log are JSON objects
 */
record Config(
    Path runDirectory,
    String scontrol,
    Optional<String> commentField,
    boolean jsonLog,
    Optional<Path> metricsFile,
    ImageSettings images,
    JobSettings jobs) {
  private static final Pattern PLAIN_PATH = Pattern.compile("(/[A-Za-z0-9_-][A-Za-z0-9_.-]*)+");
  private static final String NONE = "none";

  /** The field of a job that only administrators can change, scontrol(1). */
  private static final List<String> COMMENT_FIELDS = List.of(NONE, "AdminComment");

  private static final Set<String> KEYS =
      Set.of(
          "cache-directory",
          "cache-budget",
          "user-cache-share",
          "user-images",
          "image-memory",
          "run-directory",
          "instant-start",
          "background-rate",
          "read-timeout",
          "library-directory",
          "ch-run",
          "containers-per-job",
          "containers-per-user",
          "devices",
          "mount-home",
          "mount-cwd",
          "scratch-directories",
          "scratch-size",
          "node-time-zone",
          "site-mounts",
          "policy",
          "profiles",
          "writable-directory",
          "writable-size",
          "user-writable-share",
          "slurm-spool-directory",
          "slurm-comment",
          "log-format",
          "metrics-file",
          "scontrol");

  /**
   * Reads a config file.
   *
   * @throws Abort {@link ExitCode#MISCONFIGURED} naming the file, the key and the value; {@link
   *     ExitCode#PERMISSION} if the caller may not read it
   */
  static Config read(Path file) throws Abort {
    try (Reader reader = Files.newBufferedReader(file)) {
      Properties properties = new Properties();
      properties.load(reader);
      return from(stripped(properties));
    } catch (NoSuchFileException e) {
      throw new Abort(
          ExitCode.MISCONFIGURED,
          "cannot use config file \"" + file + "\": no such file (an empty one will do)",
          e);
    } catch (AccessDeniedException e) {
      throw new Abort(
          ExitCode.PERMISSION,
          "cannot read config file \"" + file + "\": permission denied (only root may read it)",
          e);
    } catch (IOException | StoreException | IllegalArgumentException e) {
      throw new Abort(
          ExitCode.MISCONFIGURED,
          "cannot use config file \""
              + file
              + "\": "
              + e.getMessage()
              + " (see layercake-launcher.conf(5))",
          e);
    }
  }

  private static Properties stripped(Properties read) {
    Properties stripped = new Properties();
    for (String key : read.stringPropertyNames()) {
      if (!keys().contains(key)) {
        throw new IllegalArgumentException("no such key \"" + key + "\"");
      }
      stripped.setProperty(key, read.getProperty(key).strip());
    }
    return stripped;
  }

  /** All keys that the file can have. */
  static Set<String> keys() {
    Set<String> keys = new TreeSet<>(KEYS);
    keys.addAll(StoreConfig.KEYS);
    return keys;
  }

  Path socket() {
    return runDirectory.resolve("launcher.sock");
  }

  Path lock() {
    return runDirectory.resolve("launcher.lock");
  }

  private static Config from(Properties p) throws StoreException {
    Path runDirectory = Path.of(p.getProperty("run-directory", "/run/layercake"));
    Path libraryDirectory = Path.of(p.getProperty("library-directory", "/usr/lib/layercake"));
    return new Config(
        runDirectory,
        program("scontrol", p.getProperty("scontrol", "scontrol")),
        Optional.of(oneOf("slurm-comment", p.getProperty("slurm-comment", NONE), COMMENT_FIELDS))
            .filter(field -> !field.equals(NONE)),
        oneOf("log-format", p.getProperty("log-format", "text"), List.of("text", "json"))
            .equals("json"),
        metricsFile(p.getProperty("metrics-file", "")),
        images(p, runDirectory, libraryDirectory),
        jobs(p, runDirectory, libraryDirectory));
  }

  private static ImageSettings images(Properties p, Path runDirectory, Path libraryDirectory)
      throws StoreException {
    return new ImageSettings(
        StoreConfig.forNode(p),
        Path.of(p.getProperty("cache-directory", "/var/cache/layercake")),
        runDirectory,
        new ImageSettings.Limits(
            bytes("cache-budget", p.getProperty("cache-budget", "20G")),
            number("user-cache-share", p.getProperty("user-cache-share", "75"), "percent", 100),
            number("user-images", p.getProperty("user-images", "64"), "images", 10_000)),
        new ImageSettings.Pace(
            bytes("background-rate", p.getProperty("background-rate", "1G")),
            number("read-timeout", p.getProperty("read-timeout", "600"), "seconds", 86_400)),
        truth("instant-start", p.getProperty("instant-start", "true")),
        libraryDirectory.resolve("imageserver"),
        bytes("image-memory", p.getProperty("image-memory", "2G")));
  }

  private static JobSettings jobs(Properties p, Path runDirectory, Path libraryDirectory) {
    return new JobSettings(
        runDirectory,
        libraryDirectory,
        Path.of(p.getProperty("ch-run", "/usr/bin/ch-run")),
        number("containers-per-job", p.getProperty("containers-per-job", "32"), "containers", 1000),
        number(
            "containers-per-user",
            p.getProperty("containers-per-user", "256"),
            "containers",
            10_000),
        truth("mount-home", p.getProperty("mount-home", "true")),
        truth("mount-cwd", p.getProperty("mount-cwd", "true")),
        scratch(p.getProperty("scratch-directories", "/run,/var/tmp")),
        bytes("scratch-size", p.getProperty("scratch-size", "64M")),
        truth("node-time-zone", p.getProperty("node-time-zone", "true")),
        Path.of(p.getProperty("slurm-spool-directory", "/var/spool/slurmd")),
        changesDisk(p, libraryDirectory),
        PolicyFile.ofSite(plainPath(p, "policy", PolicyFile.DEFAULT)),
        profiles(p, runDirectory));
  }

  private static Profiles profiles(Properties p, Path runDirectory) {
    return new Profiles(
        plainPath(p, "profiles", Profiles.DEFAULT),
        siteMounts(p.getProperty("site-mounts", "")),
        devices(p.getProperty("devices", "")),
        new Devices(Devices.DIRECTORIES),
        new Editor(runDirectory.resolve("devices")));
  }

  private static List<Devices.Wanted> devices(String list) {
    List<Devices.Wanted> always = new ArrayList<>();
    for (String name : items(list)) {
      try {
        always.add(Devices.Wanted.parse(name));
      } catch (IllegalArgumentException e) {
        throw new IllegalArgumentException("devices: " + e.getMessage(), e);
      }
    }
    return always;
  }

  private static Path plainPath(Properties p, String key, Path usual) {
    String path = p.getProperty(key, usual.toString());
    if (!PLAIN_PATH.matcher(path).matches()) {
      throw new IllegalArgumentException(
          key + " \"" + path + "\" is not an absolute path of plain names");
    }
    return Path.of(path);
  }

  private static Optional<ChangesDisk> changesDisk(Properties p, Path libraryDirectory) {
    long bytes = bytes("writable-size", p.getProperty("writable-size", "8G"));
    int share =
        number("user-writable-share", p.getProperty("user-writable-share", "75"), "percent", 100);
    String path = p.getProperty("writable-directory", "");
    if (path.isEmpty()) {
      return Optional.empty();
    }
    String named = "writable-directory \"" + path + "\" ";
    if (!PLAIN_PATH.matcher(path).matches()) {
      throw new IllegalArgumentException(named + "is not an absolute path of plain names");
    }
    try {
      ChangesDisk.require(Path.of(path));
    } catch (IllegalArgumentException e) {
      throw new IllegalArgumentException(named + e.getMessage(), e);
    }
    return Optional.of(
        new ChangesDisk(Path.of(path), libraryDirectory.resolve("volume"), bytes, share));
  }

  private static List<String> scratch(String list) {
    List<String> paths = items(list);
    for (String path : paths) {
      if (!PLAIN_PATH.matcher(path).matches()) {
        throw new IllegalArgumentException(
            "scratch-directories \"" + path + "\" is not an absolute path of plain names");
      }
    }
    return paths;
  }

  /** What stands between commas. */
  private static List<String> items(String list) {
    return Arrays.stream(list.split(",", -1)).map(String::strip).filter(i -> !i.isEmpty()).toList();
  }

  /** Users who cannot reach one do without. */
  private static List<Mount> siteMounts(String list) {
    Origin origin = new Origin("site-mounts of the launcher's settings", "correct them");
    try {
      return Spec.mounts(list).stream().map(mount -> mount.ofSite(origin)).toList();
    } catch (Abort e) {
      throw new IllegalArgumentException("site-mounts \"" + list + "\": " + e.getMessage(), e);
    }
  }

  private static String program(String key, String text) {
    if (text.isEmpty() || (text.contains("/") && !text.startsWith("/"))) {
      throw new IllegalArgumentException(
          key + " \"" + text + "\" is neither an absolute path nor the name of a program");
    }
    return text;
  }

  private static Optional<Path> metricsFile(String path) {
    if (path.isEmpty()) {
      return Optional.empty();
    }
    if (!PLAIN_PATH.matcher(path).matches() || !path.endsWith(".prom")) {
      throw new IllegalArgumentException(
          "metrics-file \"" + path + "\" is not an absolute path of plain names ending in .prom");
    }
    return Optional.of(Path.of(path));
  }

  private static String oneOf(String key, String text, List<String> words) {
    if (!words.contains(text)) {
      throw new IllegalArgumentException(
          key + " \"" + text + "\" is not one of " + String.join(", ", words));
    }
    return text;
  }

  private static long bytes(String key, String text) {
    OptionalLong bytes = ByteSize.parse(text);
    if (bytes.isPresent() && bytes.getAsLong() > 0) {
      return bytes.getAsLong();
    }
    throw new IllegalArgumentException(key + " \"" + text + "\" is not a size such as 500M or 20G");
  }

  private static int number(String key, String text, String unit, int most) {
    try {
      int number = Integer.parseInt(text);
      if (number >= 1 && number <= most) {
        return number;
      }
    } catch (NumberFormatException e) {
      // Said below, as what is out of range.
    }
    throw new IllegalArgumentException(
        key + " \"" + text + "\" is not a number of " + unit + " from 1 to " + most);
  }

  private static boolean truth(String key, String text) {
    return switch (text.strip()) {
      case "true" -> true;
      case "false" -> false;
      default ->
          throw new IllegalArgumentException(key + " \"" + text + "\" is neither true nor false");
    };
  }
}
