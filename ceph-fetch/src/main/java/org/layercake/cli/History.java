package org.layercake.cli;

import static org.layercake.store.StoreException.Kind.INVALID;

import com.fasterxml.jackson.core.JsonGenerator;
import java.io.IOException;
import java.io.PrintStream;
import java.time.Instant;
import java.time.ZoneId;
import java.time.format.DateTimeFormatter;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.regex.Pattern;
import org.layercake.store.ImageName;
import org.layercake.store.ImageUse;
import org.layercake.store.StoreException;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

@Command(
    name = "history",
    mixinStandardHelpOptions = true,
    description = {
      "Lists what your jobs ran in, from Slurm's own records of them.",
      "",
      "READY is how long the container of the job's first node took, FETCHED how much of the image"
          + " that node had fetched from the store by then. DIGEST is the beginning of it; --json"
          + " says all of it, and \"srun --ch-image=IMAGE@DIGEST\" runs the same image again.",
      "",
      "Where Slurm keeps no records, only jobs are listed that it still remembers: for some minutes"
          + " after their end. Where the site does not have images noted, the list is empty."
    },
    footerHeading = "%nExamples:%n",
    footer = {
      "  layercake history",
      "  layercake history --job 4711 --json",
      "  layercake history --image deb:12 --since 2026-11-01"
    })
final class History extends StoreCommand implements Callable<Integer> {
  private static final Pattern JOB = Pattern.compile("[0-9]{1,10}([_+][0-9]{1,10})?");
  private static final Pattern TIME = Pattern.compile("[A-Za-z0-9:./+-]{1,40}");
  private static final DateTimeFormatter MINUTES =
      DateTimeFormatter.ofPattern("yyyy-MM-dd HH:mm").withZone(ZoneId.systemDefault());

  @Option(
      names = {"-j", "--job"},
      paramLabel = "JOB",
      description = "Only this job, as squeue names it.")
  private String job;

  @Option(
      names = "--image",
      paramLabel = "IMAGE",
      converter = NameConverter.class,
      description =
          "Only jobs that ran this: [OWNER/]NAME[:TAG][@sha256:HEX]; without OWNER anybody's.")
  private ImageName image;

  @Option(
      names = "--since",
      paramLabel = "TIME",
      description = "Jobs that ran since then, as sacct -S takes it. Default: now-7days.")
  private String since;

  @Option(
      names = {"-a", "--all"},
      description = "All users' jobs, as far as Slurm shows them to you. Default for root.")
  private boolean all;

  @Override
  public Integer call() throws Exception {
    requireForm("job", job, JOB);
    requireForm("time", since, TIME);
    boolean everybody = all || user().equals("root");
    List<SlurmJob> jobs = new SlurmHistory(job, since, everybody ? null : user()).jobs();
    List<Line> lines = new ArrayList<>();
    for (SlurmJob each : jobs) {
      ImageUse.parse(each.comment()).stream()
          .filter(this::isWanted)
          .forEach(use -> lines.add(new Line(each, use)));
    }
    answer(
        out -> Json.list(out, "starts", lines, History::write),
        out -> printTable(lines, everybody, out));
    return 0;
  }

  private record Line(SlurmJob job, ImageUse use) {}

  private static void requireForm(String what, String text, Pattern form) throws StoreException {
    if (text != null && !form.matcher(text).matches()) {
      throw new StoreException(
          INVALID, "cannot list history: \"" + text + "\" is not a " + what + " of Slurm's");
    }
  }

  private boolean isWanted(ImageUse use) {
    if (image == null) {
      return true;
    }
    String name = use.image().substring(use.image().indexOf('/') + 1);
    String owner = use.image().substring(0, use.image().length() - name.length());
    return image.owner().map(wanted -> owner.equals(wanted + "/")).orElse(true)
        && image.digest().map(wanted -> use.digest().equals(wanted.toString())).orElse(true)
        && (image.digest().isPresent() || name.equals(image.tagged()));
  }

  private static void printTable(List<Line> lines, boolean everybody, PrintStream out) {
    if (lines.isEmpty()) {
      return;
    }
    int width = lines.stream().mapToInt(line -> line.use.image().length()).max().orElse(0);
    int users = lines.stream().mapToInt(line -> line.job.user().length()).max().orElse(0);
    String form =
        "%-10s  "
            + (everybody ? "%-" + Math.max(users, "USER".length()) + "s  " : "%s")
            + "%-16s  %-10s  %-"
            + Math.max(width, "IMAGE".length())
            + "s  %-12s  %7s  %7s";
    out.println(
        form.formatted(
            "JOB",
            everybody ? "USER" : "",
            "STARTED",
            "STATE",
            "IMAGE",
            "DIGEST",
            "READY",
            "FETCHED"));
    for (Line line : lines) {
      out.println(
          form.formatted(
              line.job.id(),
              everybody ? line.job.user() : "",
              line.job.started().map(MINUTES::format).orElse("-"),
              line.job.state(),
              line.use.image(),
              line.use.digest().substring("sha256:".length()).substring(0, 12),
              "%.2f s".formatted(line.use.millis() / 1000.0),
              Sizes.human(line.use.fetched())));
    }
  }

  private static void write(JsonGenerator out, Line line) throws IOException {
    ImageUse use = line.use;
    out.writeStartObject();
    out.writeStringField("job", line.job.id());
    out.writeStringField("user", line.job.user());
    out.writeStringField("state", line.job.state());
    if (line.job.started().isPresent()) {
      Instant started = line.job.started().get();
      out.writeStringField("started", started.toString());
    }
    out.writeStringField("name", use.image());
    out.writeStringField("digest", use.digest());
    out.writeStringField("node", use.node());
    out.writeNumberField("millis", use.millis());
    out.writeNumberField("fetched", use.fetched());
    out.writeNumberField("copied", use.copied());
    out.writeNumberField("cached", use.cached());
    Json.texts(out, "devices", use.devices());
    out.writeEndObject();
  }
}
