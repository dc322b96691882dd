package org.layercake.launcher.image;

import java.io.IOException;
import java.util.List;
import java.util.Set;
import org.layercake.launcher.node.Event;
import org.layercake.launcher.node.Program;
import org.layercake.store.StoreException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** The groups of a user, as the node's name service knows them; asked once, when first needed. */
public final class Groups {
  private static final Logger log = LoggerFactory.getLogger(Groups.class);
  private static final long TIMEOUT_SECONDS = 10;

  private final String user;
  private Set<String> names;
  private boolean areUnknown; // the name service was asked, and did not answer

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

  /**
   * To be called when rules have been asked: one that denies something to a group must not be lost
   * because nobody knows who is in it.
   */
  public void requireKnown() throws StoreException {
    if (areUnknown) {
      throw new StoreException(
          StoreException.Kind.UNAVAILABLE,
          "cannot learn the groups of \""
              + user
              + "\" on this node, which the site's rules name (try again, or tell the site: see id "
              + user
              + ")");
    }
  }

  private Set<String> ask() {
    areUnknown = true;
    try {
      Program.Answer answer = Program.answer(TIMEOUT_SECONDS, "", "id", "-Gnz", "--", user);
      if (answer.stdout().isEmpty()) {
        throw new IOException(answer.lastWords());
      }
      areUnknown = false; // also where one of them has no name
      return Set.copyOf(List.of(answer.stdout().split("\0")));
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
