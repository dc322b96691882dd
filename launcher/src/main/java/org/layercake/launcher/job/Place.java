package org.layercake.launcher.job;

/**
 * Where an ssh session belongs.
 *
 * @param container null for the host
 * @param othersHave whether other jobs of the user here have containers
 */
public record Place(long job, Container container, boolean othersHave) {
  /** What the user might not expect; empty when there was no choice. */
  public String notice() {
    if (!othersHave) {
      return "";
    }
    return container == null
        ? "this session is in job "
            + job
            + ", which has no container (other jobs of yours on this node have)"
        : "this session is in job "
            + job
            + ", in "
            + container.spec().image()
            + " (other jobs of yours on this node have containers, too)";
  }
}
