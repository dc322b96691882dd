package org.layercake.launcher.job;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.Predicate;
import org.layercake.launcher.device.DeviceName;
import org.layercake.launcher.edit.Given;
import org.layercake.launcher.image.Images;
import org.layercake.launcher.node.Abort;
import org.layercake.launcher.profile.ProfileChange;
import org.layercake.launcher.profile.Profiles;
import org.layercake.policy.Policy;
import org.layercake.policy.PolicyFile;
import org.layercake.policy.Rule;
import org.layercake.policy.Wish;
import org.layercake.store.Image;
import org.layercake.store.StoreException;

/** Asks the site's rules about one container, and finds what its profiles add to it. */
final class Admission implements Images.Admission {
  private final PolicyFile file;
  private final Profiles profiles;
  private final JobFacts job;
  private final String user;
  private final Spec spec;
  private volatile List<String> mountRules = List.of();
  private volatile Given given = Given.NOTHING;

  Admission(PolicyFile file, Profiles profiles, JobFacts job, String user, Spec spec) {
    this.file = file;
    this.profiles = profiles;
    this.job = job;
    this.user = user;
    this.spec = spec;
  }

  @Override
  public void require(Image image, boolean runs, Predicate<String> inGroup)
      throws StoreException, Abort {
    Policy policy = file.policy();
    Wish wish =
        new Wish(
            user,
            inGroup,
            job,
            Wish.ImageFacts.of(image),
            spec.root(),
            spec.isWritable(),
            spec.devices().stream().map(DeviceName::toString).toList(),
            spec.profiles().stream()
                .filter(ProfileChange::added)
                .map(ProfileChange::name)
                .toList());
    Optional<Rule> rule = policy.onContainer(wish);
    if (rule.isPresent() && !rule.get().allows()) {
      throw new StoreException(
          StoreException.Kind.DENIED,
          (runs ? "cannot start " : "cannot mount ")
              + image.name()
              + ": "
              + policy.refusal(rule.get()));
    }
    if (runs) {
      noteMountRules(policy, wish);
      job.setLabels(image.manifest().config().run().labels());
      given = profiles.of(spec.profiles(), spec.devices(), job);
    }
  }

  private void noteMountRules(Policy policy, Wish wish) throws StoreException {
    List<String> rules = new ArrayList<>();
    for (Rule onMounts : policy.onMounts(wish)) {
      rules.add(argument(policy, onMounts));
    }
    mountRules = List.copyOf(rules);
  }

  /** For the holder, which knows what the user's mounts lead to; see holder/rules.h. */
  List<String> mountRules() {
    return mountRules;
  }

  /** What the container gets beside its image; known before that is fetched. */
  Given given() {
    return given;
  }

  private static String argument(Policy policy, Rule rule) {
    Rule.MountPaths mounts = rule.mounts().orElseThrow();
    List<String> fields = new ArrayList<>();
    fields.add((rule.allows() ? "allow" : "deny") + (mounts.others() ? "-others" : ""));
    fields.add(Spec.encode(Spec.bytes(policy.refusal(rule))));
    mounts.paths().forEach(path -> fields.add(Spec.encode(path)));
    return String.join(":", fields);
  }
}
