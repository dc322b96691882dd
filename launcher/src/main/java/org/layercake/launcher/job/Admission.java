package org.layercake.launcher.job;

import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static java.nio.charset.StandardCharsets.UTF_8;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.Predicate;
import org.layercake.launcher.device.DeviceName;
import org.layercake.launcher.image.Images;
import org.layercake.policy.Policy;
import org.layercake.policy.PolicyFile;
import org.layercake.policy.Rule;
import org.layercake.policy.Wish;
import org.layercake.store.Image;
import org.layercake.store.StoreException;

/** Asks the site's rules about one container. */
final class Admission implements Images.Admission {
  private final PolicyFile file;
  private final Slurm slurm;
  private final JobKey job;
  private final String user;
  private final Spec spec;
  private Wish.Place place; // once asked for
  private volatile List<String> mountRules = List.of();

  Admission(PolicyFile file, Slurm slurm, JobKey job, String user, Spec spec) {
    this.file = file;
    this.slurm = slurm;
    this.job = job;
    this.user = user;
    this.spec = spec;
  }

  @Override
  public void require(Image image, boolean runs, Predicate<String> inGroup) throws StoreException {
    Policy policy = file.policy();
    Wish wish =
        new Wish(
            user,
            inGroup,
            this::place,
            Wish.ImageFacts.of(image),
            spec.root(),
            spec.isWritable(),
            spec.devices().stream().map(DeviceName::toString).toList());
    Optional<Rule> rule = policy.onContainer(wish);
    if (rule.isPresent() && !rule.get().allows()) {
      throw new StoreException(
          StoreException.Kind.DENIED,
          (runs ? "cannot start " : "cannot mount ")
              + image.name()
              + ": "
              + refusal(policy, rule.get()));
    }
    if (runs) {
      noteMountRules(policy, wish);
    }
  }

  private void noteMountRules(Policy policy, Wish wish) throws StoreException {
    List<String> rules = new ArrayList<>();
    for (Rule onMounts : policy.onMounts(wish)) {
      rules.add(argument(policy, onMounts));
    }
    mountRules = List.copyOf(rules);
  }

  private static String refusal(Policy policy, Rule rule) {
    return "the site's rules do not allow it"
        + (rule.reason().isEmpty() ? "" : ": " + rule.reason())
        + " ("
        + policy.place(rule)
        + ")";
  }

  private Wish.Place place() throws StoreException {
    if (place == null) {
      place = slurm.place(job.job());
    }
    return place;
  }

  /** For the holder, which knows what the user's mounts lead to; see holder/rules.h. */
  List<String> mountRules() {
    return mountRules;
  }

  private static String argument(Policy policy, Rule rule) {
    Rule.MountPaths mounts = rule.mounts().orElseThrow();
    List<String> fields = new ArrayList<>();
    fields.add((rule.allows() ? "allow" : "deny") + (mounts.others() ? "-others" : ""));
    // Specs are bytes, one to a character.
    fields.add(Spec.encode(new String(refusal(policy, rule).getBytes(UTF_8), ISO_8859_1)));
    mounts.paths().forEach(path -> fields.add(Spec.encode(path)));
    return String.join(":", fields);
  }
}
