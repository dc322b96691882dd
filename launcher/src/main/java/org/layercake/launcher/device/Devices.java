package org.layercake.launcher.device;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.layercake.launcher.edit.Edits;
import org.layercake.launcher.node.Abort;
import org.layercake.launcher.node.Event;
import org.layercake.launcher.node.RootFile;
import org.layercake.launcher.node.RootFile.UnusableException;
import org.layercake.store.ExitCode;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The devices that the node's specs describe. Files are read again when they have changed, and only
 * when somebody asks for a device.
 */
public final class Devices {
  /** Where specs are, as the specification has it; what is in a later one wins. */
  public static final List<Path> DIRECTORIES =
      List.of(Path.of("/etc/cdi"), Path.of("/var/run/cdi"));

  private static final Logger log = LoggerFactory.getLogger(Devices.class);
  private static final int MAX_FILES = 256;
  private static final int MAX_NAMES_TOLD = 12;

  private final List<Path> directories;
  private Map<Path, SpecFile> files = Map.of(); // guarded by this

  /**
   * A device that a container is to have.
   *
   * @param optional whether it does without where the node has none of the kind
   */
  public record Wanted(DeviceName name, boolean optional) {
    /** Parses {@code VENDOR/CLASS=NAME}, with a question mark behind it for an optional one. */
    public static Wanted parse(String text) {
      boolean optional = text.endsWith("?");
      return new Wanted(
          DeviceName.parse(optional ? text.substring(0, text.length() - 1) : text), optional);
    }
  }

  /** A file as it was when it was read: a spec, or why it is none. */
  private record SpecFile(Object version, CdiSpec spec, String fault) {}

  /** Reads nothing yet. */
  public Devices(List<Path> directories) {
    this.directories = List.copyOf(directories);
  }

  /**
   * What a container needs for some devices.
   *
   * @throws Abort {@link ExitCode#MISSING} for a device that the node does not have, {@link
   *     ExitCode#MISCONFIGURED} when specs cannot be read
   */
  public synchronized Edits of(List<Wanted> all) throws Abort {
    if (all.isEmpty()) {
      return Edits.NONE;
    }
    readFiles();
    Set<DeviceName> names = new LinkedHashSet<>();
    for (Wanted wanted : all) {
      if (!wanted.optional() || !specs(wanted.name().kind()).isEmpty()) {
        names.add(wanted.name());
      }
    }
    return edits(List.copyOf(names));
  }

  // --- files ---

  private void readFiles() throws Abort {
    Map<Path, SpecFile> found = new HashMap<>();
    for (Path directory : directories) {
      for (Path path : list(directory)) {
        read(path).ifPresent(file -> found.put(path, file));
      }
    }
    files = found;
  }

  private static List<Path> list(Path directory) throws Abort {
    try (Stream<Path> entries = Files.list(directory)) {
      List<Path> paths =
          entries
              .filter(
                  path -> path.toString().endsWith(".yaml") || path.toString().endsWith(".json"))
              .sorted()
              .limit(MAX_FILES + 1L)
              .toList();
      if (paths.size() > MAX_FILES) {
        throw misconfigured("\"" + directory + "\" has more than " + MAX_FILES + " files", null);
      }
      return paths;
    } catch (NoSuchFileException e) {
      return List.of();
    } catch (IOException | UncheckedIOException e) { // the other while it is listed
      throw misconfigured("\"" + directory + "\" cannot be read: " + e.getMessage(), e);
    }
  }

  /** Empty when it has gone meanwhile. */
  private Optional<SpecFile> read(Path path) {
    try {
      Map<String, Object> version = RootFile.version(path);
      SpecFile known = files.get(path);
      if (known != null && known.version().equals(version)) {
        return Optional.of(known);
      }
      SpecFile read = read(path, version);
      if (!read.fault().isEmpty()) {
        Event.DEVICE_SPEC_UNUSABLE
            .on(log)
            .addKeyValue("file", path)
            .addKeyValue("cause", read.fault())
            .log();
      }
      return Optional.of(read);
    } catch (NoSuchFileException e) {
      return Optional.empty();
    } catch (IOException e) {
      return Optional.of(new SpecFile(Map.of(), null, String.valueOf(e.getMessage())));
    }
  }

  private static SpecFile read(Path path, Map<String, Object> version) throws IOException {
    try {
      String text = RootFile.read(path, CdiSpec.MAX_BYTES);
      return new SpecFile(version, CdiSpec.parse(text), "");
    } catch (UnusableException e) {
      return new SpecFile(version, null, e.getMessage());
    }
  }

  // --- devices ---

  /** Of a kind: those that win last. */
  private List<CdiSpec> specs(String kind) {
    List<CdiSpec> specs = new ArrayList<>();
    for (Path directory : directories) {
      files.entrySet().stream()
          .filter(file -> directory.equals(file.getKey().getParent()))
          .sorted(Map.Entry.comparingByKey())
          .map(file -> file.getValue().spec())
          .filter(spec -> spec != null && spec.kind().equals(kind))
          .forEach(specs::add);
    }
    return specs;
  }

  /** What belongs to a file's devices together comes once, before what is each one's. */
  private Edits edits(List<DeviceName> names) throws Abort {
    Set<CdiSpec> chosen = new LinkedHashSet<>();
    Edits own = Edits.NONE;
    for (DeviceName name : names) {
      CdiSpec last = null;
      for (CdiSpec spec : specs(name.kind())) {
        last = spec.devices().containsKey(name.name()) ? spec : last;
      }
      if (last == null) {
        throw unknown(name);
      }
      chosen.add(last);
      own = own.and(last.devices().get(name.name()));
    }
    Edits all = Edits.NONE;
    for (CdiSpec spec : chosen) {
      all = all.and(spec.edits());
    }
    return all.and(own);
  }

  private Abort unknown(DeviceName name) {
    Set<String> known = new TreeSet<>();
    specs(name.kind())
        .forEach(spec -> spec.devices().keySet().forEach(d -> known.add(name.kind() + "=" + d)));
    String faults =
        files.entrySet().stream()
            .filter(file -> !file.getValue().fault().isEmpty())
            .map(file -> "; \"" + file.getKey() + "\" cannot be used: " + file.getValue().fault())
            .limit(1)
            .collect(Collectors.joining());
    String places = directories.stream().map(Path::toString).collect(Collectors.joining(" or "));
    return new Abort(
        ExitCode.MISSING,
        "cannot use device \""
            + name
            + "\": this node has "
            + (known.isEmpty()
                ? "none of that kind: no spec in " + places + " names one"
                : String.join(", ", known.stream().limit(MAX_NAMES_TOLD).toList()))
            + faults
            + " (take one of those, or another node)");
  }

  private static Abort misconfigured(String why, Exception cause) {
    return new Abort(
        ExitCode.MISCONFIGURED,
        "cannot use the node's devices: "
            + why
            + " (tell the site: generate the specs again, as by nvidia-ctk cdi generate)",
        cause);
  }
}
