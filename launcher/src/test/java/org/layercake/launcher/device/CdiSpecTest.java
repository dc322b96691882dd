package org.layercake.launcher.device;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTimeoutPreemptively;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.layercake.launcher.edit.Edits;
import org.layercake.launcher.edit.Mount;
import org.layercake.launcher.edit.Origin;
import org.layercake.launcher.edit.Variable;
import org.layercake.launcher.node.RootFile.UnusableException;

class CdiSpecTest {
  private static final String REMEDY = "generate the specs anew, as by nvidia-ctk cdi generate";

  /** As nvidia-ctk cdi generate writes it, shortened. */
  static final String NVIDIA =
      """
      ---
      cdiVersion: 0.5.0
      kind: nvidia.com/gpu
      containerEdits:
        deviceNodes:
        - path: /dev/nvidiactl
        env:
        - NVIDIA_VISIBLE_DEVICES=void
        hooks:
        - args:
          - nvidia-cdi-hook
          - create-symlinks
          - --link
          - libcuda.so.1::/usr/lib/x86_64-linux-gnu/libcuda.so
          - --link=../libnvidia-allocator.so.1::/usr/lib/x86_64-linux-gnu/gbm/nvidia-drm_gbm.so
          hookName: createContainer
          path: /usr/bin/nvidia-cdi-hook
          env: [NVIDIA_CTK_DEBUG=false]
        - args: [nvidia-ctk, hook, update-ldcache, --folder, /usr/lib/x86_64-linux-gnu]
          hookName: createContainer
          path: /usr/bin/nvidia-ctk
        mounts:
        - containerPath: /usr/lib/x86_64-linux-gnu/libcuda.so.550.54
          hostPath: /usr/lib/x86_64-linux-gnu/libcuda.so.550.54
          options: [ro, nosuid, nodev, bind]
        - containerPath: /run/nvidia-persistenced/socket
          hostPath: /run/nvidia-persistenced/socket
          options: [nosuid]
      devices:
      - name: "0"
        containerEdits:
          deviceNodes:
          - {path: /dev/nvidia0, hostPath: /dev/other0, type: c, major: 195, minor: 0, permissions: rw}
      - name: all
        containerEdits:
          deviceNodes:
          - path: /dev/nvidia0
      """;

  @Test
  void aVendorsSpecIsWhatItSays() throws Exception {
    CdiSpec spec = CdiSpec.parse(NVIDIA);
    assertEquals("nvidia.com/gpu", spec.kind());
    Origin all = new Origin("device nvidia.com/gpu", REMEDY);
    assertEquals(
        List.of(new Variable(Variable.Act.SET, "NVIDIA_VISIBLE_DEVICES", "void", all)),
        spec.edits().environment());
    String lib = "/usr/lib/x86_64-linux-gnu/";
    String cuda = lib + "libcuda.so.550.54";
    String socket = "/run/nvidia-persistenced/socket";
    assertEquals(
        List.of(
            new Mount("/dev/nvidiactl", "/dev/nvidiactl", true, Mount.Kind.DEVICE, all),
            new Mount(cuda, cuda, false, Mount.Kind.DRIVER, all),
            new Mount(socket, socket, true, Mount.Kind.DRIVER, all)),
        spec.edits().mounts());
    assertEquals(
        Map.of(
            lib + "libcuda.so",
            "libcuda.so.1",
            lib + "gbm/nvidia-drm_gbm.so",
            "../libnvidia-allocator.so.1"),
        spec.edits().links());
    assertEquals(
        List.of(
            new Mount(
                "/dev/other0",
                "/dev/nvidia0",
                true,
                Mount.Kind.DEVICE,
                new Origin("device nvidia.com/gpu=0", REMEDY))),
        spec.devices().get("0").mounts());
  }

  @Test
  void jsonIsReadAsWell() throws Exception {
    CdiSpec spec =
        CdiSpec.parse(
            """
            {"cdiVersion": "1.0.0", "kind": "amd.com/gpu", "annotations": {"a": "b"},
             "devices": [{"name": "0", "containerEdits":
               {"deviceNodes": [{"path": "/dev/dri/card0"}], "additionalGids": [44]}}]}
            """);
    assertEquals("/dev/dri/card0", spec.devices().get("0").mounts().get(0).source());
    assertEquals(Edits.NONE, spec.edits());
  }

  // What is wrong, as a replacement in the spec above, and words of the reason.
  @ParameterizedTest
  @ValueSource(
      strings = {
        "cdiVersion: 0.5.0 >> cdiVersion: 1.2.0 >> newer than 1.1",
        "cdiVersion: 0.5.0 >> cdiVersion: 2 >> \"cdiVersion\" of the file is missing, or not text",
        "kind: nvidia.com/gpu >> kind: gpu >> is not VENDOR/CLASS",
        "kind: nvidia.com/gpu >> kynd: nvidia.com/gpu >> \"kynd\" of the file is not known",
        "  env: >> netDevices: [] #: >> neither YAML nor JSON",
        "env: [NVIDIA_CTK_DEBUG=false] >> when: always >> \"when\" of an item of hooks",
        "NVIDIA_VISIBLE_DEVICES=void >> 2X=y >> is not NAME=VALUE",
        "update-ldcache >> load-kmods >> hook \"nvidia-ctk load-kmods\" is not known",
        "libcuda.so.1::/usr >> libcuda.so.1:/usr >> is not TARGET::LINK",
        "hostPath: /run/nvidia-persistenced/socket >> hostPath: /run/../etc >> not an absolute path",
        "hostPath: /run/nvidia-persistenced/socket >> type: tmpfs >> not a bind mount",
        "name: all >> name: \"0\" >> is there twice",
        "name: all >> name: ../x >> has no name of a device",
        "options: [nosuid] >> options: nosuid >> is not a list",
        "options: [nosuid] >> options: [1] >> something other than texts",
        "options: [nosuid] >> options: &a [*a] >> neither YAML nor JSON",
        "kind: nvidia.com/gpu >> kind: nvidia.com/gpu\nkind: a/b >> neither YAML nor JSON",
      })
  void whatIsNotUnderstoodIsRefusedWithItsPlace(String change) {
    String[] parts = change.split(" >> ", -1);
    String text = NVIDIA.replace(parts[0], parts[1]);
    assertTrue(!text.equals(NVIDIA), parts[0]);
    UnusableException e = assertThrows(UnusableException.class, () -> CdiSpec.parse(text));
    assertTrue(e.getMessage().contains(parts[2]), e.getMessage());
  }

  @ParameterizedTest
  @ValueSource(
      strings = {"", "[]", "just text", "!!java.net.URL [x]", "a: *b", "\u0000", "{", "--- \n---"})
  void whatIsNoSpecIsRefused(String text) {
    assertThrows(UnusableException.class, () -> CdiSpec.parse(text));
  }

  @Test
  void hostileFilesTakeNoTime() {
    String laughs =
        "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a]\nc: [*b,*b,*b,*b,*b,*b,*b]\n";
    for (String text :
        List.of(laughs, "[".repeat(100_000), "? ".repeat(100_000), "a: " + "x".repeat(2_000_000))) {
      assertTimeoutPreemptively(
          Duration.ofSeconds(20),
          () -> assertThrows(UnusableException.class, () -> CdiSpec.parse(text)));
    }
  }
}
