package org.layercake.launcher.profile;

import java.io.IOException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.layercake.launcher.device.Devices;
import org.layercake.launcher.edit.Edits;
import org.layercake.launcher.edit.Mount;
import org.layercake.launcher.edit.Origin;
import org.layercake.launcher.edit.Variable;

/**
 * What the site gives to some containers.
 *
 * @param when to which
 * @param required whether users cannot do without
 * @param fixed mounts that are known without looking at the node
 * @param fault why the file cannot be used; empty when it can
 */
record Profile(
    String name,
    When when,
    boolean required,
    List<Mount> fixed,
    List<MountItem> items,
    List<Variable> environment,
    List<Devices.Wanted> devices,
    List<String> users,
    Origin origin,
    String fault) {

  /** What the launcher's own settings give to every container. */
  static Profile always(List<Mount> mounts, List<Devices.Wanted> devices) {
    return new Profile(
        "always",
        When.ALWAYS,
        true,
        List.copyOf(mounts),
        List.of(),
        List.of(),
        List.copyOf(devices),
        List.of(),
        new Origin("the launcher's settings", "correct them"),
        "");
  }

  /** A file that cannot be used, for all to whom it might have said something. */
  static Profile broken(String name, When when, Origin origin, String fault) {
    return new Profile(
        name, when, true, List.of(), List.of(), List.of(), List.of(), List.of(), origin, fault);
  }

  boolean isBroken() {
    return !fault.isEmpty();
  }

  /**
   * What it is on this node, but for its devices.
   *
   * @throws IllegalArgumentException when a pattern means too much
   */
  Edits edits() throws IOException {
    Map<String, Mount> mounts = new LinkedHashMap<>();
    List<Mount> all = new ArrayList<>(fixed);
    for (MountItem item : items) {
      all.addAll(item.mounts(origin));
    }
    all.forEach(mount -> mounts.put(mount.destination(), mount));
    return new Edits(environment, List.copyOf(mounts.values()), Map.of(), users);
  }
}
