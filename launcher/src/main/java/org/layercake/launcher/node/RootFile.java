package org.layercake.launcher.node;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.util.Map;

/** Files by which only root may say something, also where links of root's lead to them. */
public final class RootFile {
  private static final String ATTRIBUTES = "unix:uid,mode,ino,size,ctime";
  private static final int TYPE = 0170000;
  private static final int REGULAR = 0100000;
  private static final int WRITABLE_BY_OTHERS = 0022;
  private static final int STICKY = 01000; // root's entries stay root's

  private RootFile() {}

  /** Of a file that says nothing; the message says why. */
  public static final class UnusableException extends Exception {
    private static final long serialVersionUID = 1;

    public UnusableException(String message) {
      super(message);
    }
  }

  /** Unlike that of any other file, and that of the same file when it has changed. */
  public static Map<String, Object> version(Path path) throws IOException {
    return Files.readAttributes(path, ATTRIBUTES);
  }

  /**
   * Reads a file of text.
   *
   * @throws UnusableException when others than root can change it, or it is none
   */
  public static String read(Path path, int maxBytes) throws IOException, UnusableException {
    Path real = path.toRealPath();
    if (((int) Files.getAttribute(real, "unix:mode") & TYPE) != REGULAR) {
      throw new UnusableException("it is not a plain file");
    }
    requireRoots(path.toAbsolutePath().getParent());
    requireRoots(real);
    try (InputStream in = Files.newInputStream(real, LinkOption.NOFOLLOW_LINKS)) {
      byte[] bytes = in.readNBytes(maxBytes + 1);
      if (bytes.length > maxBytes) {
        throw new UnusableException("it has more than " + maxBytes + " bytes");
      }
      return UTF_8.newDecoder().decode(ByteBuffer.wrap(bytes)).toString();
    } catch (CharacterCodingException e) {
      throw new UnusableException("it is not UTF-8");
    }
  }

  /**
   * Requires that nobody but root can change what a path leads to.
   *
   * @throws UnusableException when it, or a directory above it, is another's
   */
  public static void requireRoots(Path path) throws IOException, UnusableException {
    for (Path part = path.toRealPath(); part != null; part = part.getParent()) {
      Map<String, Object> found = Files.readAttributes(part, "unix:uid,mode");
      int mode = (int) found.get("mode");
      boolean isSticky = (mode & TYPE) != REGULAR && (mode & STICKY) != 0;
      if ((int) found.get("uid") != 0 || ((mode & WRITABLE_BY_OTHERS) != 0 && !isSticky)) {
        throw new UnusableException(
            "others than root can change "
                + (part.equals(path) ? "it" : "\"" + part + "\"")
                + " (chown root, chmod go-w)");
      }
    }
  }
}
