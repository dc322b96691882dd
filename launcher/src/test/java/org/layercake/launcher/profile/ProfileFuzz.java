package org.layercake.launcher.profile;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.layercake.launcher.edit.Mount;
import org.layercake.launcher.edit.Origin;

/** The text of a profile. Nothing of the node is looked at. */
public final class ProfileFuzz {
  private static final Origin ORIGIN = new Origin("profile \"x\"", "correct it");

  private ProfileFuzz() {}

  public static void fuzzerTestOneInput(byte[] data) {
    Profile profile = ProfileText.parse("x", ORIGIN, new String(data, UTF_8));
    if (profile.isBroken()) {
      assertFalse(profile.fault().isBlank(), "a failure without a reason");
      assertTrue(profile.required() && profile.items().isEmpty(), "half a profile");
      return;
    }
    int items =
        profile.items().size()
            + profile.environment().size()
            + profile.devices().size()
            + profile.users().size();
    assertTrue(items <= 512, items + " items");
    for (MountItem item : profile.items()) {
      assertTrue((item.image() == null) != (item.source() == null), "neither path nor image");
      String place = item.destination().isEmpty() ? item.source().text() : item.destination();
      assertTrue(Mount.isPath(place) && !place.matches("/+"), "a mount on " + place);
      assertTrue(
          item.source() == null || !item.source().text().matches("/[^/]*\\*.*|.*/\\*+/*"),
          "all that there is: " + item.source());
    }
    profile
        .environment()
        .forEach(
            v -> assertTrue(v.name().matches("(?!LAYERCAKE_)[A-Za-z_][A-Za-z0-9_]*"), v.name()));
  }
}
