package org.layercake.launcher;

import java.io.IOException;
import java.io.Reader;
import java.io.Writer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Properties;
import org.layercake.store.StoreException;

/** What a restarted launcher must know of a job; one file in the run directory, gone at reboot. */
record JobState(JobKey job, String registeredSpec, List<Running> containers) {

  /** A complete container and its holder. */
  record Running(String spec, ImageKey image, List<String> environment, ProcessId holder) {}

  /** Writes the file as a whole: a reader sees the old state or the new. */
  void write(Path file) throws IOException {
    Properties p = new Properties();
    p.setProperty("job", Long.toString(job.job()));
    p.setProperty("uid", Long.toString(job.uid()));
    p.setProperty("spec", registeredSpec);
    for (int i = 0; i < containers.size(); i++) {
      Running running = containers.get(i);
      String prefix = "container." + i + ".";
      p.setProperty(prefix + "spec", running.spec());
      p.setProperty(prefix + "image", running.image().toString());
      p.setProperty(prefix + "holder", running.holder().toString());
      for (int k = 0; k < running.environment().size(); k++) {
        p.setProperty(prefix + "environment." + k, running.environment().get(k));
      }
    }
    Path staged = Files.createTempFile(file.getParent().getParent(), "job", null);
    try (Writer writer = Files.newBufferedWriter(staged)) {
      p.store(writer, null);
    }
    Files.move(staged, file, StandardCopyOption.ATOMIC_MOVE);
  }

  static JobState read(Path file) throws IOException {
    Properties p = new Properties();
    try (Reader reader = Files.newBufferedReader(file)) {
      p.load(reader);
    }
    try {
      List<Running> containers = new ArrayList<>();
      for (int i = 0; p.containsKey("container." + i + ".spec"); i++) {
        containers.add(running(p, "container." + i + "."));
      }
      JobKey job = new JobKey(number(p, "job"), number(p, "uid"));
      return new JobState(job, p.getProperty("spec", ""), List.copyOf(containers));
    } catch (StoreException | NumberFormatException e) {
      throw new IOException("state file \"" + file + "\" is damaged: " + e.getMessage(), e);
    }
  }

  private static Running running(Properties p, String prefix) throws StoreException {
    List<String> environment = new ArrayList<>();
    for (int k = 0; p.containsKey(prefix + "environment." + k); k++) {
      environment.add(p.getProperty(prefix + "environment." + k));
    }
    return new Running(
        p.getProperty(prefix + "spec"),
        ImageKey.parse(p.getProperty(prefix + "image", "")),
        List.copyOf(environment),
        ProcessId.parse(p.getProperty(prefix + "holder", "")));
  }

  private static long number(Properties p, String key) {
    return Long.parseLong(p.getProperty(key, ""));
  }
}
