package org.layercake.launcher.job;

import java.util.Optional;
import org.layercake.launcher.image.Groups;
import org.layercake.launcher.node.Abort;
import org.layercake.launcher.node.Event;
import org.layercake.policy.DefaultImage;
import org.layercake.policy.HostTask;
import org.layercake.policy.Policy;
import org.layercake.policy.PolicyFile;
import org.layercake.policy.Rule;
import org.layercake.policy.Wish;
import org.layercake.store.ExitCode;
import org.layercake.store.ImageName;
import org.layercake.store.StoreException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * What the site's rules say of tasks that name no image. May ask Slurm, and so take some seconds.
 */
final class TaskRules {
  private static final Logger log = LoggerFactory.getLogger(TaskRules.class);

  private final PolicyFile file;
  private final Slurm slurm;

  TaskRules(PolicyFile file, Slurm slurm) {
    this.file = file;
    this.slurm = slurm;
  }

  /**
   * The spec of the image that a job has by default, with all that is asked for beside one; empty
   * when there is none, and nothing asked for needs one.
   */
  String complete(JobKey job, String spec) throws Abort {
    try {
      Optional<DefaultImage> line = line(file.policy(), job);
      Optional<ImageName> image = line.flatMap(DefaultImage::image);
      if (image.isPresent()) {
        job.on(Event.DEFAULT, log)
            .addKeyValue("image", image.get())
            .addKeyValue("line", line.get().line())
            .log();
        boolean inside = line.get().batchInside();
        return SpecText.merge(SpecText.of(image.get().toString(), inside), spec);
      }
      SpecText.require(spec);
    } catch (StoreException e) {
      throw Abort.of(e);
    }
    if (SpecText.needsImage(spec)) {
      throw new Abort(
          ExitCode.REQUEST,
          "a container was asked for, but no image is named, and this job has none by default (add"
              + " --ch-image=NAME)");
    }
    return "";
  }

  private Optional<DefaultImage> line(Policy policy, JobKey job) throws StoreException, Abort {
    if (policy.defaults().isEmpty()) {
      return Optional.empty(); // nobody has to be asked
    }
    String user = Container.userOf(job).name();
    Groups groups = new Groups(user);
    Optional<DefaultImage> line = policy.defaultImage(wish(job, user, groups));
    groups.requireKnown();
    return line;
  }

  /** Refuses a task that is not to be on the host. */
  void requireHost(JobKey job, HostTask task) throws Abort {
    try {
      Policy policy = file.policy();
      if (policy.rules().stream().allMatch(rule -> rule.host().isEmpty())) {
        return; // nobody has to be asked
      }
      String user = Container.userOf(job).name();
      Groups groups = new Groups(user);
      Optional<Rule> rule = policy.onHost(wish(job, user, groups), task);
      groups.requireKnown();
      if (rule.isPresent() && !rule.get().allows()) {
        throw new StoreException(
            StoreException.Kind.DENIED,
            "cannot run " + task.title() + " on the host: " + policy.refusal(rule.get()));
      }
    } catch (StoreException e) {
      throw Abort.of(e);
    }
  }

  private Wish wish(JobKey job, String user, Groups groups) {
    return Wish.withoutImage(user, groups::contain, new JobFacts(slurm, job.job()));
  }
}
