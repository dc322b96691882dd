package org.layercake.launcher.image;

import static java.nio.charset.StandardCharsets.UTF_8;
import static java.nio.file.LinkOption.NOFOLLOW_LINKS;

import java.io.BufferedOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.layercake.launcher.node.Abort;
import org.layercake.launcher.node.Event;
import org.layercake.launcher.node.Libc;
import org.layercake.launcher.node.PrivateDirectory;
import org.layercake.store.ExitCode;
import org.layercake.store.Manifest;
import org.layercake.store.StoreException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The only class that knows a path of the images, in the cache directory and the run directory.
 *
 * <p>An image's files and its mount point bear a name that says nothing to those who do not know
 * the cache's secret: mount points and command lines can be seen by every user of the node.
 */
final class CacheLayout {
  private static final Logger log = LoggerFactory.getLogger(CacheLayout.class);

  private static final String SUFFIX = ".sqfs";
  private static final String SOURCE_SUFFIX = ".source";
  private static final String SERVER_SUFFIX = ".server";
  private static final String ARRIVED_SUFFIX = ".arrived";

  /** What is ours to remove: by the names of today, or by digest as of before. */
  private static final Pattern OURS =
      Pattern.compile("([0-9a-f]{32}|[0-9a-f]{64})(\\.[a-z]+|\\.[0-9]+\\.arrived)?");

  /** A key and a pinned name are shorter. */
  private static final int MAX_LINE_BYTES = 2048;

  private final Path cacheDirectory;
  private final Path runDirectory;
  private CacheNames names; // null before prepare()
  private boolean usable = true;

  CacheLayout(Path cacheDirectory, Path runDirectory) {
    this.cacheDirectory = cacheDirectory;
    this.runDirectory = runDirectory;
  }

  Path cacheDirectory() {
    return cacheDirectory;
  }

  Path runDirectory() {
    return runDirectory;
  }

  /**
   * Makes the directories, closed to users, and drops what was never published. A cache directory
   * that cannot be used stops nobody here: it is the images' trouble.
   *
   * @throws IOException when the run directory cannot be used
   */
  void prepare() throws IOException {
    PrivateDirectory.make(mounts());
    Path copy = runDirectory.resolve("secret"); // finds mounts again while the cache is away
    names = CacheNames.of(copy);
    try {
      for (Path directory : List.of(images(), manifests(), stagingDirectory())) {
        PrivateDirectory.make(directory);
      }
      names = names.keptIn(cacheDirectory.resolve("secret"));
    } catch (IOException e) {
      usable = false;
      Event.CACHE_UNUSABLE
          .on(log)
          .addKeyValue("directory", cacheDirectory)
          .addKeyValue("cause", e.toString())
          .log();
    }
    try {
      names.write(copy);
    } catch (IOException e) {
      Event.RUN_DIRECTORY_UNUSABLE
          .on(log)
          .addKeyValue("directory", runDirectory)
          .addKeyValue("cause", e.toString())
          .log();
    }
    dropUnknown();
  }

  /**
   * Whether all of the cache directory could be read. If not, an image may be there that we do not
   * know of.
   */
  boolean isUsable() {
    return usable;
  }

  /** What is told when a file of the cache directory cannot be written. */
  Abort unwritable(IOException cause) {
    boolean full = StoreException.saysNoRoom(cause);
    return new Abort(
        full ? ExitCode.FULL : ExitCode.INTERNAL,
        "cannot write the image to cache directory \""
            + cacheDirectory
            + "\": "
            + cause.getMessage()
            + (full ? " (tell the site: the node cache is full)" : " (see the launcher's log)"),
        cause);
  }

  private String name(ImageKey key) {
    return names.of(key);
  }

  private void dropUnknown() {
    Set<String> whole = Set.copyOf(cached().values());
    Set<String> coming = Set.copyOf(named(stagingDirectory(), SOURCE_SUFFIX).values());
    if (!usable) {
      return; // we do not know enough to remove anything
    }
    drop(images(), whole);
    drop(manifests(), whole);
    drop(stagingDirectory(), coming);
  }

  /** Removes what bears a name of ours, but of none of these; what else is there is not ours. */
  private void drop(Path directory, Set<String> known) {
    for (Path file : list(directory)) {
      String name = file.getFileName().toString();
      try {
        if (!OURS.matcher(name).matches()) {
          Event.STRAY_FILE.on(log).addKeyValue("path", file).log();
        } else if (!known.contains(stem(name))) {
          Files.delete(file);
        }
      } catch (IOException e) {
        Event.DELETE_FAILED
            .on(log)
            .addKeyValue("file", file)
            .addKeyValue("cause", e.toString())
            .log();
      }
    }
  }

  private static String stem(String name) {
    int dot = name.indexOf('.');
    return dot < 0 ? name : name.substring(0, dot);
  }

  private List<Path> list(Path directory) {
    try (Stream<Path> files = Files.list(directory)) {
      return files.toList();
    } catch (IOException | RuntimeException e) {
      usable = false;
      Event.CACHE_UNREADABLE
          .on(log)
          .addKeyValue("directory", directory)
          .addKeyValue("cause", e.toString())
          .log();
      return List.of();
    }
  }

  /** The complete images whose manifests are there. */
  Set<ImageKey> cachedImages() {
    return cached().keySet();
  }

  private Map<ImageKey, String> cached() {
    Map<ImageKey, String> cached = named(manifests(), "");
    cached.values().removeIf(name -> !isFile(images().resolve(name + SUFFIX)));
    return cached;
  }

  /** The images that an earlier launcher was filling while they were read. */
  Set<ImageKey> filling() {
    return named(stagingDirectory(), SOURCE_SUFFIX).keySet();
  }

  /** Of the files with this suffix that begin with a key, those that bear its name. */
  private Map<ImageKey, String> named(Path directory, String suffix) {
    Map<ImageKey, String> named = new LinkedHashMap<>();
    for (Path file : list(directory)) {
      String name = file.getFileName().toString();
      if (!name.endsWith(suffix) || !OURS.matcher(name).matches()) {
        continue;
      }
      try {
        ImageKey key = ImageKey.parse(firstWord(file));
        if (name.equals(name(key) + suffix)) {
          named.put(key, name(key));
        }
      } catch (IOException | StoreException e) {
        Event.UNNAMED.on(log).addKeyValue("file", file).addKeyValue("cause", e.getMessage()).log();
      }
    }
    return named;
  }

  private static boolean isFile(Path file) {
    return Files.isRegularFile(file, NOFOLLOW_LINKS);
  }

  private static String firstWord(Path file) throws IOException {
    return firstLine(file).split(" ", 2)[0];
  }

  /** Nothing else than a file is opened: a FIFO would keep us waiting. */
  private static String firstLine(Path file) throws IOException {
    if (!isFile(file)) {
      throw new IOException(file + " is not a file");
    }
    try (InputStream in = Files.newInputStream(file)) {
      String text = new String(in.readNBytes(MAX_LINE_BYTES), UTF_8);
      int end = text.indexOf('\n');
      if (end < 0) {
        throw new IOException(file + " has no first line");
      }
      return text.substring(0, end);
    }
  }

  /** Complete, verified images. */
  Path images() {
    return cacheDirectory.resolve("images");
  }

  Path image(ImageKey key) {
    return images().resolve(name(key) + SUFFIX);
  }

  /** The manifest of a complete image, by which others find chunks in it; after a line, its key. */
  Path manifest(ImageKey key) {
    return manifests().resolve(name(key));
  }

  /** Writes {@link #manifest}. */
  void writeManifest(ImageKey key, Manifest manifest) throws IOException {
    try (OutputStream out = new BufferedOutputStream(Files.newOutputStream(manifest(key)))) {
      out.write((key + "\n").getBytes(UTF_8));
      manifest.writeTo(out);
    }
  }

  /** Reads what {@link #writeManifest} wrote, a piece at a time: it may have 16 MB. */
  Manifest readManifest(ImageKey key) throws IOException, StoreException {
    try (InputStream in = Files.newInputStream(manifest(key))) {
      in.skipNBytes((key + "\n").getBytes(UTF_8).length);
      return Manifest.read(in, key.digest());
    } catch (Manifest.MalformedException e) {
      throw new StoreException(
          StoreException.Kind.CORRUPT, "cannot read the manifest of " + key + " on this node", e);
    }
  }

  private Path manifests() {
    return cacheDirectory.resolve("manifests");
  }

  /** Where an image is written until it is complete: same file system as {@link #images}. */
  Path staging(ImageKey key) {
    return stagingDirectory().resolve(name(key));
  }

  /** Room on the disk for what is written to {@link #staging}. */
  long usableBytes() throws IOException {
    return Files.getFileStore(stagingDirectory()).getUsableSpace();
  }

  /** Which image it is that is being filled: its key and its pinned name, one line. */
  Path fillSource(ImageKey key) {
    return stagingDirectory().resolve(name(key) + SOURCE_SUFFIX);
  }

  void writeFillSource(ImageKey key, String pinned) throws IOException {
    Files.writeString(fillSource(key), key + " " + pinned + "\n");
  }

  /** The pinned name that {@link #writeFillSource} wrote. */
  String readFillSource(ImageKey key) throws IOException {
    String[] words = firstLine(fillSource(key)).split(" ", 2);
    if (words.length < 2) {
      throw new IOException(fillSource(key) + " names no image");
    }
    return words[1];
  }

  /** Which chunks of it are there. */
  Path fillMap(ImageKey key) {
    return stagingDirectory().resolve(name(key) + ".map");
  }

  /** FIFO from its image server. */
  Path fillWanted(ImageKey key) {
    return stagingDirectory().resolve(name(key) + ".wanted");
  }

  /** FIFO to one of its image servers. */
  Path fillArrived(MountKey key) {
    return stagingDirectory().resolve(name(key.image()) + "." + key.uid() + ARRIVED_SUFFIX);
  }

  /** The FIFOs to all of its image servers. */
  List<Path> fillsArrived(ImageKey key) throws IOException {
    try (Stream<Path> files = Files.list(stagingDirectory())) {
      return files.filter(file -> isArrived(file.getFileName().toString(), key)).toList();
    }
  }

  private boolean isArrived(String file, ImageKey key) {
    return file.startsWith(name(key) + ".") && file.endsWith(ARRIVED_SUFFIX);
  }

  /** Mount points of shared image mounts; no user may pass this directory. */
  Path mounts() {
    return runDirectory.resolve("images");
  }

  Path mountPoint(MountKey key) {
    return mounts().resolve(name(key.image()) + "-" + key.uid());
  }

  /** Which process serves the mount. */
  Path mountServer(MountKey key) {
    return serverOf(mountPoint(key));
  }

  private static Path serverOf(Path mountPoint) {
    return mountPoint.resolveSibling(mountPoint.getFileName() + SERVER_SUFFIX);
  }

  /** The mount points of all users for an image. */
  List<MountKey> mountsOf(ImageKey key) throws IOException {
    String before = name(key) + "-";
    return mountPoints().stream()
        .map(mountPoint -> mountPoint.getFileName().toString())
        .filter(name -> name.startsWith(before))
        .map(name -> new MountKey(key, Long.parseLong(name.substring(before.length()))))
        .toList();
  }

  /** What is in {@link #mounts}, by mount point, also where that is gone and only the rest left. */
  Set<Path> mountPoints() throws IOException {
    try (Stream<Path> entries = Files.list(mounts())) {
      return entries
          .map(entry -> mounts().resolve(stem(entry.getFileName().toString())))
          .collect(Collectors.toSet());
    }
  }

  /** Detaches what is mounted there, and removes mount point and {@link #mountServer}. */
  void removeMountPoint(Path mountPoint) throws IOException {
    Libc.detach(mountPoint);
    Files.deleteIfExists(mountPoint);
    Files.deleteIfExists(serverOf(mountPoint));
  }

  private Path stagingDirectory() {
    return cacheDirectory.resolve("staging");
  }
}
