package org.layercake.cli;

import static org.layercake.store.StoreException.Kind.INVALID;

import java.util.Arrays;
import java.util.Collection;
import java.util.Comparator;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import org.layercake.store.NearNames;
import org.layercake.store.StoreException;

/** Commands that people know from other programs, or mistype, and what to type instead. */
final class Habits {
  private static final String HELP = "help";
  private static final int MOST_SLIPS = 2;
  private static final Map<String, String> MEANT = new HashMap<>();

  static {
    note("layercake ls", "images", "image", "list", "search");
    note("layercake rm NAME", "rmi", "delete", "del", "remove", "untag");
    note("layercake copy NAME NEW", "cp");
    note("layercake tag NAME NEW, then layercake rm NAME", "mv", "rename");
    note("layercake push SOURCE NAME", "import", "load", "add", "upload", "create");
    note("layercake pull NAME FILE", "export", "download", "get");
    note("layercake pull NAME DIR/", "unpack", "extract", "unsquash");
    note("layercake inspect NAME", "show", "info", "history");
    note("layercake save NAME", "commit");
    note("layercake gc", "prune", "clean");
    note("srun --ch-image=NAME COMMAND", "run", "exec", "start", "shell");
    note("squeue --me", "ps");
    note("skopeo login REGISTRY", "login", "logout");
    note("ch-image build, podman build or buildah, then layercake push", "build");
  }

  private Habits() {}

  private static void note(String line, String... words) {
    Arrays.stream(words).forEach(word -> MEANT.put(word, line));
  }

  /** {@code help COMMAND} is {@code COMMAND --help}. */
  static String[] withoutHelp(String... args) {
    if (args.length == 0 || !args[0].equals(HELP)) {
      return args;
    }
    return args.length == 1 ? new String[] {"--help"} : new String[] {args[1], "--help"};
  }

  /**
   * Refuses a first word that is no command.
   *
   * @param commands all that there are
   */
  static void requireCommand(Collection<String> commands, String... args) throws StoreException {
    if (args.length == 0 || args[0].startsWith("-") || commands.contains(args[0])) {
      return;
    }
    String hint =
        Optional.ofNullable(MEANT.get(args[0]))
            .map(line -> "type: " + line)
            .or(() -> near(commands, args[0]).map(name -> "did you mean layercake " + name + "?"))
            .orElse("see: layercake --help");
    throw new StoreException(
        INVALID, "cannot run \"" + args[0] + "\": there is no such command (" + hint + ")");
  }

  private static Optional<String> near(Collection<String> commands, String word) {
    return commands.stream()
        .filter(name -> NearNames.distance(name, word) <= Math.min(MOST_SLIPS, name.length() / 2))
        .min(Comparator.comparing(name -> NearNames.distance(name, word)));
  }
}
