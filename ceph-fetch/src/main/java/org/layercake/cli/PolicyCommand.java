package org.layercake.cli;

import static org.layercake.store.StoreException.Kind.DENIED;

import com.fasterxml.jackson.core.JsonGenerator;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Callable;
import org.layercake.policy.DefaultImage;
import org.layercake.policy.HostTask;
import org.layercake.policy.Policy;
import org.layercake.policy.PolicyFile;
import org.layercake.policy.Rule;
import org.layercake.policy.Wish;
import org.layercake.store.Image;
import org.layercake.store.ImageName;
import org.layercake.store.ImageStore;
import org.layercake.store.StoreException;
import picocli.CommandLine.Command;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.TypeConversionException;

@Command(
    name = "policy",
    mixinStandardHelpOptions = true,
    description = {
      "Checks the site's rules, and shows what they decide.",
      "",
      "\"layercake policy check\" reads the file and prints how many rules it has, or what is"
          + " wrong with it. With --image it prints what the rules decide about that image, for"
          + " the job, the user and the container that the other options describe, and which rule"
          + " decides. With --host it does the same for a task on the host. With neither, but with"
          + " any of --partition, --account, --user and --group, it prints the image in which such"
          + " a job runs if it names none, and which of its tasks may run on the host. Values that"
          + " the options leave out are empty. Mounts are taken as they are written; on a node,"
          + " links in them are followed."
    },
    exitCodeListHeading = "%nExit codes beside those of layercake(1):%n",
    exitCodeList = {"77:the rules refuse it", "78:the file is wrong"},
    footerHeading = "%nExamples:%n",
    footer = {
      "  layercake policy check",
      "  layercake policy check --file draft --partition gpu --user alice --image site/cuda:12",
      "  layercake policy check --partition bio --host batch"
    })
final class PolicyCommand extends StoreCommand implements Callable<Integer> {
  /** What can be done with the rules. */
  enum Act {
    CHECK,
    /** What the plugin asks before a job is queued: what is refused wherever the job will run. */
    EARLY
  }

  @Parameters(index = "0", paramLabel = "check", description = "What to do.")
  private Act act;

  @Option(
      names = "--file",
      paramLabel = "FILE",
      description = "Read this file instead of /etc/layercake/policy; it need not belong to root.")
  private Path file;

  @Option(
      names = "--image",
      paramLabel = "IMAGE",
      converter = NameConverter.class,
      description = "The image to run.")
  private ImageName image;

  @Option(
      names = "--host",
      paramLabel = "TASK",
      converter = TaskConverter.class,
      description = "The task on the host: step, batch (a script), shell or ssh.")
  private HostTask task;

  @Option(names = "--user", paramLabel = "USER", description = "The user; default: you.")
  private String user;

  @Option(names = "--group", paramLabel = "GROUP", split = ",", description = "The user's groups.")
  private List<String> groups = List.of();

  @Option(
      names = "--partition",
      paramLabel = "PARTITION",
      defaultValue = "",
      description = "The job's partition.")
  private String partition;

  @Option(
      names = "--account",
      paramLabel = "ACCOUNT",
      defaultValue = "",
      description = "The job's account.")
  private String account;

  @Option(names = "--root", description = "As with --ch-root.")
  private boolean root;

  @Option(names = "--writable", description = "As with --ch-writable.")
  private boolean writable;

  @Option(
      names = "--device",
      paramLabel = "DEVICE",
      split = ",",
      description = "As with --ch-device.")
  private List<String> devices = List.of();

  @Option(
      names = "--profile",
      paramLabel = "NAME",
      split = ",",
      description = "A profile that --ch-profile=+NAME adds.")
  private List<String> profiles = List.of();

  @Option(names = "--mount", paramLabel = "SOURCE", description = "A source of --ch-mount.")
  private List<String> mounts = List.of();

  @Override
  public Integer call() throws Exception {
    return switch (act) {
      case CHECK -> check();
      case EARLY -> early();
    };
  }

  /** Takes the words that rules have. */
  static final class TaskConverter implements ITypeConverter<HostTask> {
    @Override
    public HostTask convert(String word) {
      return Arrays.stream(HostTask.values())
          .filter(task -> task.word().equals(word))
          .findFirst()
          .orElseThrow(
              () ->
                  new TypeConversionException(
                      "\"" + word + "\" is none of step, batch, shell and ssh"));
    }
  }

  private Policy policy() throws StoreException {
    return file == null
        ? PolicyFile.ofSite(PolicyFile.DEFAULT).policy()
        : PolicyFile.draft(file).policy();
  }

  private int check() throws StoreException {
    Policy policy = policy();
    boolean ofJob = image == null && task == null && describesJob();
    List<Decision> decisions = ofJob ? ofTasks(policy) : decisions(policy);
    Optional<DefaultImage> none = ofJob ? policy.defaultImage(wishOfTask()) : Optional.empty();
    int rules = policy.rules().size() + policy.defaults().size();
    answer(
        out -> {
          out.writeNumberField("rules", rules);
          if (ofJob) {
            out.writeStringField("default", image(none));
            out.writeBooleanField("batchInside", none.map(DefaultImage::batchInside).orElse(false));
          }
          Json.list(out, "decisions", decisions, PolicyCommand::write);
        },
        out -> {
          out.println(
              policy.file().isEmpty()
                  ? "there are no rules: everything is allowed"
                  : "\"" + policy.file() + "\" is good: " + rules + " rules");
          if (ofJob) {
            out.println(line(policy, none));
          }
          decisions.forEach(one -> out.println(one.line()));
        });
    return ofJob || decisions.stream().allMatch(Decision::allowed) ? 0 : DENIED.exitCode();
  }

  private boolean describesJob() {
    return user != null || !groups.isEmpty() || !partition.isEmpty() || !account.isEmpty();
  }

  private static String image(Optional<DefaultImage> line) {
    return line.flatMap(DefaultImage::image).map(ImageName::toString).orElse("");
  }

  private static String line(Policy policy, Optional<DefaultImage> line) {
    String image = image(line);
    return "without --ch-image: "
        + (image.isEmpty() ? "no image" : image)
        + (line.isPresent() && !image.isEmpty() && line.get().batchInside()
            ? ", batch scripts inside"
            : "")
        + line.map(policy::place).map(place -> ", by " + place).orElse("");
  }

  /** Says nothing, or what refuses. */
  private int early() throws StoreException {
    Policy policy = policy();
    if (image != null) {
      Image found;
      try {
        found = found();
      } catch (StoreException e) {
        if (e.kind() == DENIED) {
          return 0; // the launcher's key reads what the user's does not
        }
        throw e;
      }
      Wish wish = wish(Wish.ImageFacts.of(found));
      refuse(policy, "start " + found.name(), policy.anyhowRefusing(wish));
    }
    if (task != null) {
      String what = "run " + task.title() + " on the host";
      refuse(policy, what, policy.anyhowRefusing(wishOfTask(), task));
    }
    return 0;
  }

  private static void refuse(Policy policy, String what, Optional<Rule> rule)
      throws StoreException {
    if (rule.isPresent()) {
      throw new StoreException(DENIED, "cannot " + what + ": " + policy.refusal(rule.get()));
    }
  }

  /**
   * What is decided about an image or a mount.
   *
   * @param rule where it stands; empty when none is about it
   */
  private record Decision(String what, boolean allowed, String rule) {
    String line() {
      return what
          + ": "
          + (allowed ? "allowed" : "refused")
          + (rule.isEmpty() ? ", since no rule is about it" : " by " + rule);
    }
  }

  private static void write(JsonGenerator out, Decision decision) throws IOException {
    out.writeStartObject();
    out.writeStringField("what", decision.what());
    out.writeBooleanField("allowed", decision.allowed());
    out.writeStringField("rule", decision.rule());
    out.writeEndObject();
  }

  private String asker() {
    return user == null ? user() : user;
  }

  private Wish wish(Wish.ImageFacts facts) {
    Wish.Place place = new Wish.Place(partition, account);
    return new Wish(
        asker(), groups::contains, () -> place, facts, root, writable, devices, profiles);
  }

  private Wish wishOfTask() {
    Wish.Place place = new Wish.Place(partition, account);
    return Wish.withoutImage(asker(), groups::contains, () -> place);
  }

  private List<Decision> ofTasks(Policy policy) throws StoreException {
    List<Decision> decisions = new ArrayList<>();
    for (HostTask each : HostTask.values()) {
      decisions.add(ofTask(policy, each));
    }
    return decisions;
  }

  private Decision ofTask(Policy policy, HostTask each) throws StoreException {
    return decision(policy, each.word() + " on the host", policy.onHost(wishOfTask(), each));
  }

  private List<Decision> decisions(Policy policy) throws StoreException {
    List<Decision> decisions = new ArrayList<>();
    if (task != null) {
      decisions.add(ofTask(policy, task));
    }
    if (image == null) {
      return decisions;
    }
    Wish wish = wish(facts(policy));
    decisions.add(decision(policy, image.toString(), policy.onContainer(wish)));
    List<Rule> onMounts = policy.onMounts(wish);
    for (String mount : mounts) {
      Optional<Rule> rule = onMounts.stream().filter(r -> r.isAbout(mount)).findFirst();
      decisions.add(decision(policy, mount, rule));
    }
    return decisions;
  }

  /** What a rule may ask of the image. The store is asked only for what it alone knows. */
  private Wish.ImageFacts facts(Policy policy) throws StoreException {
    if (policy.asksOfImages() || image.owner().isEmpty()) {
      return Wish.ImageFacts.of(found());
    }
    return new Wish.ImageFacts(
        image.owner().orElseThrow(),
        image.digest().isPresent() ? Optional.empty() : Optional.of(image.tagged()),
        "",
        0,
        Collections.emptySortedMap());
  }

  private Image found() throws StoreException {
    try (ImageStore store = openStore()) {
      return store.resolve(image, asker());
    }
  }

  private static Decision decision(Policy policy, String what, Optional<Rule> rule) {
    boolean allowed = rule.map(Rule::allows).orElse(true);
    return new Decision(what, allowed, rule.map(policy::place).orElse(""));
  }
}
