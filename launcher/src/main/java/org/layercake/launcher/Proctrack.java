package org.layercake.launcher;

import java.io.IOException;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Who ends a job's holders. With proctrack/cgroup Slurm ends all that is in the job's cgroup. With
 * proctrack/linuxproc it knows only slurmstepd's own children, slurm.conf(5), and only we end
 * holders: at the epilog, or when a launcher that missed it starts. What we do is the same in both
 * cases; the administrator is told which it is.
 */
final class Proctrack {
  private static final Logger log = LoggerFactory.getLogger(Proctrack.class);
  private static final long TIMEOUT_SECONDS = 30;
  private static final Pattern TYPE = Pattern.compile("(?m)^ProctrackType\\s*=\\s*(\\S+)");

  private Proctrack() {}

  /** Asks Slurm and logs the answer. */
  static void report() {
    try {
      String output = Program.answer(TIMEOUT_SECONDS, "scontrol", "show", "config");
      String type = type(output);
      log.info("event=proctrack type={} holders-ended-by={}", type, endsHolders(type));
    } catch (IOException e) {
      log.info("event=proctrack type=unknown cause={}", e.getMessage());
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  /** The value of ProctrackType in what {@code scontrol show config} prints. */
  private static String type(String config) {
    Matcher matcher = TYPE.matcher(config);
    return matcher.find() ? matcher.group(1) : "unknown";
  }

  private static String endsHolders(String type) {
    return switch (type) {
      case "proctrack/cgroup" -> "slurm";
      case "unknown" -> "unknown";
      default -> "launcher";
    };
  }
}
