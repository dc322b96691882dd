package org.layercake.launcher.job;

import java.util.Map;
import java.util.Set;
import org.layercake.launcher.profile.Facts;
import org.layercake.policy.Wish;
import org.layercake.store.StoreException;

/** What rules and profiles may ask of one job. Slurm is asked once, and only if they do. */
final class JobFacts implements Wish.Job, Facts {
  private final Slurm slurm;
  private final long job;
  private Slurm.Allocation allocation; // once asked for
  private Map<String, String> labels = Map.of();

  JobFacts(Slurm slurm, long job) {
    this.slurm = slurm;
    this.job = job;
  }

  private Slurm.Allocation allocation() throws StoreException {
    if (allocation == null) {
      allocation = slurm.allocation(job);
    }
    return allocation;
  }

  /** Notes what the image says that is to run. */
  void setLabels(Map<String, String> labels) {
    this.labels = labels;
  }

  @Override
  public Wish.Place place() throws StoreException {
    return allocation().place();
  }

  @Override
  public String partition() throws StoreException {
    return allocation().place().partition();
  }

  @Override
  public Set<String> gres() throws StoreException {
    return allocation().gres();
  }

  @Override
  public Map<String, String> labels() {
    return labels;
  }
}
