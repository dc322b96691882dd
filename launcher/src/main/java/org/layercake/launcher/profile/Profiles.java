package org.layercake.launcher.profile;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.layercake.launcher.device.DeviceName;
import org.layercake.launcher.device.Devices;
import org.layercake.launcher.edit.Editor;
import org.layercake.launcher.edit.Edits;
import org.layercake.launcher.edit.Given;
import org.layercake.launcher.edit.Mount;
import org.layercake.launcher.edit.Origin;
import org.layercake.launcher.node.Abort;
import org.layercake.launcher.node.Event;
import org.layercake.launcher.node.RootFile;
import org.layercake.launcher.node.RootFile.UnusableException;
import org.layercake.store.ExitCode;
import org.layercake.store.StoreException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The site's profiles. Files are read again when they have changed; a container is made by what
 * they say at its start.
 */
public final class Profiles {
  /** Where they are, unless the site says otherwise. */
  public static final Path DEFAULT = Path.of("/etc/layercake/profiles.d");

  private static final Logger log = LoggerFactory.getLogger(Profiles.class);
  private static final int MAX_FILES = 256;
  private static final int MAX_NAMES_TOLD = 24;

  private final Path directory;
  private final Profile always;
  private final Devices devices;
  private final Editor editor;
  private Map<String, ProfileFile> files = Map.of(); // guarded by this

  /** A file as it was when it was read. */
  private record ProfileFile(Object version, Profile profile) {}

  /**
   * Reads nothing yet.
   *
   * @param mounts what every container has
   * @param wanted devices of every container
   */
  public Profiles(
      Path directory,
      List<Mount> mounts,
      List<Devices.Wanted> wanted,
      Devices devices,
      Editor editor) {
    this.directory = directory;
    this.always = Profile.always(mounts, wanted);
    this.devices = devices;
    this.editor = editor;
  }

  /** What every container has that is not in the directory. */
  public List<Mount> alwaysMounted() {
    return always.fixed();
  }

  /**
   * What a container gets.
   *
   * @param changes what its user wants to have or not, of which the last about a profile counts
   * @param asked devices that the user wants beside those of the profiles
   * @throws Abort {@link ExitCode#MISSING} for what the node does not have, {@link
   *     ExitCode#PERMISSION} for what the user may not choose, {@link ExitCode#MISCONFIGURED} when
   *     the site has to correct something
   */
  public Given of(List<ProfileChange> changes, List<DeviceName> asked, Facts facts)
      throws Abort, StoreException {
    List<Devices.Wanted> wanted = new ArrayList<>();
    Edits edits = Edits.NONE;
    for (Profile profile : chosen(changes, facts)) {
      edits = edits.and(edits(profile));
      wanted.addAll(profile.devices());
    }
    asked.forEach(name -> wanted.add(new Devices.Wanted(name, false)));
    return editor.give(edits.and(devices.of(wanted)));
  }

  private static Edits edits(Profile profile) throws Abort {
    try {
      return profile.edits();
    } catch (IOException e) {
      throw broken(profile.origin(), String.valueOf(e), e);
    } catch (IllegalArgumentException e) {
      throw broken(profile.origin(), e.getMessage(), e);
    }
  }

  /** Says in the log what there is, so that an administrator sees it before users do. */
  public void report() {
    try {
      String names = read().stream().map(Profile::name).collect(Collectors.joining(","));
      Event.PROFILES.on(log).addKeyValue("directory", directory).addKeyValue("names", names).log();
    } catch (Abort e) {
      Event.PROFILES_BROKEN.on(log).addKeyValue("cause", e.getMessage()).log();
    }
  }

  /**
   * Requires that all can be used.
   *
   * @throws Abort that names the first that cannot
   */
  public void requireGood() throws Abort {
    for (Profile profile : read()) {
      if (profile.isBroken()) {
        throw broken(profile.origin(), profile.fault(), null);
      }
    }
  }

  // --- choice ---

  private List<Profile> chosen(List<ProfileChange> changes, Facts facts)
      throws Abort, StoreException {
    List<Profile> there = read();
    Map<String, Boolean> wishes = new HashMap<>();
    for (ProfileChange change : changes) {
      if (there.stream().noneMatch(profile -> profile.name().equals(change.name()))) {
        throw unknown(change, there);
      }
      wishes.put(change.name(), change.added());
    }
    List<Profile> chosen = new ArrayList<>(List.of(always));
    for (Profile profile : there) {
      if (isChosen(profile, wishes.get(profile.name()), facts)) {
        if (profile.isBroken()) {
          throw broken(profile.origin(), profile.fault(), null);
        }
        chosen.add(profile);
      }
    }
    return chosen;
  }

  /**
   * Whether a container has a profile.
   *
   * @param wish whether its user wants it; null for one who does not say
   */
  private static boolean isChosen(Profile profile, Boolean wish, Facts facts)
      throws Abort, StoreException {
    boolean isDropped = Boolean.FALSE.equals(wish);
    if (profile.when().isOptIn()) {
      return Boolean.TRUE.equals(wish);
    }
    if (isDropped && !profile.required()) {
      return false;
    }
    boolean holds = profile.when().holds(facts);
    if (isDropped && holds && !profile.isBroken()) {
      throw refused("do without", profile, "the site requires it");
    }
    if (Boolean.TRUE.equals(wish) && !holds) {
      throw refused("use", profile, "it is not for this job: when = " + profile.when().text());
    }
    return holds;
  }

  private static Abort refused(String act, Profile profile, String why) {
    return new Abort(
        ExitCode.PERMISSION,
        "cannot "
            + act
            + " "
            + profile.origin().name()
            + ": "
            + why
            + " (leave it out of --ch-profile)");
  }

  private static Abort unknown(ProfileChange change, List<Profile> there) {
    String known =
        there.stream()
            .map(profile -> (profile.when().isOptIn() ? "+" : "-") + profile.name())
            .limit(MAX_NAMES_TOLD)
            .collect(Collectors.joining(", "));
    return new Abort(
        ExitCode.MISSING,
        "cannot use \""
            + change
            + "\": this node has no such profile ("
            + (known.isEmpty() ? "it has none: leave out --ch-profile" : "choose of " + known)
            + ")");
  }

  private static Abort broken(Origin origin, String why, Throwable cause) {
    return new Abort(
        ExitCode.MISCONFIGURED,
        "cannot use " + origin.name() + ": " + why + " (tell the site: " + origin.remedy() + ")",
        cause);
  }

  // --- files ---

  /** All profiles of the directory, by their names; none without a directory. */
  private synchronized List<Profile> read() throws Abort {
    Map<String, ProfileFile> found = new HashMap<>();
    for (Path path : list()) {
      ProfileFile file = read(path);
      if (file != null) {
        found.put(file.profile().name(), file);
      }
    }
    files = found;
    return found.values().stream()
        .map(ProfileFile::profile)
        .sorted(Comparator.comparing(Profile::name))
        .toList();
  }

  private List<Path> list() throws Abort {
    Origin all = new Origin("the profiles in \"" + directory + "\"", "correct that");
    try (Stream<Path> entries = Files.list(directory)) {
      RootFile.requireRoots(directory);
      List<Path> paths =
          entries
              .filter(path -> ProfileChange.isName(path.getFileName().toString()))
              .limit(MAX_FILES + 1L)
              .toList();
      if (paths.size() > MAX_FILES) {
        throw broken(all, "they are more than " + MAX_FILES, null);
      }
      return paths;
    } catch (NoSuchFileException e) {
      return List.of();
    } catch (UncheckedIOException e) { // while it is listed
      throw broken(all, String.valueOf(e.getCause()), e);
    } catch (UnusableException e) {
      throw broken(all, e.getMessage(), e);
    } catch (IOException e) {
      throw broken(all, String.valueOf(e), e);
    }
  }

  /**
   * Null if the file no longer exists. A broken profile is read again each time: its directory may
   * be what was wrong.
   */
  private ProfileFile read(Path path) {
    String name = path.getFileName().toString();
    Origin origin = new Origin("profile \"" + name + "\"", "correct \"" + path + "\"");
    ProfileFile known = files.get(name);
    ProfileFile read;
    try {
      Map<String, Object> version = RootFile.version(path);
      if (known != null && known.version().equals(version) && !known.profile().isBroken()) {
        return known;
      }
      read = new ProfileFile(version, read(name, origin, path));
    } catch (NoSuchFileException e) {
      if (!Files.isSymbolicLink(path)) {
        return null;
      }
      String fault = "it is a link that leads nowhere";
      read = new ProfileFile(Map.of(), Profile.broken(name, When.ALWAYS, origin, fault));
    } catch (IOException e) {
      String fault = String.valueOf(e);
      read = new ProfileFile(Map.of(), Profile.broken(name, When.ALWAYS, origin, fault));
    }
    if (read.profile().isBroken()
        && (known == null || !known.profile().fault().equals(read.profile().fault()))) {
      Event.PROFILE_BROKEN
          .on(log)
          .addKeyValue("file", path)
          .addKeyValue("cause", read.profile().fault())
          .log();
    }
    return read;
  }

  private static Profile read(String name, Origin origin, Path path) throws IOException {
    try {
      String text = RootFile.read(path, ProfileText.MAX_BYTES);
      return ProfileText.parse(name, origin, text);
    } catch (UnusableException e) {
      return Profile.broken(name, When.ALWAYS, origin, e.getMessage());
    }
  }
}
