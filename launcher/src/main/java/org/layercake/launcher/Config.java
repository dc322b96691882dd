package org.layercake.launcher;

import java.io.IOException;
import java.io.Reader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Properties;
import org.layercake.store.StoreConfig;
import org.layercake.store.StoreException;

/**
 * The launcher's config file, Java properties syntax; docs/operations.md lists the keys.
 *
 * @param cacheBudgetBytes what the node cache may hold
 * @param siteMounts mounts of every container, skipped where the user cannot reach the source
 */
record Config(
    StoreConfig store,
    Path cacheDirectory,
    long cacheBudgetBytes,
    Path runDirectory,
    Path libraryDirectory,
    Path chRun,
    boolean mountHome,
    List<Spec.Mount> siteMounts,
    Path slurmSpoolDirectory) {

  /**
   * Reads a config file.
   *
   * @throws Abort {@link Abort#MISCONFIGURED} naming the file, the key and the value
   */
  static Config read(Path file) throws Abort {
    Properties properties = new Properties();
    try (Reader reader = Files.newBufferedReader(file)) {
      properties.load(reader);
      return from(properties);
    } catch (IOException | StoreException | Abort | IllegalArgumentException e) {
      throw new Abort(
          Abort.MISCONFIGURED,
          "cannot use config file \""
              + file
              + "\": "
              + e.getMessage()
              + " (see docs/operations.md)",
          e);
    }
  }

  private static Config from(Properties p) throws StoreException, Abort {
    // The node has a key of its own, which reads every user's images.
    p.putIfAbsent("client", "client.layercake-node");
    p.putIfAbsent("keyring", "/etc/layercake/node.keyring");
    return new Config(
        StoreConfig.from(p, "root", Path.of("/root")),
        Path.of(p.getProperty("cache-directory", "/var/cache/layercake")),
        bytes(p.getProperty("cache-budget", "20G")),
        Path.of(p.getProperty("run-directory", "/run/layercake")),
        Path.of(p.getProperty("library-directory", "/usr/lib/layercake")),
        Path.of(p.getProperty("ch-run", "/usr/bin/ch-run")),
        truth("mount-home", p.getProperty("mount-home", "true")),
        Spec.mounts(p.getProperty("site-mounts", "")),
        Path.of(p.getProperty("slurm-spool-directory", "/var/spool/slurmd")));
  }

  private static long bytes(String text) {
    String number = text.strip().toUpperCase(Locale.ROOT);
    int suffix = number.isEmpty() ? -1 : "KMGT".indexOf(number.charAt(number.length() - 1));
    try {
      long value = Long.parseLong(suffix < 0 ? number : number.substring(0, number.length() - 1));
      if (value > 0) {
        return Math.multiplyExact(value, 1L << (10 * (suffix + 1)));
      }
    } catch (ArithmeticException | NumberFormatException e) {
      // Fall through: every bad size gets the same message.
    }
    throw new IllegalArgumentException(
        "cache-budget \"" + text + "\" is not a size such as 500M or 20G");
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
