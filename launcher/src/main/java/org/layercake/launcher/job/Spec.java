package org.layercake.launcher.job;

import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.ByteArrayOutputStream;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.layercake.launcher.device.DeviceName;
import org.layercake.launcher.edit.Origin;
import org.layercake.launcher.node.Abort;
import org.layercake.launcher.profile.ProfileChange;
import org.layercake.store.ExitCode;
import org.layercake.store.ImageName;
import org.layercake.store.StoreException;

/**
 * The container that a user asked for: an image, mounts, whether to be root inside and to change
 * files.
 *
 * <p>The format is docs/protocol.md, "Spec". Two specs are the same container when their {@link
 * #text} is equal.
 *
 * @param text the line as it came, bytes as ISO 8859-1, without what it says of steps alone
 * @param writableBytes how much changes to the image's files may take; 0: none can be made, {@link
 *     #DEFAULT_BYTES}: what the node's memory is good for
 * @param devices of the node that are to be seen and found
 * @param profiles of the site's that the user wants to have, or to do without
 * @param directory to be shown where it is, unless something else is there; null for none
 * @param home what is shown as the user's home, {@link #NO_HOME}, or null for the home itself
 */
public record Spec(
    String text,
    ImageName image,
    List<Mount> mounts,
    boolean root,
    long writableBytes,
    List<DeviceName> devices,
    List<ProfileChange> profiles,
    String directory,
    String home) {
  /** Of {@link #home}: there is to be none. */
  static final String NO_HOME = "no";

  static final long DEFAULT_BYTES = -1;

  private static final long MAX_WRITABLE_BYTES = 1L << 50;
  private static final Pattern WRITABLE = Pattern.compile("[1-9]\\d{0,15}");
  private static final int MAX_MOUNTS = 64;
  private static final int MAX_IMAGE_MOUNTS = 8;
  private static final int MAX_IMAGE_BYTES = 512;
  private static final int MAX_PATH_BYTES = 4095;
  // The task's own business, which does not make another container.
  private static final Set<String> STEP_KEYS = Set.of("workdir", "env", "entrypoint", "batch");

  /**
   * A bind mount; the paths are absolute and hold no {@code .} or {@code ..}.
   *
   * @param source bytes as ISO 8859-1; null for an image
   * @param image what is mounted, read-only; null for a path
   * @param destination bytes as ISO 8859-1, below {@code /}
   */
  public record Mount(String source, ImageName image, String destination, Mode mode) {
    /** What a mount's text begins with whose source is an image. */
    private static final String IMAGE = "image";

    enum Mode {
      RO,
      RW
    }

    /** A mount of a path. */
    Mount(String source, String destination, Mode mode) {
      this(source, null, destination, mode);
    }

    /** What the site mounts, as the holder takes it. Specs are bytes, one to a character. */
    static Mount of(org.layercake.launcher.edit.Mount mount) {
      return new Mount(
          mount.source() == null ? null : bytes(mount.source()),
          mount.image(),
          bytes(mount.destination()),
          mount.writable() ? Mode.RW : Mode.RO);
    }

    /** The same as an edit of the site's, for who can have it. */
    public org.layercake.launcher.edit.Mount ofSite(Origin origin) {
      org.layercake.launcher.edit.Mount same =
          new org.layercake.launcher.edit.Mount(
              source == null ? null : text(source),
              image,
              text(destination),
              mode == Mode.RW,
              org.layercake.launcher.edit.Mount.Kind.PLAIN,
              true,
              origin);
      if (!of(same).equals(this)) {
        throw new IllegalArgumentException("mount \"" + text() + "\" is not UTF-8");
      }
      return same;
    }

    private static String text(String bytes) {
      return new String(bytes.getBytes(ISO_8859_1), UTF_8);
    }

    boolean isImage() {
      return image != null;
    }

    /** The mount of an image that is on this node, in the place of the image's name. */
    Mount from(Path directory) {
      return new Mount(directory.toString(), destination, mode);
    }

    /** Whether a path is its destination or lies in it. */
    boolean shows(String path) {
      return isIn(path, destination);
    }

    private static boolean isIn(String path, String directory) {
      return withoutSpareSlashes(path).startsWith(withoutSpareSlashes(directory));
    }

    // No java.nio.file.Path: these are bytes, which need not be text in the JVM's encoding.
    private static String withoutSpareSlashes(String path) {
      return (path + "/").replaceAll("/+", "/");
    }

    /** The mount as it stands in a spec. */
    String text() {
      return (isImage() ? IMAGE + ":" + image : encode(source))
          + ":"
          + encode(destination)
          + (mode == Mode.RO ? ":ro" : ":rw");
    }
  }

  /**
   * Parses a spec.
   *
   * @throws Abort {@link ExitCode#REQUEST} with the offending part
   */
  static Spec parse(String text) throws Abort {
    ImageName image = null;
    List<Mount> mounts = new ArrayList<>();
    boolean root = false;
    long writableBytes = 0;
    List<DeviceName> devices = List.of();
    List<ProfileChange> profiles = List.of();
    String directory = null;
    String home = null;
    List<String> ofContainer = new ArrayList<>();
    Set<String> ofSteps = new HashSet<>();
    for (String item : text.split(";", -1)) {
      int equals = item.indexOf('=');
      String key = equals < 0 ? item : item.substring(0, equals);
      String value = equals < 0 ? "" : item.substring(equals + 1);
      if ((image == null) != key.equals("image")) {
        throw refused(item, "image must be the first item, and only there");
      }
      if (STEP_KEYS.contains(key)) {
        decode(item, value);
        if (!ofSteps.add(key)) {
          throw refused(item, "given twice");
        }
        continue;
      }
      ofContainer.add(item);
      switch (key) {
        case "image" -> image = image(item, value);
        case "mount" -> mounts.add(mount(item, value));
        case "root" -> {
          if (root || !value.equals("1")) {
            throw refused(item, "root is given once, as root=1");
          }
          root = true;
        }
        case "writable" -> {
          if (writableBytes != 0) {
            throw refused(item, "writable is given once");
          }
          writableBytes = writableBytes(item, value);
        }
        case "device" -> {
          if (!devices.isEmpty()) {
            throw refused(item, "given twice");
          }
          devices = devices(item, decode(item, value));
        }
        case "profile" -> {
          if (!profiles.isEmpty()) {
            throw refused(item, "given twice");
          }
          profiles = profiles(item, decode(item, value));
        }
        case "cwd" -> {
          if (directory != null) {
            throw refused(item, "given twice");
          }
          directory = path(item, decode(item, value));
          if (isRoot(directory)) {
            throw refused(item, "every container has its own /");
          }
        }
        case "home" -> {
          if (home != null) {
            throw refused(item, "given twice");
          }
          home = value.equals(NO_HOME) ? NO_HOME : path(item, decode(item, value));
        }
        default -> throw refused(item, "no such key");
      }
      if (mounts.size() > MAX_MOUNTS) {
        throw refused(item, "more than " + MAX_MOUNTS + " mounts");
      }
      refuseTooManyImages(item, mounts);
    }
    return new Spec(
        String.join(";", ofContainer),
        image,
        List.copyOf(mounts),
        root,
        writableBytes,
        devices,
        profiles,
        directory,
        home);
  }

  private static List<DeviceName> devices(String item, String list) throws Abort {
    try {
      return DeviceName.parseList(list);
    } catch (IllegalArgumentException e) {
      throw refused(item, e.getMessage());
    }
  }

  private static List<ProfileChange> profiles(String item, String list) throws Abort {
    try {
      return ProfileChange.parseList(list);
    } catch (IllegalArgumentException e) {
      throw refused(item, e.getMessage());
    }
  }

  private static void refuseTooManyImages(String item, List<Mount> mounts) throws Abort {
    if (mounts.stream().filter(Mount::isImage).count() > MAX_IMAGE_MOUNTS) {
      throw refused(item, "more than " + MAX_IMAGE_MOUNTS + " mounts of images");
    }
  }

  private static long writableBytes(String item, String value) throws Abort {
    if (value.equals("default")) {
      return DEFAULT_BYTES;
    }
    if (WRITABLE.matcher(value).matches()) {
      long bytes = Long.parseLong(value);
      if (bytes <= MAX_WRITABLE_BYTES) {
        return bytes;
      }
    }
    throw refused(item, "writable is \"default\" or a number of bytes");
  }

  /** Whether the image's files can be changed. */
  boolean isWritable() {
    return writableBytes != 0;
  }

  /** Whether it has something where the directory is. */
  boolean shows(String path) {
    return mounts.stream().anyMatch(mount -> mount.shows(path))
        || (directory != null && Mount.isIn(path, directory));
  }

  /** The same without a directory: another container, unless it had none. */
  Spec withoutDirectory() {
    String shorter =
        Arrays.stream(text.split(";"))
            .filter(item -> !item.startsWith("cwd="))
            .collect(Collectors.joining(";"));
    return new Spec(shorter, image, mounts, root, writableBytes, devices, profiles, null, home);
  }

  /**
   * Parses a comma separated list of mounts as the config file has it, written as in a spec. Images
   * have their owner, since a user's of the same name would be taken for a bare name.
   *
   * @throws Abort with the offending part
   */
  public static List<Mount> mounts(String list) throws Abort {
    List<Mount> mounts = new ArrayList<>();
    for (String item : list.split(",", -1)) {
      if (!item.isBlank()) {
        Mount mount = mount(item, item.strip());
        if (mount.isImage() && mount.image().owner().isEmpty()) {
          throw refused(item, "the image's owner is missing, as in image:site/NAME");
        }
        mounts.add(mount);
        refuseTooManyImages(item, mounts);
      }
    }
    return List.copyOf(mounts);
  }

  private static ImageName image(String item, String value) throws Abort {
    String name = decode(item, value);
    if (name.length() > MAX_IMAGE_BYTES) {
      throw refused(item, "image name longer than " + MAX_IMAGE_BYTES + " bytes");
    }
    try {
      return ImageName.parse(name);
    } catch (StoreException e) {
      throw Abort.of(e);
    }
  }

  private static Mount mount(String item, String value) throws Abort {
    String[] fields = value.split(":", -1);
    int count = fields.length;
    boolean isImage = count > 3 && fields[0].equals(Mount.IMAGE); // only names have colons
    if (count != 3 && !isImage) {
      throw refused(item, "a mount is SOURCE:DESTINATION:MODE or image:NAME:DESTINATION:ro");
    }
    Mount.Mode mode =
        switch (fields[count - 1]) {
          case "ro" -> Mount.Mode.RO;
          case "rw" -> Mount.Mode.RW;
          default -> throw refused(item, "mode is ro or rw");
        };
    if (isImage && mode != Mount.Mode.RO) {
      throw refused(item, "an image can only be mounted read-only");
    }
    String destination = path(item, decode(item, fields[count - 2]));
    if (isRoot(destination)) {
      throw refused(item, "a mount cannot replace the container's /");
    }
    if (isImage) {
      String name = String.join(":", Arrays.asList(fields).subList(1, count - 2));
      return new Mount(null, image(item, name), destination, mode);
    }
    return new Mount(path(item, decode(item, fields[0])), destination, mode);
  }

  private static boolean isRoot(String path) {
    return path.chars().allMatch(c -> c == '/');
  }

  private static String path(String item, String path) throws Abort {
    if (!path.startsWith("/")) {
      throw refused(item, "path is not absolute");
    }
    if (path.length() > MAX_PATH_BYTES) {
      throw refused(item, "path longer than " + MAX_PATH_BYTES + " bytes");
    }
    if (Arrays.stream(path.split("/")).anyMatch(part -> part.equals("..") || part.equals("."))) {
      throw refused(item, "path with a . or .. component");
    }
    return path;
  }

  private static String decode(String item, String value) throws Abort {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream(value.length());
    for (int i = 0; i < value.length(); i++) {
      char c = value.charAt(i);
      if (c == '%') {
        bytes.write(hexByte(item, value, i));
        i += 2;
      } else if (c < 0x21 || c >= 0x7f) {
        throw refused(item, "byte that must be written %XX");
      } else {
        bytes.write(c);
      }
    }
    return bytes.toString(ISO_8859_1);
  }

  /** The bytes of a text as specs have them, one to a character. */
  static String bytes(String text) {
    return new String(text.getBytes(UTF_8), ISO_8859_1);
  }

  /** Writes a path as it stands in a spec; the opposite of what {@link #parse} does. */
  static String encode(String path) {
    StringBuilder encoded = new StringBuilder(path.length());
    for (int i = 0; i < path.length(); i++) {
      char c = path.charAt(i);
      if (c < 0x21 || c >= 0x7f || c == '%' || c == ';' || c == ':') {
        encoded.append(String.format("%%%02X", (int) c));
      } else {
        encoded.append(c);
      }
    }
    return encoded.toString();
  }

  private static int hexByte(String item, String value, int at) throws Abort {
    if (!value.startsWith("%", at) || at + 3 > value.length()) {
      throw refused(item, "% without two hex digits");
    }
    int high = "0123456789ABCDEF".indexOf(value.charAt(at + 1));
    int low = "0123456789ABCDEF".indexOf(value.charAt(at + 2));
    if (high < 0 || low < 0 || high + low == 0) {
      throw refused(item, "% without two upper-case hex digits, or %00");
    }
    return high * 16 + low;
  }

  /** The value of an item. */
  static String decoded(String item) throws Abort {
    return decode(item, item.substring(item.indexOf('=') + 1));
  }

  static Abort refused(String item, String why) {
    return new Abort(
        ExitCode.REQUEST, "cannot read the container spec: item \"" + item + "\": " + why);
  }
}
