package org.layercake.launcher.edit;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * What a container is to have beside its image.
 *
 * @param environment in the order in which it is changed
 * @param mounts files, directories and images, and where the container shows them
 * @param links names that lead to others, both inside the container: a target is absolute or from
 *     the directory of its link
 * @param users names of the node's that the container knows, too
 */
public record Edits(
    List<Variable> environment, List<Mount> mounts, Map<String, String> links, List<String> users) {
  public static final Edits NONE = new Edits(List.of(), List.of(), Map.of(), List.of());

  /** These and others, which hold where both say something. */
  public Edits and(Edits others) {
    if (others.equals(NONE)) {
      return this;
    }
    Map<String, Mount> all = new LinkedHashMap<>();
    mounts.forEach(mount -> all.put(mount.destination(), mount));
    others.mounts.forEach(mount -> all.put(mount.destination(), mount));
    Map<String, String> allLinks = new LinkedHashMap<>(links);
    allLinks.putAll(others.links);
    List<Variable> variables = new ArrayList<>(environment);
    variables.addAll(others.environment);
    Set<String> allUsers = new LinkedHashSet<>(users);
    allUsers.addAll(others.users);
    return new Edits(
        List.copyOf(variables),
        List.copyOf(all.values()),
        Map.copyOf(allLinks),
        List.copyOf(allUsers));
  }
}
