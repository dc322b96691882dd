package org.layercake.launcher.job;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.layercake.launcher.node.Abort;
import org.layercake.launcher.node.Await;
import org.layercake.launcher.node.Libc;
import org.layercake.launcher.node.ProcessId;
import org.layercake.launcher.node.UnixSocketTest;
import org.layercake.store.ExitCode;

@Timeout(120)
class HolderTest extends NodeTestCase {
  private Holder start(String spec) throws Exception {
    return Holder.start(
        node.settings(),
        JOB,
        Spec.parse(spec),
        Path.of("/image"),
        HolderTest::place,
        "/home/mé",
        Holder.Additions.NONE);
  }

  /** Has all images but one. */
  private static Optional<Spec.Mount> place(Spec.Mount mount) {
    if (!mount.isImage()) {
      return Optional.of(mount);
    }
    return mount.image().name().equals("gone")
        ? Optional.empty()
        : Optional.of(mount.from(Path.of("/run/images", mount.image().name())));
  }

  @Test
  void aHolderThatIsKeptIsFoundAgain() throws Exception {
    Holder holder = start(NodeRig.SPEC);
    holder.keep();
    try (Holder again = Holder.find(holder.id())) {
      assertEquals(holder.id(), again.id());
      holder.close();
      Await.await("it ends", () -> !again.id().isRunning());
    }
    assertThrows(IOException.class, () -> Holder.find(holder.id()));
  }

  @Test
  void aLaterProcessWithTheSamePidIsNotTaken() throws Exception {
    try (Holder holder = start(NodeRig.SPEC)) {
      ProcessId earlier = new ProcessId(holder.id().pid(), holder.id().startTicks() - 1);
      assertThrows(IOException.class, () -> Holder.find(earlier));
    }
  }

  @Test
  void aNodeWithoutChRunIsMisconfigured() throws Exception {
    JobSettings settings = node.settings();
    JobSettings without =
        new JobSettings(
            settings.runDirectory(),
            settings.libraryDirectory(),
            Path.of("/no/ch-run"),
            1,
            1,
            true,
            true,
            List.of("/run"),
            1 << 20,
            true,
            settings.slurmSpoolDirectory(),
            Optional.empty(),
            settings.policy(),
            settings.profiles());
    Abort abort =
        assertThrows(
            Abort.class,
            () ->
                Holder.start(
                    without,
                    JOB,
                    Spec.parse(NodeRig.SPEC),
                    directory,
                    Optional::of,
                    null,
                    Holder.Additions.NONE));
    assertEquals(ExitCode.MISCONFIGURED, abort.exitCode());
    assertTrue(abort.getMessage().contains("/no/ch-run"), abort.getMessage());
  }

  /** The program gets paths as in a spec, since a JVM's arguments are no bytes. */
  @Test
  void mountsReachTheProgramInTheirOrderAndAsInASpec() throws Exception {
    Path words = directory.resolve("words");
    node.script(
        node.library.resolve("holder"),
        "echo \"$*\" >" + words + "; echo ready; read kept && exec sleep 1000");
    String images = ";mount=image:gone:/h:ro;mount=image:x:1:/f%20g:ro";
    start(
            NodeRig.SPEC
                + ";mount=/a%20b:/c%C3%A9:ro"
                + images
                + ";mount=/d:/e:rw;root=1;cwd=/w%C3%A9")
        .close();
    String given = Files.readString(words);
    String spool = node.settings().slurmSpoolDirectory().toString();
    assertTrue(given.contains("--job 42 --uid 65534 "), given);
    assertTrue(given.contains(" --root --time-zone "), given);
    assertTrue(
        given.contains(" --scratch /run --site-mount " + spool + ":" + spool + ":rw "), given);
    assertTrue(given.contains(" --site-mount /home/m%E9:/home/m%E9:rw "), given);
    String directory = " --directory /w%C3%A9:/w%C3%A9:rw";
    assertTrue(
        given.endsWith(
            " --mount /a%20b:/c%C3%A9:ro --image-mount /run/images/x:/f%20g:ro --mount /d:/e:rw"
                + directory
                + "\n"),
        given);
  }

  @ParameterizedTest
  @CsvSource({
    "true, '', --site-mount /home/m%E9:/home/m%E9:rw",
    "false, '', ",
    "true, ;home=no, ",
    "true, ;home=/h%20x, --mount /h%20x:/home/m%E9:rw",
    "false, ;home=/h, --mount /h:/home/m%E9:rw"
  })
  void theHomeIsTheSitesTheUsersChoiceOrNone(boolean mountHome, String item, String option)
      throws Exception {
    Path words = directory.resolve("words");
    node.script(
        node.library.resolve("holder"),
        "echo \"$*\" >" + words + "; echo ready; read kept && exec sleep 1000");
    JobSettings settings = node.settings();
    JobSettings site =
        new JobSettings(
            settings.runDirectory(),
            settings.libraryDirectory(),
            settings.chRun(),
            1,
            1,
            mountHome,
            true,
            List.of(),
            1,
            false,
            settings.slurmSpoolDirectory(),
            Optional.empty(),
            settings.policy(),
            settings.profiles());
    Spec spec = Spec.parse(NodeRig.SPEC + item);
    Holder.start(
            site,
            JOB,
            spec,
            Path.of("/image"),
            HolderTest::place,
            "/home/m\u00e9",
            Holder.Additions.NONE)
        .close();
    String given = Files.readString(words);
    assertEquals(option != null, given.contains("/home/m%E9"), given);
    assertTrue(option == null || given.contains(" " + option), given);
  }

  @Test
  void nobodyIsSentTheNamespacesOfAHolderThatIsClosed() throws Exception {
    Holder holder = start(NodeRig.SPEC);
    int[] pair = UnixSocketTest.pair();
    holder.send(pair[0], ByteBuffer.wrap(new byte[] {7}));
    holder.close();
    holder.close();
    assertThrows(IOException.class, () -> holder.send(pair[0], ByteBuffer.wrap(new byte[] {7})));
    Await.await("it ends", () -> !holder.id().isRunning());
    assertFalse(Files.exists(Path.of("/proc/" + holder.id().pid() + "/ns/mnt")));
    Libc.close(pair[0]);
    Libc.close(pair[1]);
  }
}
