package org.layercake.launcher.job;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.layercake.launcher.device.Devices;
import org.layercake.launcher.edit.Origin;
import org.layercake.launcher.node.Abort;
import org.layercake.launcher.profile.ProfileChange;
import org.layercake.policy.PolicyFile;
import org.layercake.store.ExitCode;
import org.layercake.store.ImageName;

class SpecTest {
  @Test
  void readsImageMountsAndRoot() throws Abort {
    Spec spec = Spec.parse("image=deb:12;mount=/scratch:/scratch:rw;mount=/a%3Ab:/c:ro;root=1");
    assertEquals("deb", spec.image().name());
    assertEquals(
        List.of(
            new Spec.Mount("/scratch", "/scratch", Spec.Mount.Mode.RW),
            new Spec.Mount("/a:b", "/c", Spec.Mount.Mode.RO)),
        spec.mounts());
    assertTrue(spec.root());
  }

  @Test
  void readsImagesThatAreMounted() throws Exception {
    String digest = "sha256:" + "0".repeat(64);
    Spec spec =
        Spec.parse(
            "image=a;mount=image:bob/x:1@"
                + digest
                + ":/d%3Ae:ro;mount=/a:/b:rw;mount=image:x:/f:ro");
    Spec.Mount first = spec.mounts().get(0);
    assertEquals(ImageName.parse("bob/x:1@" + digest), first.image());
    assertEquals("/d:e", first.destination());
    assertEquals("image:bob/x:1@" + digest + ":/d%3Ae:ro", first.text());
    assertEquals("image:x:latest:/f:ro", spec.mounts().get(2).text());
    assertFalse(spec.mounts().get(1).isImage());
    assertEquals("/i/x:/f:ro", spec.mounts().get(2).from(Path.of("/i/x")).text());
  }

  @Test
  void anImageElsewhereIsNotMounted() {
    Abort abort =
        assertThrows(Abort.class, () -> Spec.parse("image=a;mount=image:docker://r/x:/d:ro"));
    assertEquals(ExitCode.MISSING, abort.exitCode());
  }

  @Test
  void imagesThatTheSiteMountsHaveTheirOwner() throws Abort {
    assertEquals("x", Spec.mounts("image:site/x:1:/d:ro, /a:/b:rw").get(0).image().name());
    Abort abort = assertThrows(Abort.class, () -> Spec.mounts("image:x:1:/d:ro"));
    assertTrue(abort.getMessage().contains("image:site/NAME"), abort.getMessage());
    assertThrows(Abort.class, () -> Spec.mounts("image:site/x:/d:ro,".repeat(9)));
  }

  @Test
  void readsHowMuchMayBeChanged() throws Abort {
    assertEquals(0, Spec.parse("image=a").writableBytes());
    assertEquals(5 << 20, Spec.parse("image=a;writable=5242880").writableBytes());
    assertEquals(Spec.DEFAULT_BYTES, Spec.parse("image=a;writable=default").writableBytes());
  }

  @Test
  void keepsEveryByteOfAPath() throws Abort {
    String path = "/\u00e9\u0001 %;:x";
    Spec.Mount mount = new Spec.Mount(path, "/x:y", Spec.Mount.Mode.RO);
    assertEquals(List.of(mount), Spec.parse("image=a;mount=" + mount.text()).mounts());
  }

  @Test
  void aDirectoryMakesAnotherContainer() throws Abort {
    Spec spec = Spec.parse("image=a;cwd=/w%20x;root=1;entrypoint=1;workdir=/y");
    assertEquals("/w x", spec.directory());
    assertEquals("image=a;cwd=/w%20x;root=1", spec.text());
    assertEquals(Spec.parse("image=a;root=1"), spec.withoutDirectory());
  }

  @Test
  void aDirectoryCountsWhereTheSiteMountsItAndDoesNotHaveItAnyway() throws Abort {
    Spec spec = Spec.parse("image=a;cwd=/w/x");
    assertEquals(spec, settings(true, "/w/x/y:/w/x/y:rw").relevant(spec));
    assertEquals(spec.withoutDirectory(), settings(true, "/w:/w:rw").relevant(spec));
    assertEquals(spec.withoutDirectory(), settings(false, "").relevant(spec));
    Spec without = Spec.parse("image=a");
    assertEquals(without, settings(false, "").relevant(without));
  }

  private static JobSettings settings(boolean mountCwd, String siteMounts) throws Abort {
    Path none = Path.of("/none");
    return new JobSettings(
        none,
        none,
        none,
        1,
        1,
        true,
        mountCwd,
        List.of(),
        1,
        false,
        none,
        Optional.empty(),
        PolicyFile.ofSite(none),
        NodeRig.profiles(none, siteMounts, new Devices(List.of()), none));
  }

  @Test
  void aHomeMakesAnotherContainerAndVariablesDoNot() throws Abort {
    assertEquals("/h x", Spec.parse("image=a;home=/h%20x").home());
    Spec spec = Spec.parse("image=a;home=no;env=A,B");
    assertEquals("no", spec.home());
    assertEquals("image=a;home=no", spec.text());
    assertEquals(spec, Spec.parse("image=a;cwd=/w;home=no").withoutDirectory());
  }

  @Test
  void profilesThatAreAskedForMakeAnotherContainer() throws Abort {
    Spec spec = Spec.parse("image=a;profile=+nccl,-cxi");
    assertEquals(
        List.of(new ProfileChange("nccl", true), new ProfileChange("cxi", false)), spec.profiles());
    assertEquals("image=a;profile=+nccl,-cxi", spec.text());
    assertEquals(64, Spec.parse("image=a;profile=" + "+a,".repeat(63) + "+a").profiles().size());
    assertThrows(Abort.class, () -> Spec.parse("image=a;profile=" + "+a,".repeat(64) + "+a"));
  }

  @Test
  void aMountOfTheSitesIsTheSameAsAnEdit() throws Abort {
    Origin origin = new Origin("x", "y");
    Spec.Mount mount = Spec.mounts("/m%C3%A9%20x:/d:rw").get(0);
    assertEquals("/m\u00e9 x", mount.ofSite(origin).source());
    assertEquals(mount, Spec.Mount.of(mount.ofSite(origin)));
    Spec.Mount image = Spec.mounts("image:site/x:1:/d:ro").get(0);
    assertEquals(image, Spec.Mount.of(image.ofSite(origin)));
    Spec.Mount bytes = Spec.mounts("/m%E9:/d:rw").get(0);
    assertThrows(IllegalArgumentException.class, () -> bytes.ofSite(origin));
  }

  @Test
  void aMountShowsItsDestinationAndWhatIsInIt() {
    Spec.Mount mount = new Spec.Mount("/x", "/a//b/", Spec.Mount.Mode.RO);
    assertTrue(mount.shows("/a/b") && mount.shows("//a/b/c"));
    assertFalse(mount.shows("/a/bc") || mount.shows("/a") || mount.shows("/x"));
  }

  @Test
  void whereAStepStartsMakesNoOtherContainer() throws Abort {
    Spec spec = Spec.parse("image=a;mount=/a:/a:rw");
    assertEquals(spec, Spec.parse("image=a;mount=/a:/a:rw;workdir=/x%20y"));
    assertEquals(spec, Spec.parse("image=a;workdir=image;mount=/a:/a:rw"));
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        "mount=/a:/b:ro",
        "image=a;image=b",
        "image=a;mount=/a:/b",
        "image=a;mount=/a:/b:rx",
        "image=a;mount=a:/b:ro",
        "image=a;mount=/a:b:ro",
        "image=a;mount=/a/../etc:/b:ro",
        "image=a;mount=/a:/b/..:ro",
        "image=a;mount=/a:/:ro",
        "image=a;mount=/a://:ro",
        "image=a;mount=/a%00:/b:ro",
        "image=a;mount=/a%2:/b:ro",
        "image=a;mount=/a%zz:/b:ro",
        "image=a;mount=/a b:/b:ro",
        "image=a;mount=image:x:/d:rw",
        "image=a;mount=image:x:d:ro",
        "image=a;mount=image:x:/:ro",
        "image=a;mount=image::/d:ro",
        "image=a;mount=image:/d:ro",
        "image=a;mount=image:../x:/d:ro",
        "image=a;mount=image:x:1:2:/d:ro",
        "image=a;mount=images:x:/d:ro",
        "image=a;root=2",
        "image=a;root=1;root=1",
        "image=a;writable=0",
        "image=a;writable=-1",
        "image=a;writable=",
        "image=a;writable=9999999999999999",
        "image=a;writable=1;writable=1",
        "image=a;volume=/a:/b:ro",
        "image=a;workdir=/a;workdir=/a",
        "image=a;workdir=/a b",
        "workdir=/a",
        "image=a;cwd=a",
        "image=a;home=yes",
        "image=a;home=no;home=no",
        "image=a;env=A;env=A",
        "image=a;profile=",
        "image=a;profile=a",
        "image=a;profile=+",
        "image=a;profile=+a,",
        "image=a;profile=+../x",
        "image=a;profile=+a;profile=+a",
        "image=a;cwd=/",
        "image=a;cwd=/a/..",
        "image=a;cwd=/a;cwd=/a",
        "image=a;",
        "image=../../etc"
      })
  void refusesWhatIsNotASpec(String text) {
    Abort abort = assertThrows(Abort.class, () -> Spec.parse(text));
    assertEquals(ExitCode.REQUEST, abort.exitCode());
  }

  @Test
  void refusesMoreMountsThanItsBound() throws Abort {
    String images = "image=a" + ";mount=image:x:/b:ro".repeat(8);
    assertEquals(8, Spec.parse(images).mounts().size());
    assertThrows(Abort.class, () -> Spec.parse(images + ";mount=image:x:/b:ro"));
    String many = "image=a" + ";mount=/a:/b:ro".repeat(65);
    assertThrows(Abort.class, () -> Spec.parse(many));
  }
}
