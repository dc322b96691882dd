package org.layercake.policy;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.Map;
import org.layercake.store.StoreException;

/** The file with the rules of the site, which may be another from one moment to the next. */
public final class PolicyFile {
  public static final Path DEFAULT = Path.of("/etc/layercake/policy");

  private static final String ATTRIBUTES = "unix:uid,mode,ino,size,ctime";
  private static final int TYPE = 0170000;
  private static final int REGULAR = 0100000;
  private static final int WRITABLE_BY_OTHERS = 0022;

  private final Path path;
  private final boolean mustBeRoots;
  private Policy policy; // guarded by this; null before and after a failure
  private Object version; // of the file that the policy is from; guarded by this

  private PolicyFile(Path path, boolean mustBeRoots) {
    this.path = path;
    this.mustBeRoots = mustBeRoots;
  }

  /** Whose rules hold: only root may have written the file. */
  public static PolicyFile ofSite(Path path) {
    return new PolicyFile(path, true);
  }

  /** Somebody's draft, to be tried. */
  public static PolicyFile draft(Path path) {
    return new PolicyFile(path, false);
  }

  /**
   * The rules as they are now; none without a file.
   *
   * @throws StoreException MISCONFIGURED when the file is wrong: then nothing is allowed
   */
  public synchronized Policy policy() throws StoreException {
    try {
      Map<String, Object> found = Files.readAttributes(path, ATTRIBUTES, LinkOption.NOFOLLOW_LINKS);
      if (policy == null || !found.equals(version)) {
        policy = null;
        requireSafe((int) found.get("mode"), (int) found.get("uid"));
        policy = PolicyText.parse(path.toString(), read());
        version = found;
      }
      return policy;
    } catch (NoSuchFileException e) {
      policy = null;
      return Policy.NONE;
    } catch (IOException e) {
      policy = null;
      throw unusable(String.valueOf(e), e);
    }
  }

  private void requireSafe(int mode, int owner) throws StoreException {
    if ((mode & TYPE) != REGULAR) {
      throw unusable("it is not a plain file", null);
    }
    if (mustBeRoots && (owner != 0 || (mode & WRITABLE_BY_OTHERS) != 0)) {
      throw unusable("others than root can change it: chown root, chmod 644", null);
    }
  }

  private String read() throws IOException, StoreException {
    try (InputStream in = Files.newInputStream(path, LinkOption.NOFOLLOW_LINKS)) {
      byte[] bytes = in.readNBytes(PolicyText.MAX_BYTES + 1);
      if (bytes.length > PolicyText.MAX_BYTES) {
        throw unusable("it has more than " + PolicyText.MAX_BYTES + " bytes", null);
      }
      return new String(bytes, UTF_8);
    }
  }

  private StoreException unusable(String why, Throwable cause) {
    return new StoreException(
        StoreException.Kind.MISCONFIGURED,
        "cannot use the site's rules in \"" + path + "\": " + why,
        cause);
  }
}
