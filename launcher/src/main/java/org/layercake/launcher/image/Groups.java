package org.layercake.launcher.image;

import java.io.IOException;
import java.util.List;
import java.util.Set;
import org.layercake.launcher.node.Event;
import org.layercake.launcher.node.Program;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** The groups of a user, as the node's name service knows them; asked once, when first needed. */
public final class Groups {
  private static final Logger log = LoggerFactory.getLogger(Groups.class);
  private static final long TIMEOUT_SECONDS = 10;

  private final String user;
  private Set<String> names;

  public Groups(String user) {
    this.user = user;
  }

  /** Whether the user is in the group; in none when the name service does not answer. */
  public boolean contain(String group) {
    if (names == null) {
      names = ask();
    }
    return names.contains(group);
  }

  private Set<String> ask() {
    try {
      String groups = Program.answer(TIMEOUT_SECONDS, "", "id", "-Gnz", "--", user).stdout();
      return Set.copyOf(List.of(groups.split("\0")));
    } catch (IOException e) {
      Event.GROUPS_UNKNOWN
          .on(log)
          .addKeyValue("user", user)
          .addKeyValue("cause", e.getMessage())
          .log();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
    return Set.of();
  }
}
