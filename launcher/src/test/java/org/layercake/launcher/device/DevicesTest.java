package org.layercake.launcher.device;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.layercake.launcher.edit.Editor;
import org.layercake.launcher.edit.Edits;
import org.layercake.launcher.edit.Given;
import org.layercake.launcher.edit.Mount;
import org.layercake.launcher.edit.NodeLibrary;
import org.layercake.launcher.node.Abort;
import org.layercake.store.ExitCode;

/** Takes root, whose specs must be. The libraries are this machine's. */
class DevicesTest {
  private static final Path LIBRARY = NodeLibrary.find();
  private static final String INSIDE = "/.layercake/lib";

  @TempDir private Path directory;
  private Path etc;
  private Path run;

  @BeforeEach
  void makeDirectories() throws Exception {
    etc = Files.createDirectory(directory.resolve("etc"));
    run = Files.createDirectory(directory.resolve("run"));
  }

  private Devices devices() {
    return new Devices(List.of(etc, run));
  }

  private Given of(Devices devices, String... names) throws Abort {
    Edits edits = devices.of(Stream.of(names).map(Devices.Wanted::parse).toList());
    return new Editor(directory.resolve("links")).give(edits);
  }

  private static List<String> variables(Given given) {
    return given.environment().stream().map(v -> v.name() + "=" + v.value()).toList();
  }

  private static void spec(Path file, String devices) throws Exception {
    Files.writeString(file, "cdiVersion: 0.6.0\nkind: x.org/gpu\n" + devices);
    Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rw-r--r--"));
  }

  private static String device(String name, String edits) {
    return "devices: [{name: " + name + ", containerEdits: {" + edits + "}}]\n";
  }

  @Test
  void whatBelongsToAllDevicesComesOnceAndBeforeEachOnes() throws Exception {
    spec(
        etc.resolve("x.yaml"),
        """
        containerEdits: {env: [A=all, B=all]}
        devices:
        - {name: a, containerEdits: {env: [B=a], deviceNodes: [{path: /dev/null}]}}
        - {name: b, containerEdits: {mounts: [{hostPath: /etc, containerPath: /x, options: [ro]}]}}
        """);
    Given given = of(devices(), "x.org/gpu=a", "x.org/gpu=b");
    assertEquals(List.of("A=all", "B=all", "B=a"), variables(given));
    assertEquals(List.of("/x"), given.mounts().stream().map(Mount::destination).toList());
    assertEquals("device x.org/gpu=b", given.mounts().get(0).origin().name());
    assertEquals("", given.libraryPath());
  }

  @Test
  void aLibraryIsFoundByTheNameThatProgramsLookForWhereverItIs() throws Exception {
    String soname = "libz.so.1";
    spec(
        etc.resolve("x.yaml"),
        device(
            "a",
            "mounts: [{hostPath: %s, containerPath: /opt/lib/libz.so.9.9, options: [ro]}], hooks: [{path: /x,"
                    .formatted(LIBRARY)
                + " hookName: createContainer, args: [x, create-symlinks, --link, '%s::/opt/lib/libz.so']}]"
                    .formatted(soname)));
    Given given = of(devices(), "x.org/gpu=a");
    assertEquals(
        List.of("/opt/lib/libz.so.9.9", "/opt/lib/" + soname, "/opt/lib/libz.so", INSIDE),
        given.mounts().stream().map(Mount::destination).toList());
    Path links = Path.of(given.mounts().get(3).source());
    assertEquals("/opt/lib/" + soname, Files.readSymbolicLink(links.resolve(soname)).toString());
    assertEquals(
        List.of("LD_LIBRARY_PATH=" + INSIDE + ":/mine"),
        given.into(List.of("LD_LIBRARY_PATH=/mine")));
  }

  @Test
  void filesAreReadAnewWhenTheyHaveChanged() throws Exception {
    Devices devices = devices();
    spec(etc.resolve("x.yaml"), device("a", "env: [A=1]"));
    assertEquals(List.of("A=1"), variables(of(devices, "x.org/gpu=a")));
    spec(etc.resolve("x.yaml"), device("a", "env: [A=22]"));
    assertEquals(List.of("A=22"), variables(of(devices, "x.org/gpu=a")));
    spec(run.resolve("y.json"), device("a", "env: [A=3]"));
    assertEquals(List.of("A=3"), variables(of(devices, "x.org/gpu=a")), "the later one wins");
    Files.delete(run.resolve("y.json"));
    Files.delete(etc.resolve("x.yaml"));
    assertThrows(Abort.class, () -> of(devices, "x.org/gpu=a"));
  }

  @Test
  void aDeviceThatIsNotThereIsRefusedWithThoseThatAre() throws Exception {
    spec(etc.resolve("x.yaml"), device("a", "env: [A=1]"));
    Files.writeString(etc.resolve("broken.yaml"), "[");
    Abort abort = assertThrows(Abort.class, () -> of(devices(), "x.org/gpu=b"));
    assertEquals(ExitCode.MISSING, abort.exitCode());
    assertTrue(abort.getMessage().contains("this node has x.org/gpu=a;"), abort.getMessage());
    abort = assertThrows(Abort.class, () -> of(devices(), "y.org/gpu=b"));
    assertTrue(abort.getMessage().contains("broken.yaml\" cannot be used"), abort.getMessage());
  }

  @Test
  void whatTheSpecNeedsAndTheNodeLacksIsNamed() throws Exception {
    for (String edit :
        List.of(
            "deviceNodes: [{path: /dev/none}]", "mounts: [{hostPath: /none, containerPath: /x}]")) {
      spec(etc.resolve("x.yaml"), device("a", edit));
      Abort abort = assertThrows(Abort.class, () -> of(devices(), "x.org/gpu=a"));
      assertEquals(ExitCode.MISCONFIGURED, abort.exitCode());
      assertTrue(abort.getMessage().contains("none\", which is not"), abort.getMessage());
    }
  }

  @Test
  void whatIsOptionalIsLeftOutWhereTheNodeHasNoneOfItsKind() throws Exception {
    Devices devices = devices();
    assertSame(Given.NOTHING, of(devices, "x.org/gpu=a?"));
    spec(etc.resolve("x.yaml"), device("a", "env: [A=1]"));
    assertEquals(List.of("A=1"), variables(of(devices, "x.org/gpu=a?")));
    assertEquals(ExitCode.MISSING, refusedCode(devices, "y.org/gpu=a"));
    assertEquals(ExitCode.MISSING, refusedCode(devices, "x.org/gpu=b?"), "its kind is there");
  }

  private int refusedCode(Devices devices, String name) {
    return assertThrows(Abort.class, () -> of(devices, name)).exitCode();
  }

  @Test
  void onlyRootMayHaveWrittenASpec() throws Exception {
    Path file = etc.resolve("x.yaml");
    spec(file, device("a", "env: [A=1]"));
    Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rw-rw-r--"));
    assertRefused();
    spec(file, device("a", "env: [A=1]"));
    Files.setAttribute(file, "unix:uid", 4001);
    assertRefused();
    Files.setAttribute(file, "unix:uid", 0);
    Files.setPosixFilePermissions(etc, PosixFilePermissions.fromString("rwxrwxrwx"));
    assertRefused();
  }

  private void assertRefused() {
    Abort abort = assertThrows(Abort.class, () -> of(devices(), "x.org/gpu=a"));
    assertTrue(abort.getMessage().contains("others than root can change it"), abort.getMessage());
  }
}
