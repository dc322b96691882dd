package org.layercake.launcher.edit;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.layercake.launcher.node.Abort;
import org.layercake.store.ExitCode;

/** The libraries are this machine's. */
class EditorTest {
  private static final Origin ORIGIN = new Origin("profile \"x\"", "correct it");
  private static final Path LIBRARY = NodeLibrary.find();

  @TempDir private Path directory;

  private Given give(List<Mount> mounts, Variable... variables) throws Abort {
    return new Editor(directory.resolve("links"))
        .give(new Edits(List.of(variables), mounts, Map.of(), List.of()));
  }

  private static Mount mount(String source, Mount.Kind kind, boolean optional) {
    return new Mount(source, null, source, false, kind, optional, ORIGIN);
  }

  private static Variable variable(String text) {
    String[] words = text.split(" ", 2);
    return Variable.parse(
        Variable.Act.valueOf(words[0].toUpperCase(java.util.Locale.ROOT)), words[1], ORIGIN);
  }

  @Test
  void aReplacementIsFoundByItsNameAndTakesThePlaceOfTheImagesOwn() throws Exception {
    Given given = give(List.of(mount(LIBRARY.toString(), Mount.Kind.REPLACEMENT, false)));
    String beside = LIBRARY.resolveSibling("libz.so.1").toString();
    assertEquals(
        List.of(LIBRARY.toString(), beside, "/.layercake/lib"),
        given.mounts().stream().map(Mount::destination).toList());
    assertEquals(
        Map.of(
            "libz.so.1", LIBRARY.toString(), LIBRARY.getFileName().toString(), LIBRARY.toString()),
        given.replacements());
    assertEquals(List.of("LD_LIBRARY_PATH=/.layercake/lib"), given.into(List.of()));
    Path links = Path.of(given.mounts().get(2).source());
    assertEquals(beside, Files.readSymbolicLink(links.resolve("libz.so.1")).toString());
  }

  /** As where the unit's umask has made it. */
  @Test
  void usersReachTheDirectoryOfLinks() throws Exception {
    Path links = Files.createDirectory(directory.resolve("links"));
    Files.setPosixFilePermissions(links, PosixFilePermissions.fromString("rwx------"));
    Given unused = give(List.of(mount(LIBRARY.toString(), Mount.Kind.REPLACEMENT, false)));
    String mode = PosixFilePermissions.toString(Files.getPosixFilePermissions(links));
    assertEquals("rwx--x--x", mode);
  }

  @Test
  void whatIsOnlyMountedIsNoLibraryThatProgramsFind() throws Exception {
    Given given = give(List.of(mount(LIBRARY.toString(), Mount.Kind.PLAIN, false)));
    assertEquals(1, given.mounts().size());
    assertEquals("", given.libraryPath());
    assertEquals(Map.of(), given.replacements());
  }

  @Test
  void allThatIsMissingIsNamedWithWhoNeedsIt() {
    List<Mount> mounts =
        List.of(
            mount("/none/1", Mount.Kind.PLAIN, false),
            mount("/none/2", Mount.Kind.PLAIN, true),
            mount("/etc/passwd/3", Mount.Kind.REPLACEMENT, false));
    Abort abort = assertThrows(Abort.class, () -> give(mounts));
    assertEquals(ExitCode.MISCONFIGURED, abort.exitCode());
    assertEquals(
        "cannot start the container: profile \"x\" needs \"/none/1\", \"/etc/passwd/3\", which are"
            + " not on this node (tell the site: correct it)",
        abort.getMessage());
  }

  @Test
  void moreMountsThanTheirBoundAreRefused() {
    List<Mount> mounts =
        IntStream.range(0, 1025)
            .mapToObj(i -> new Mount("/etc", "/x" + i, false, Mount.Kind.PLAIN, ORIGIN))
            .toList();
    Abort abort = assertThrows(Abort.class, () -> give(mounts));
    assertTrue(abort.getMessage().contains("1025 mounts"), abort.getMessage());
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      nullValues = "-",
      value = {
        "A=1 | set A=2 | A=2",
        "A=1 | set B=2 | A=1 B=2",
        "A=1 | prepend A=/x | A=/x:1",
        "B=1 | prepend A=/x | B=1 A=/x",
        "PATH=/i | prepend PATH=/x | PATH=/x:/i",
        "B=1 | prepend PATH=/x | B=1 PATH=/x:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "A=1 B=2 | unset A | B=2 LAYERCAKE_UNSET=A",
        "A=1 | unset A;unset C | LAYERCAKE_UNSET=A:C",
        "A=1 | unset A;set A=2 | A=2",
        "A=1 | set A=2;unset A | LAYERCAKE_UNSET=A",
        "A=1 A=2 | prepend A=/x | A=/x:2",
      })
  void theEnvironmentIsChangedInOrder(String image, String changes, String expected)
      throws Exception {
    Given given =
        give(
            List.of(),
            Stream.of(changes.split(";")).map(EditorTest::variable).toArray(Variable[]::new));
    assertEquals(List.of(expected.split(" ")), given.into(List.of(image.split(" "))));
  }

  @Test
  void anEnvironmentThatNobodyChangesIsTheImages() throws Exception {
    List<String> image = List.of("A=1");
    assertSame(image, give(List.of(mount("/etc", Mount.Kind.PLAIN, false))).into(image));
    assertSame(Given.NOTHING, give(List.of()));
  }

  @Test
  void librariesAreLookedForInTheUsualPlacesAndThoseThatTheImageNames() {
    List<String> directories =
        Given.libraryDirectories(List.of("LD_LIBRARY_PATH=/opt/mpi/lib:../x:/a/../b::/c"));
    assertTrue(directories.containsAll(List.of("/lib", "/usr/lib64", "/opt/mpi/lib", "/c")));
    assertEquals(11, directories.size(), directories.toString());
    String many = "LD_LIBRARY_PATH=" + "/a".repeat(2000) + ":/b".repeat(10) + ":/x1:/x2";
    assertTrue(Given.libraryDirectories(List.of(many)).size() <= 32);
  }

  @Test
  void onlySixtyFourBitLibrariesHaveANameAndDamagedOnesHaveNone() throws Exception {
    assertEquals(Optional.empty(), Soname.of(Path.of("/etc/passwd")));
    byte[] library = Files.readAllBytes(LIBRARY);
    Path damaged = directory.resolve("damaged");
    for (int at = 0; at < 4096; at += 3) {
      byte[] copy = library.clone();
      copy[at] ^= (byte) 0xff;
      Files.write(damaged, copy);
      Optional<String> unused = Soname.of(damaged); // it may have one, and takes no time
    }
    Files.write(damaged, java.util.Arrays.copyOf(library, 200));
    assertEquals(Optional.empty(), Soname.of(damaged));
  }
}
