package org.layercake.launcher.device;

import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.layercake.launcher.node.RootFile.UnusableException;

/**
 * What a runtime would run for a device, as root, when it makes a container. We run nothing of it:
 * links are made in our way, and what serves other runtimes' needs is left out. The names are those
 * of {@code nvidia-ctk hook} and {@code nvidia-cdi-hook}.
 */
final class Hook {
  private static final String LINKS = "create-symlinks";
  private static final String LINK = "--link";

  /**
   * Not needed: libraries are found by a directory of their own ({@link Libraries}), the devices'
   * modes are the node's, and CUDA's newer libraries in images are used by {@code LD_LIBRARY_PATH}.
   */
  private static final Set<String> IGNORED =
      Set.of(
          "update-ldcache",
          "create-soname-symlinks",
          "enable-cuda-compat",
          "disable-device-node-modification",
          "chmod");

  private Hook() {}

  /**
   * The links that a hook makes: their places, and where each leads.
   *
   * @throws UnusableException for a hook of which nobody knows what it does
   */
  static Map<String, String> links(String program, List<String> arguments)
      throws UnusableException {
    String act = act(arguments);
    if (IGNORED.contains(act)) {
      return Map.of();
    }
    if (!act.equals(LINKS)) {
      throw new UnusableException(
          "hook \"" + Path.of(program).getFileName() + " " + act + "\" is not known");
    }
    Map<String, String> links = new LinkedHashMap<>();
    for (int i = 0; i < arguments.size(); i++) {
      String argument = arguments.get(i);
      if (argument.equals(LINK) && i + 1 < arguments.size()) {
        add(links, arguments.get(++i));
      } else if (argument.startsWith(LINK + "=")) {
        add(links, argument.substring(LINK.length() + 1));
      }
    }
    return links;
  }

  /** Behind the program's name, and perhaps the word "hook". */
  private static String act(List<String> arguments) {
    int at = arguments.size() > 2 && arguments.get(1).equals("hook") ? 2 : 1;
    return at < arguments.size() ? arguments.get(at) : "";
  }

  private static void add(Map<String, String> links, String text) throws UnusableException {
    int colons = text.indexOf("::");
    if (colons <= 0 || text.indexOf('\0') >= 0) {
      throw new UnusableException("link \"" + text + "\" is not TARGET::LINK");
    }
    links.put(CdiSpec.path(text.substring(colons + 2)), text.substring(0, colons));
  }
}
