package org.layercake.launcher.job;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.layercake.launcher.edit.Mount;
import org.layercake.launcher.edit.Origin;
import org.layercake.launcher.image.Images;
import org.layercake.launcher.node.Abort;
import org.layercake.launcher.node.Await;
import org.layercake.store.ExitCode;
import org.layercake.store.JobRef;

@Timeout(120)
class ContainerImagesTest extends NodeTestCase {
  private static final Images.Reader READER =
      new Images.Reader(
          "nobody",
          NodeRig.NOBODY,
          1,
          () -> new JobRef("rig", 42, NodeRig.NOBODY),
          (image, runs, groups) -> {});

  private ContainerImages mount(String mounts, String siteMounts) throws Exception {
    node.push("site/data", "much");
    List<Mount> site =
        Spec.mounts(siteMounts).stream().map(m -> m.ofSite(new Origin("x", "y"))).toList();
    return ContainerImages.mount(
        node.launcher().images, Spec.parse(NodeRig.SPEC + mounts), () -> site, READER, line -> {});
  }

  @Test
  void imagesOfTheSiteThatCannotBeHadAreLeftOut() throws Exception {
    String site = "image:site/absent:/n:ro,/a:/b:rw,image:site/data:/d:ro";
    List<Spec.Mount> mounts = Spec.mounts(site);
    try (ContainerImages images = mount("", site)) {
      assertEquals(Optional.empty(), images.place(mounts.get(0)));
      assertEquals(Optional.of(mounts.get(1)), images.place(mounts.get(1)));
      Spec.Mount placed = images.place(mounts.get(2)).orElseThrow();
      assertTrue(placed.text().matches("/.*/images/.*:/d:ro"), placed.text());
      assertEquals(1, images.data().size());
      assertTrue(images.root().environment().contains(NodeRig.VARIABLE));
    }
  }

  @Test
  void anImageOfTheUsersThatCannotBeHadIsSaidAndTheOthersAreLetGo() throws Exception {
    String mounts = ";mount=image:site/data:/d:ro;mount=image:absent:7:/n:ro";
    Abort abort = assertThrows(Abort.class, () -> mount(mounts, ""));
    assertEquals(ExitCode.MISSING, abort.exitCode());
    assertTrue(abort.getMessage().contains("\"absent:7\""), abort.getMessage());
    Await.await("no image server is left", () -> node.processes().isEmpty());
  }

  @Test
  void theLineSaysWhichOfTheImagesIsTheOne() throws Exception {
    node.script(
        node.library.resolve("imageserver"),
        "[ -e %1$s ] && exit 65; touch %1$s; echo mounted; exec sleep 1000"
            .formatted(node.directory.resolve("first")));
    Abort abort =
        assertThrows(Abort.class, () -> mount(";mount=image:site/data:/d:ro", "").close());
    assertEquals(ExitCode.DAMAGED, abort.exitCode());
    String line = "cannot mount image \"site/data:latest\": imageserver exited with status 65";
    assertTrue(abort.getMessage().startsWith(line), abort.getMessage());
  }

  @Test
  void anImageThatIsMountedTwiceIsOne() throws Exception {
    String twice = ";mount=image:site/data:/d:ro;mount=image:site/data:latest:/e:ro";
    try (ContainerImages images = mount(twice, "image:site/data:/f:ro")) {
      assertEquals(1, images.data().size());
      assertEquals(2, node.processes().size());
    }
    Await.await("no image server is left", () -> node.processes().isEmpty());
  }

  @Test
  void theyAreAliveAsLongAsAllAre() throws Exception {
    Path noted = node.noteImageServer();
    try (ContainerImages images = mount(";mount=image:site/data:/d:ro", "")) {
      assertTrue(images.areAlive());
      assertFalse(images.endWithin(1));
      ProcessHandle.of(Long.parseLong(Files.readString(noted).strip()))
          .ifPresent(ProcessHandle::destroyForcibly);
      Await.await("one has ended", () -> !images.areAlive());
      assertTrue(images.endWithin(1) && images.root().isAlive());
    }
  }
}
