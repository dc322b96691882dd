package org.layercake.launcher.job;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import org.layercake.launcher.image.ImageKey;
import org.layercake.launcher.node.Libc;
import org.layercake.launcher.node.ProcessId;
import org.layercake.store.ImageName;
import org.layercake.store.StoreException;

/**
 * What a restarted launcher must know of a job; one file in the run directory, gone at reboot.
 *
 * @param user as the name service had it when a container was made, so that nobody has to ask it
 *     again; null before that
 * @param changes under which name {@link Changes} has what its containers have changed; empty for
 *     none
 * @param prologUntilSeconds how long the job may be in its prolog, before its extern step, in
 *     seconds since the node's boot; 0 when it is not
 */
record JobState(
    JobKey job,
    String registeredSpec,
    Libc.User user,
    String changes,
    long prologUntilSeconds,
    List<Running> containers) {

  /**
   * A complete container and its holder.
   *
   * @param data the images that it mounts, by the names they were asked for
   */
  record Running(
      String spec,
      ImageKey image,
      List<String> environment,
      Map<ImageName, ImageKey> data,
      ProcessId holder) {}

  /**
   * Writes the file as a whole: a reader sees the old state or the new, and a failure leaves the
   * old.
   *
   * @param staged where it is written first, on the same file system
   */
  void write(Path file, Path staged) throws IOException {
    try {
      // As a stream, which escapes what is not ASCII, as a writer could not do with half a pair.
      try (OutputStream out = Files.newOutputStream(staged)) {
        properties().store(out, null);
      }
      Files.move(staged, file, StandardCopyOption.ATOMIC_MOVE);
    } finally {
      Files.deleteIfExists(staged);
    }
  }

  private Properties properties() {
    Properties p = new Properties();
    p.setProperty("job", Long.toString(job.job()));
    p.setProperty("uid", Long.toString(job.uid()));
    p.setProperty("spec", registeredSpec);
    p.setProperty("changes", changes);
    p.setProperty("prolog-until", Long.toString(prologUntilSeconds));
    if (user != null) {
      p.setProperty("user", user.name());
      p.setProperty("gid", Long.toString(user.gid()));
      p.setProperty("home", user.home());
    }
    // Containers of one image share its environment, which may have as many bytes as a frame.
    List<List<String>> environments =
        containers.stream().map(Running::environment).distinct().toList();
    for (int i = 0; i < environments.size(); i++) {
      for (int k = 0; k < environments.get(i).size(); k++) {
        p.setProperty(environmentKey(i, k), environments.get(i).get(k));
      }
    }
    for (int i = 0; i < containers.size(); i++) {
      Running running = containers.get(i);
      String prefix = "container." + i + ".";
      p.setProperty(prefix + "spec", running.spec());
      p.setProperty(prefix + "image", running.image().toString());
      p.setProperty(prefix + "holder", running.holder().toString());
      p.setProperty(
          prefix + "environment", Integer.toString(environments.indexOf(running.environment())));
      int count = 0;
      for (Map.Entry<ImageName, ImageKey> each : running.data().entrySet()) {
        p.setProperty(prefix + "data." + count++, each.getKey() + " " + each.getValue());
      }
    }
    return p;
  }

  /**
   * Reads a file.
   *
   * @throws IOException also when it is damaged
   */
  static JobState read(Path file) throws IOException {
    Properties p = new Properties();
    try (InputStream in = Files.newInputStream(file)) {
      p.load(in);
      List<Running> containers = new ArrayList<>();
      for (int i = 0; p.containsKey("container." + i + ".spec"); i++) {
        containers.add(running(p, "container." + i + "."));
      }
      String name = p.getProperty("user");
      return new JobState(
          new JobKey(number(p, "job"), number(p, "uid")),
          p.getProperty("spec", ""),
          name == null ? null : new Libc.User(name, number(p, "gid"), p.getProperty("home", "")),
          p.getProperty("changes", ""), // earlier launchers wrote none, as of the next
          Long.parseLong(p.getProperty("prolog-until", "0")), // earlier launchers wrote none
          List.copyOf(containers));
    } catch (StoreException | IllegalArgumentException e) {
      throw new IOException("state file \"" + file + "\" is damaged: " + e.getMessage(), e);
    }
  }

  private static Running running(Properties p, String prefix) throws StoreException {
    List<String> environment = new ArrayList<>();
    int which = (int) number(p, prefix + "environment");
    for (int k = 0; p.containsKey(environmentKey(which, k)); k++) {
      environment.add(p.getProperty(environmentKey(which, k)));
    }
    return new Running(
        p.getProperty(prefix + "spec"),
        ImageKey.parse(p.getProperty(prefix + "image", "")),
        List.copyOf(environment),
        data(p, prefix + "data."),
        ProcessId.parse(p.getProperty(prefix + "holder", "")));
  }

  /** Earlier launchers wrote none. */
  private static Map<ImageName, ImageKey> data(Properties p, String prefix) throws StoreException {
    Map<ImageName, ImageKey> data = new LinkedHashMap<>();
    for (int i = 0; p.containsKey(prefix + i); i++) {
      String[] words = p.getProperty(prefix + i).split(" ", 2);
      data.put(ImageName.parse(words[0]), ImageKey.parse(words.length < 2 ? "" : words[1]));
    }
    return data;
  }

  private static String environmentKey(int environment, int variable) {
    return "environment." + environment + "." + variable;
  }

  private static long number(Properties p, String key) {
    return Long.parseLong(p.getProperty(key, ""));
  }
}
