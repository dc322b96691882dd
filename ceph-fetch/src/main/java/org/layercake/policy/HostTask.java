package org.layercake.policy;

import java.util.Locale;

/** What of a job can be on the host, and not in a container; by the words that rules have. */
public enum HostTask {
  STEP("this step"),
  BATCH("this batch script"),
  SHELL("this shell"),
  SSH("this session");

  private final String title;

  HostTask(String title) {
    this.title = title;
  }

  /** As rules name it. */
  public String word() {
    return name().toLowerCase(Locale.ROOT);
  }

  /** As its user is told of it. */
  public String title() {
    return title;
  }
}
