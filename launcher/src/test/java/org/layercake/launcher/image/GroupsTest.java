package org.layercake.launcher.image;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;
import org.layercake.store.StoreException;

class GroupsTest {
  @Test
  void rulesAboutGroupsDoNotGoByAnAnswerThatNobodyGave() throws Exception {
    Groups unknown = new Groups("nobody-has-this-name");
    unknown.requireKnown(); // not asked
    assertFalse(unknown.contain("root"));
    StoreException failure = assertThrows(StoreException.class, unknown::requireKnown);
    assertEquals(StoreException.Kind.UNAVAILABLE, failure.kind());
    Groups known = new Groups("root");
    assertTrue(known.contain("root"));
    known.requireKnown();
  }
}
