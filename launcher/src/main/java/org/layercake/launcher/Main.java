package org.layercake.launcher;

import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalInt;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import org.layercake.launcher.image.Images;
import org.layercake.launcher.job.Jobs;
import org.layercake.launcher.job.Slurm;
import org.layercake.launcher.node.Abort;
import org.layercake.launcher.node.Event;
import org.layercake.policy.Policy;
import org.layercake.policy.PolicyFile;
import org.layercake.store.ExitCode;
import org.layercake.store.ImageStore;
import org.layercake.store.StoreConfig;
import org.layercake.store.StoreException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The node's launcher: {@code layercake-launcher [CONFIG_FILE]}, in the foreground, as root.
 *
 * <p>With {@code --check} before it only says whether it could use the file and its store; with
 * {@code status [--json|--metrics]} it asks the launcher that runs.
 */
public final class Main {
  private static final Logger log = LoggerFactory.getLogger(Main.class);
  private static final String DEFAULT_CONFIG = "/etc/layercake/launcher.conf";
  private static final String CHECK = "--check";
  private static final String STATUS = "status";

  private Main() {}

  public static void main(String[] args) {
    try {
      if (args.length > 0 && args[0].equals(CHECK)) {
        check(Path.of(args.length > 1 ? args[1] : DEFAULT_CONFIG));
      } else if (args.length > 0 && args[0].equals(STATUS)) {
        status(List.of(args).subList(1, args.length));
      } else {
        run(Path.of(args.length > 0 ? args[0] : DEFAULT_CONFIG));
      }
    } catch (Abort e) {
      fail(e.exitCode(), e.getMessage());
    } catch (Exception | Error e) {
      Event.FAILURE.on(log).setCause(e).log();
      fail(ExitCode.INTERNAL, String.valueOf(e.getMessage()));
    }
  }

  /** Says a line for each of the two, at once: layercake-check reads them. */
  private static void check(Path configFile) throws Abort {
    Config read = Config.read(configFile);
    StoreConfig config = read.images().store();
    try {
      Policy unused = read.jobs().policy().policy();
    } catch (StoreException e) {
      throw Abort.of(e);
    }
    read.jobs().profiles().requireGood();
    System.out.println("\"" + configFile + "\" is good");
    try (ImageStore store = ImageStore.open(config)) {
      store.probeForLauncher();
    } catch (StoreException e) {
      throw Abort.of(e);
    }
    System.out.println(config.place() + " answers");
  }

  private static void status(List<String> words) throws Abort {
    List<String> rest = new ArrayList<>(words);
    StatusReport.Form form = StatusReport.Form.TEXT;
    if (!rest.isEmpty() && rest.get(0).startsWith("--")) {
      form = StatusCommand.form(rest.remove(0));
    }
    Path configFile = Path.of(rest.isEmpty() ? DEFAULT_CONFIG : rest.get(0));
    System.out.print(StatusCommand.ask(Config.read(configFile).socket(), form));
  }

  private static void run(Path configFile) throws Exception {
    Config config = Config.read(configFile);
    EventLayout.useJson(config.jsonLog());
    Files.createDirectories(config.runDirectory());
    FileChannel lock = lock(config.lock());
    try (lock) {
      runAlone(config);
    }
  }

  /** Keeps a second launcher out until the channel is closed. */
  private static FileChannel lock(Path path) throws Exception {
    FileChannel channel =
        FileChannel.open(path, StandardOpenOption.CREATE, StandardOpenOption.WRITE);
    if (channel.tryLock() == null) {
      channel.close();
      throw new Abort(
          ExitCode.UNAVAILABLE, "another launcher runs on this node (it holds \"" + path + "\")");
    }
    return channel;
  }

  private static void runAlone(Config config) throws Exception {
    ExecutorService workers = workers();
    CountDownLatch stopped = new CountDownLatch(1);
    Systemd systemd = new Systemd(System.getenv());
    Slurm slurm = new Slurm(config.scontrol(), config.commentField());
    OptionalInt given = systemd.listeningSocket();
    try (Images images = new Images(config.images())) {
      Jobs jobs = new Jobs(config.jobs(), images, slurm, workers);
      // Clients may come now, and wait in the kernel's queue until all of the last launcher's is
      // known.
      try (Server server = new Server(config.socket(), jobs, given)) {
        jobs.recover();
        Runtime.getRuntime().addShutdownHook(new Thread(() -> stop(server, stopped), "stop"));
        Event.START.on(log).addKeyValue("socket", config.socket()).log();
        reportPolicy(config.jobs().policy());
        config.jobs().profiles().report();
        workers.execute(slurm::reportProctrack);
        config
            .metricsFile()
            .ifPresent(file -> new MetricsFile(file, () -> Metrics.of(jobs.status())).keep());
        systemd.ready();
        server.serve();
        systemd.stopping();
      } // first of all hangs up on those who wait: what fails from now on is no failure of theirs
    } finally {
      workers.shutdownNow();
      workers.awaitTermination(1, TimeUnit.SECONDS);
      Event.STOP.on(log).log();
      stopped.countDown();
    }
  }

  /** A broken file refuses all containers: an administrator is to see it before users do. */
  private static void reportPolicy(PolicyFile policy) {
    try {
      Policy read = policy.policy();
      Event.POLICY
          .on(log)
          .addKeyValue("file", read.file())
          .addKeyValue("rules", read.rules().size())
          .log();
    } catch (StoreException e) {
      Event.POLICY_BROKEN.on(log).addKeyValue("cause", e.getMessage()).log();
    }
  }

  /** On SIGTERM: ends {@link Server#serve}, then waits until {@link #runAlone} has unwound. */
  private static void stop(Server server, CountDownLatch stopped) {
    server.stopAccepting();
    try {
      stopped.await(10, TimeUnit.SECONDS);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  private static ExecutorService workers() {
    AtomicLong number = new AtomicLong();
    return Executors.newCachedThreadPool(
        task -> {
          Thread thread = new Thread(task, "worker-" + number.incrementAndGet());
          thread.setDaemon(true);
          thread.setUncaughtExceptionHandler(
              (self, failure) ->
                  Event.TASK_FAILED
                      .on(log)
                      .addKeyValue("thread", self.getName())
                      .setCause(failure)
                      .log());
          return thread;
        });
  }

  private static void fail(int exitCode, String message) {
    System.err.println("layercake-launcher: " + message);
    System.exit(exitCode);
  }
}
