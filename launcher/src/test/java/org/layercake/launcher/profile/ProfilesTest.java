package org.layercake.launcher.profile;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.layercake.launcher.device.DeviceName;
import org.layercake.launcher.device.Devices;
import org.layercake.launcher.edit.Editor;
import org.layercake.launcher.edit.Given;
import org.layercake.launcher.edit.Mount;
import org.layercake.launcher.edit.Origin;
import org.layercake.launcher.node.Abort;
import org.layercake.store.ExitCode;
import org.layercake.store.StoreException;

/** Takes root, whose profiles must be. */
class ProfilesTest {
  private static final Facts GPU_JOB = facts("long", Set.of("gpu"), Map.of("mpi", "yes"));
  private static final Facts NOBODY_ASKS =
      new Facts() {
        @Override
        public String partition() throws StoreException {
          throw new AssertionError("Slurm is asked");
        }

        @Override
        public Set<String> gres() throws StoreException {
          throw new AssertionError("Slurm is asked");
        }

        @Override
        public Map<String, String> labels() {
          return Map.of();
        }
      };

  @TempDir private Path directory;
  private Path files;
  private Path cdi;
  private Profiles profiles;

  private static Facts facts(String partition, Set<String> gres, Map<String, String> labels) {
    return new Facts() {
      @Override
      public String partition() {
        return partition;
      }

      @Override
      public Set<String> gres() {
        return gres;
      }

      @Override
      public Map<String, String> labels() {
        return labels;
      }
    };
  }

  @BeforeEach
  void makeDirectories() throws Exception {
    files = Files.createDirectory(directory.resolve("profiles.d"));
    cdi = Files.createDirectory(directory.resolve("cdi"));
    for (String name : List.of("libx.so.1", "libx.so.2", "other", ".hidden.so")) {
      Files.writeString(directory.resolve(name), "");
    }
    profiles = profiles(List.of());
  }

  private Profiles profiles(List<Mount> always) {
    return new Profiles(
        files,
        always,
        List.of(Devices.Wanted.parse("x.org/gpu=a?")),
        new Devices(List.of(cdi)),
        new Editor(directory.resolve("links")));
  }

  private Path profile(String name, String... lines) throws Exception {
    Path file = files.resolve(name);
    Files.writeString(file, String.join("\n", lines).replace("@", directory.toString()));
    Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rw-r--r--"));
    return file;
  }

  private Given given(String changes, Facts facts) throws Exception {
    return profiles.of(
        changes.isEmpty() ? List.of() : ProfileChange.parseList(changes), List.of(), facts);
  }

  /** The variables that profiles set, which say which of them there are. */
  private String names(String changes, Facts facts) throws Exception {
    return given(changes, facts).environment().stream()
        .map(variable -> variable.name())
        .collect(Collectors.joining(" "));
  }

  private Abort refused(String changes) {
    return assertThrows(Abort.class, () -> given(changes, GPU_JOB));
  }

  private static List<String> destinations(Given given) {
    return given.mounts().stream().map(Mount::destination).toList();
  }

  @ParameterizedTest
  @CsvSource({
    "always, A",
    "none, ''",
    "gres:gpu, A",
    "gres:nic, ''",
    "partition:long, A",
    "partition:lon, ''",
    "image-label:mpi=yes, A",
    "image-label:mpi=, ''",
    "image-label:x=yes, ''",
    "'gres:nic, partition:long', A",
    "'gres:nic, partition:short', ''",
  })
  void aProfileIsForTheContainersThatItNames(String when, String names) throws Exception {
    profile("a", "# a comment", "", "when = " + when, "env = set A=1");
    assertEquals(names, names("", GPU_JOB));
  }

  @Test
  void slurmIsAskedOnlyWhereItMatters() throws Exception {
    profile("a", "when=always", "env = set A=1");
    profile("b", "when = gres:gpu", "env = set B=1");
    assertEquals("A", names("-b", NOBODY_ASKS));
    assertThrows(AssertionError.class, () -> given("", NOBODY_ASKS));
  }

  @Test
  void usersChooseAmongWhatTheSiteLetsThem() throws Exception {
    profile("a", "when = always", "env = set A=1");
    profile("b", "when = none", "env = set B=1");
    profile("c", "when = always", "required = yes", "env = set C=1");
    profile("d", "when = gres:nic", "required = yes", "env = set D=1");
    assertEquals("A C", names("", GPU_JOB));
    assertEquals("B C", names("+b,-a", GPU_JOB));
    assertEquals("A C", names("+b,-b,+a,-d", GPU_JOB), "the last word counts");
    assertEquals(ExitCode.PERMISSION, refused("-c").exitCode());
    assertEquals(
        "cannot use profile \"d\": it is not for this job: when = gres:nic (leave it out of"
            + " --ch-profile)",
        refused("+d").getMessage());
    assertEquals(
        "cannot use \"+x\": this node has no such profile (choose of -a, +b, -c, -d)",
        refused("+x").getMessage());
    assertEquals(ExitCode.MISSING, refused("-x").exitCode());
  }

  @Test
  void mountsAreShownWhereTheyAreUnlessTheProfileSaysElse() throws Exception {
    profile(
        "a",
        "when = always",
        "mounts = @/libx.so.*, @/other:/else:rw , /none? , @/none*?",
        "mounts = image:site/data:1:/data, /etc:ro");
    Given given = given("", GPU_JOB);
    String here = directory.toString();
    assertEquals(
        List.of(here + "/libx.so.1", here + "/libx.so.2", "/else", "/none", "/data", "/etc"),
        destinations(given));
    assertEquals(
        List.of("/else"),
        given.mounts().stream().filter(Mount::writable).map(Mount::destination).toList());
    assertEquals("data", given.mounts().get(4).image().name());
    assertTrue(given.mounts().get(3).optional() && !given.mounts().get(0).optional());
  }

  @Test
  void whatAProfileNeedsAndTheNodeLacksIsNamed() throws Exception {
    profile("a", "when = always", "mounts = @/none, @/non*.so.1", "replace = @/libz.so*");
    Abort abort = refused("");
    assertEquals(ExitCode.MISCONFIGURED, abort.exitCode());
    String needs =
        "profile \"a\" needs \"@/none\", \"@/non*.so.1\", \"@/libz.so*\", which are not on this node";
    assertTrue(
        abort.getMessage().contains(needs.replace("@", directory.toString())), abort.getMessage());
    assertTrue(abort.getMessage().contains(files.resolve("a").toString()), abort.getMessage());
  }

  @Test
  void devicesOfProfilesOfTheSiteAndOfTheUserComeTogether() throws Exception {
    Path spec = cdi.resolve("x.yaml");
    Files.writeString(
        spec,
        """
        cdiVersion: 0.6.0
        kind: x.org/gpu
        devices:
        - {name: a, containerEdits: {env: [A=1]}}
        - {name: b, containerEdits: {env: [B=1]}}
        - {name: c, containerEdits: {env: [C=1]}}
        """);
    Files.setPosixFilePermissions(spec, PosixFilePermissions.fromString("rw-r--r--"));
    profile("a", "when = always", "env = set Z=1", "devices = x.org/gpu=b, y.org/z=all?");
    Given given = profiles.of(List.of(), DeviceName.parseList("x.org/gpu=c"), GPU_JOB);
    assertEquals(
        List.of("Z", "A", "B", "C"), given.environment().stream().map(v -> v.name()).toList());
  }

  @Test
  void theLaterOfTwoOnOnePlaceWinsAndSiteMountsAreTheFirst() throws Exception {
    Origin origin = new Origin("site-mounts", "x");
    profiles =
        profiles(List.of(new Mount("/usr", null, "/else", false, Mount.Kind.PLAIN, true, origin)));
    assertEquals("/usr", given("", NOBODY_ASKS).mounts().get(0).source());
    profile("a", "when = always", "mounts = /etc:/else", "users = slurm, munge");
    profile("b", "when = always", "mounts = /var:/else", "users = slurm");
    Given given = given("", NOBODY_ASKS);
    assertEquals(1, given.mounts().size());
    assertEquals("profile \"b\"", given.mounts().get(0).origin().name());
    assertEquals(List.of("slurm", "munge"), given.users());
  }

  @Test
  void changedFilesHoldForTheNextContainer() throws Exception {
    assertSame(Given.NOTHING, given("", NOBODY_ASKS));
    profile("a", "when = always", "env = set A=1");
    assertEquals("A", names("", NOBODY_ASKS));
    profile("a", "when = always", "env = set BB=1");
    assertEquals("BB", names("", NOBODY_ASKS));
    Files.delete(files.resolve("a"));
    assertEquals("", names("", NOBODY_ASKS));
    Files.delete(files);
    assertSame(Given.NOTHING, given("", NOBODY_ASKS));
    assertEquals(
        "cannot use \"+a\": this node has no such profile (it has none: leave out --ch-profile)",
        refused("+a").getMessage());
  }

  @Test
  void aBrokenFileIsSaidToThoseForWhomItIs() throws Exception {
    profile("a", "when = gres:gpu", "mount = /x");
    Facts other = facts("long", Set.of(), Map.of());
    assertEquals("", names("", other));
    Abort abort = refused("");
    assertEquals(ExitCode.MISCONFIGURED, abort.exitCode());
    assertTrue(abort.getMessage().contains("line 2: no such key \"mount\""), abort.getMessage());
    assertTrue(refused("-a").getMessage().contains("line 2"), "it may be required");
    assertThrows(Abort.class, () -> profiles.requireGood());
    profile("a", "when = none", "x");
    assertEquals("", names("", other));
    assertTrue(refused("+a").getMessage().contains("line 2"));
    profile("a", "when = nome");
    assertThrows(Abort.class, () -> given("", other), "nobody knows for whom");
    profile("a", "when = none", "when = gres:gpu");
    assertThrows(Abort.class, () -> given("", other));
    profile("a", "when none", "when = none");
    assertThrows(Abort.class, () -> given("", other));
    profile("a", "env = set A=1");
    assertTrue(refused("").getMessage().contains("does not say when"));
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "mounts = /etc/../root",
        "mounts = etc",
        "mounts = /",
        "mounts = /:/",
        "mounts = /etc:/x/../y",
        "mounts = /etc:/",
        "mounts = /etc:/x:/y",
        "mounts = /etc:/x:rx",
        "mounts = /*",
        "mounts = /*/x",
        "mounts = /u*/lib/libx.so",
        "mounts = /usr/*",
        "mounts = /usr/**",
        "mounts = /usr/*/",
        "mounts = //*/x",
        "mounts = /usr/a*/b*/c*",
        "mounts = /usr/lib*:/lib",
        "mounts = /etc?x",
        "mounts = ??",
        "mounts = /etc,,/usr",
        "mounts = /\u00e9tc",
        "mounts = /x\u0007",
        "mounts = image:data:/x",
        "mounts = image:site/data:/x:rw",
        "mounts = image:site/data",
        "mounts = image:site/da ta:/x",
        "replace = /usr/lib/libx.so:/lib/libx.so",
        "replace = /usr/lib/*",
        "env = A=1",
        "env = set A",
        "env = set 1A=1",
        "env = unset A=1",
        "env = append A=1",
        "env = set LAYERCAKE_UNSET=PATH",
        "devices = gpu",
        "users = ../x",
        "users = a:b",
        "required = maybe",
        "when = always",
        "colour = red",
        "just text",
        "when = gres:",
      })
  void whatIsNotUnderstoodIsRefusedWithItsLine(String line) throws Exception {
    profile("a", "when = always", line);
    Abort abort = refused("");
    assertEquals(ExitCode.MISCONFIGURED, abort.exitCode());
    assertTrue(
        abort.getMessage().startsWith("cannot use profile \"a\": line 2: "), abort.getMessage());
  }

  @Test
  void whatMeansTooMuchIsRefused() throws Exception {
    Path many = Files.createDirectory(directory.resolve("many"));
    for (int i = 0; i <= PathPattern.MAX_MATCHES; i++) {
      Files.createFile(many.resolve("f" + i));
    }
    profile("a", "when = always", "mounts = @/many/f*");
    assertTrue(refused("").getMessage().contains("means more than 256 paths"));
    profile("a", "when = always", "mounts = /etc" + ",/etc".repeat(512));
    assertTrue(refused("").getMessage().contains("more than 512 items"));
    profile("a", "#".repeat(10 << 20));
    assertTrue(refused("").getMessage().contains("it has more than 65536 bytes"));
    Files.delete(files.resolve("a"));
    for (int i = 0; i <= 256; i++) {
      profile("p" + i, "when = none");
    }
    assertTrue(refused("").getMessage().contains("more than 256"));
  }

  @Test
  void onlyRootMayHaveWrittenAProfile() throws Exception {
    Path file = profile("a", "when = none");
    Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rw-rw-r--"));
    assertOthersCanChange();
    Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rw-r--r--"));
    assertEquals("", names("", NOBODY_ASKS), "what is mended is used again");
    Files.setAttribute(file, "unix:uid", 4001);
    assertOthersCanChange();
    Files.setAttribute(file, "unix:uid", 0);
    Files.setPosixFilePermissions(files, PosixFilePermissions.fromString("rwxrwxrwx"));
    assertOthersCanChange();
  }

  private void assertOthersCanChange() {
    Abort abort = refused("");
    assertEquals(ExitCode.MISCONFIGURED, abort.exitCode());
    assertTrue(abort.getMessage().contains("others than root can change"), abort.getMessage());
  }

  @Test
  void linksOfTheSitesAreFollowedToFilesOfRootsAlone() throws Exception {
    Path target = directory.resolve("shipped");
    Files.writeString(target, "when = always\nenv = set A=1\n");
    Files.createSymbolicLink(files.resolve("a"), target);
    assertEquals("A", names("", NOBODY_ASKS));
    Path open = Files.createDirectory(directory.resolve("open"));
    Files.setPosixFilePermissions(open, PosixFilePermissions.fromString("rwxrwxrwx"));
    Files.move(target, open.resolve("shipped"));
    Files.delete(files.resolve("a"));
    Files.createSymbolicLink(files.resolve("a"), open.resolve("shipped"));
    assertOthersCanChange();
    Files.delete(open.resolve("shipped"));
    assertTrue(refused("").getMessage().contains("a link that leads nowhere"));
    Files.delete(files.resolve("a"));
    Files.createSymbolicLink(files.resolve("a"), files.resolve("a"));
    assertEquals(ExitCode.MISCONFIGURED, refused("").exitCode());
    Files.delete(files.resolve("a"));
    Files.createDirectory(files.resolve("a"));
    assertTrue(refused("").getMessage().contains("not a plain file"));
  }

  @Test
  void whatEditorsAndPackagesLeaveIsNoProfile() throws Exception {
    for (String name : List.of("a~", ".a.swp", "a.rpmsave", "a.dpkg-old", "#a#")) {
      profile(name, "nonsense");
    }
    assertSame(Given.NOTHING, given("", NOBODY_ASKS));
  }
}
