package org.layercake.launcher.job;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import org.layercake.launcher.image.Images;
import org.layercake.launcher.node.Event;
import org.layercake.store.ImageUse;
import org.layercake.store.StoreException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Tells Slurm's own record of a job what the job runs in: once for each job and image, by the node
 * that the store lets. Nobody waits for it, and what fails is a line in the log.
 */
final class JobComments {
  private static final Logger log = LoggerFactory.getLogger(JobComments.class);
  private static final int MAX_WAITING = 1000; // starts that one slow slurmctld may be behind
  private static final int MAX_CHARS = 4000;

  private final Slurm slurm;
  private final Images images;
  private final ThreadPoolExecutor writer; // null where the site does not want comments

  JobComments(Slurm slurm, Images images) {
    this.slurm = slurm;
    this.images = images;
    this.writer = slurm.commentField().isPresent() ? writer() : null;
  }

  /** One thread, which ends when it has nothing to do. */
  private static ThreadPoolExecutor writer() {
    ThreadPoolExecutor writer =
        new ThreadPoolExecutor(
            1,
            1,
            10,
            TimeUnit.SECONDS,
            new ArrayBlockingQueue<>(MAX_WAITING),
            task -> {
              Thread thread = new Thread(task, "job-comments");
              thread.setDaemon(true);
              return thread;
            });
    writer.allowCoreThreadTimeOut(true);
    return writer;
  }

  /** Notes a start, later. */
  void note(ContainerStart start) {
    if (writer == null) {
      return;
    }
    try {
      writer.execute(() -> write(start));
    } catch (RejectedExecutionException | OutOfMemoryError e) { // the JDK's word for "no thread"
      failed(start, MAX_WAITING + " others wait, or there is no thread");
    }
  }

  private void write(ContainerStart start) {
    try {
      if (images.claimComment(slurm.job(start.job()), start.asked(), start.image())) {
        add(start, slurm.commentField().orElseThrow());
      }
    } catch (StoreException | IOException | RuntimeException e) {
      failed(start, String.valueOf(e.getMessage()));
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  private void add(ContainerStart start, String field)
      throws StoreException, IOException, InterruptedException {
    long job = start.job().job();
    Optional<String> there = slurm.comment(job);
    if (there.isPresent() && !ImageUse.isText(there.get())) {
      throw new IOException("its " + field + " is somebody else's");
    }
    String added = start.use(node()).text();
    String text = there.map(earlier -> earlier + ";" + added).orElse(added);
    if (text.length() > MAX_CHARS) {
      throw new IOException("its " + field + " is full");
    }
    slurm.setComment(job, field, text);
  }

  private static String node() throws IOException {
    String name = Files.readString(Path.of("/proc/sys/kernel/hostname")).strip();
    return name.replaceFirst("\\..*", "");
  }

  private static void failed(ContainerStart start, String cause) {
    ContainerStart.image(start.job().on(Event.COMMENT_FAILED, log), start.asked(), start.image())
        .addKeyValue("cause", cause)
        .log();
  }
}
