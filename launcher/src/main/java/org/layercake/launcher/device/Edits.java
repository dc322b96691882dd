package org.layercake.launcher.device;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * What a container needs for its devices.
 *
 * @param environment {@code NAME=VALUE} each
 * @param mounts files and directories of the node, and where the container shows them
 * @param links names that lead to others, both inside the container: a target is absolute or from
 *     the directory of its link
 */
record Edits(List<String> environment, List<Given.Mount> mounts, Map<String, String> links) {
  static final Edits NONE = new Edits(List.of(), List.of(), Map.of());

  /** These and others, which hold where both say something. */
  Edits and(Edits others) {
    Map<String, Given.Mount> all = new LinkedHashMap<>();
    mounts.forEach(mount -> all.put(mount.destination(), mount));
    others.mounts.forEach(mount -> all.put(mount.destination(), mount));
    Map<String, String> allLinks = new LinkedHashMap<>(links);
    allLinks.putAll(others.links);
    List<String> variables = new ArrayList<>(environment);
    variables.addAll(others.environment);
    return new Edits(List.copyOf(variables), List.copyOf(all.values()), Map.copyOf(allLinks));
  }
}
