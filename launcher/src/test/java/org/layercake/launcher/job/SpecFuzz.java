package org.layercake.launcher.job;

import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.util.List;
import java.util.stream.Collectors;
import org.layercake.launcher.device.DeviceName;
import org.layercake.launcher.node.Abort;
import org.layercake.launcher.profile.ProfileChange;
import org.layercake.store.ExitCode;
import org.layercake.store.ImageName;
import org.layercake.store.StoreException;
import org.layercake.store.Text;

/** Specs as clients may send them, and the same bytes as the list of a site's mounts. */
public final class SpecFuzz {
  private SpecFuzz() {}

  public static void fuzzerTestOneInput(byte[] data) throws Abort, StoreException {
    String text = new String(data, ISO_8859_1);
    spec(text);
    siteMounts(text);
  }

  private static void spec(String text) throws Abort, StoreException {
    Spec spec;
    try {
      spec = Spec.parse(text);
    } catch (Abort e) {
      requireRefusal(e);
      return;
    }
    assertTrue(ImageName.parse(spec.image().toString()).equals(spec.image()), "another image");
    assertTrue(spec.mounts().size() <= 64, spec.mounts().size() + " mounts");
    checkMounts(spec.mounts());
    String written =
        "image="
            + spec.image()
            + spec.mounts().stream().map(m -> ";mount=" + m.text()).collect(Collectors.joining())
            + (spec.root() ? ";root=1" : "")
            + writable(spec.writableBytes())
            + (spec.devices().isEmpty() ? "" : ";device=" + devices(spec))
            + (spec.profiles().isEmpty() ? "" : ";profile=" + profiles(spec))
            + (spec.directory() == null ? "" : ";cwd=" + written(spec.directory()))
            + (spec.home() == null ? "" : ";home=" + written(spec.home()));
    Spec again = Spec.parse(written);
    assertTrue(
        again.equals(
            new Spec(
                written,
                spec.image(),
                spec.mounts(),
                spec.root(),
                spec.writableBytes(),
                spec.devices(),
                spec.profiles(),
                spec.directory(),
                spec.home())),
        written);
  }

  private static String devices(Spec spec) {
    return spec.devices().stream().map(DeviceName::toString).collect(Collectors.joining(","));
  }

  private static String profiles(Spec spec) {
    return spec.profiles().stream().map(ProfileChange::toString).collect(Collectors.joining(","));
  }

  private static String writable(long bytes) {
    if (bytes == 0) {
      return "";
    }
    return ";writable=" + (bytes == Spec.DEFAULT_BYTES ? "default" : Long.toString(bytes));
  }

  /** A path as a spec has it. */
  private static String written(String path) {
    String mount = new Spec.Mount(path, "/", Spec.Mount.Mode.RO).text();
    return mount.substring(0, mount.indexOf(':'));
  }

  private static void siteMounts(String text) throws Abort {
    List<Spec.Mount> mounts;
    try {
      mounts = Spec.mounts(text);
    } catch (Abort e) {
      requireRefusal(e);
      return;
    }
    checkMounts(mounts);
    String written =
        mounts.stream()
            .map(mount -> mount.text().replace(",", "%2C"))
            .collect(Collectors.joining(","));
    assertTrue(written.isEmpty() || Spec.mounts(written).equals(mounts), written);
  }

  private static void checkMounts(List<Spec.Mount> mounts) {
    assertTrue(mounts.stream().filter(Spec.Mount::isImage).count() <= 8, mounts.toString());
    for (Spec.Mount mount : mounts) {
      if (mount.isImage()) {
        assertTrue(mount.text().endsWith(":ro") && mount.source() == null, mount.text());
      } else {
        requirePath(mount.source());
      }
      requirePath(mount.destination());
      int names = Path.of("/").relativize(Path.of(mount.destination())).toString().length();
      assertTrue(names > 0, "a mount over the container's root: " + mount);
    }
  }

  private static void requirePath(String path) {
    assertTrue(path.startsWith("/") && path.indexOf('\0') < 0, "a path \"" + path + "\"");
    assertTrue(path.length() <= 4095, "a path of " + path.length() + " bytes");
    for (String part : path.split("/", -1)) {
      assertTrue(!part.equals(".") && !part.equals(".."), "a path \"" + path + "\"");
    }
  }

  /** A name of an image elsewhere, as in a registry, is one that is not in the store. */
  private static void requireRefusal(Abort e) {
    boolean isElsewhere =
        e.exitCode() == ExitCode.MISSING && e.getMessage().contains("layercake push");
    assertTrue(isElsewhere || e.exitCode() == ExitCode.REQUEST, "exit code " + e.exitCode());
    assertTrue(e.getMessage().equals(Text.clean(e.getMessage())), "control characters");
    assertTrue(e.getMessage().length() <= 2001, "a message of " + e.getMessage().length());
  }
}
