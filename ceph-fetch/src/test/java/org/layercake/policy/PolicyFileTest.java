package org.layercake.policy;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.PosixFilePermissions;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.layercake.store.StoreException;

/** Takes root: whose file it is matters. */
class PolicyFileTest {
  @TempDir private Path directory;
  private Path path;
  private PolicyFile file;

  @BeforeEach
  void write() throws Exception {
    path = directory.resolve("policy");
    file = PolicyFile.ofSite(path);
    replace("deny root=yes\n");
  }

  private void replace(String rules) throws Exception {
    Path next = Files.writeString(directory.resolve("next"), rules);
    Files.setPosixFilePermissions(next, PosixFilePermissions.fromString("rw-r--r--"));
    Files.move(next, path, StandardCopyOption.REPLACE_EXISTING);
  }

  private void assertRefused(String why) {
    StoreException e = assertThrows(StoreException.class, file::policy);
    assertEquals(StoreException.Kind.MISCONFIGURED, e.kind());
    assertTrue(e.getMessage().contains("\"" + path + "\""), e.getMessage());
    assertTrue(e.getMessage().contains(why), e.getMessage());
  }

  @Test
  void itIsReadAnewOnlyWhenItHasChanged() throws Exception {
    Policy first = file.policy();
    assertEquals(1, first.rules().size());
    assertSame(first, file.policy());
    replace("deny root=yes\ndeny writable=yes\n");
    assertEquals(2, file.policy().rules().size());
    Files.delete(path);
    assertSame(Policy.NONE, file.policy());
  }

  @Test
  void aBrokenOneRefusesUntilItIsMended() throws Exception {
    replace("denie root=yes\n");
    assertRefused("line 1");
    assertRefused("line 1");
    replace("deny root=yes\n");
    assertEquals(1, file.policy().rules().size());
  }

  @Test
  void onlyRootMayHaveWrittenIt() throws Exception {
    Files.setPosixFilePermissions(path, PosixFilePermissions.fromString("rw-rw-r--"));
    assertRefused("others than root can change it");
    Files.setPosixFilePermissions(path, PosixFilePermissions.fromString("rw-r--r--"));
    Files.setAttribute(path, "unix:uid", 4001);
    assertRefused("others than root can change it");
    assertEquals(1, PolicyFile.draft(path).policy().rules().size());
  }

  @Test
  void whatIsNoPlainFileIsRefused() throws Exception {
    Path elsewhere = Files.move(path, directory.resolve("elsewhere"));
    Files.createSymbolicLink(path, elsewhere);
    assertRefused("not a plain file");
    Files.delete(path);
    Files.createDirectory(path);
    assertRefused("not a plain file");
  }

  @Test
  void oneThatIsTooLongIsRefused() throws Exception {
    replace("#".repeat(PolicyText.MAX_BYTES + 1));
    assertRefused("more than");
  }
}
