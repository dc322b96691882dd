package org.layercake.it;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** A node with a device that does not exist: its driver's library is another one's. */
class DeviceIT {
  // As a vendor's generator writes it. The library's own name is libz.so.1.
  private static final String MAKE_NODE =
      """
      set -e; mkdir -p /etc/cdi /var/lib/driver; library=$(readlink -f /usr/lib/*/libz.so.1)
      cp $library /var/lib/driver/libz.so.550.54
      cat >/etc/cdi/test.yaml <<END
      ---
      cdiVersion: 0.5.0
      kind: layercake.test/gpu
      containerEdits:
        deviceNodes:
        - path: /dev/null
        env: [TEST_VISIBLE_DEVICES=void]
        hooks:
        - hookName: createContainer
          path: /usr/bin/nvidia-cdi-hook
          args: [nvidia-cdi-hook, create-symlinks, --link, "libz.so.1::/var/lib/driver/libz.so"]
        - hookName: createContainer
          path: /usr/bin/nvidia-cdi-hook
          args: [nvidia-cdi-hook, update-ldcache, --folder, /var/lib/driver]
        mounts:
        - {hostPath: /var/lib/driver/libz.so.550.54, containerPath: /var/lib/driver/libz.so.550.54, options: [ro, bind]}
      devices:
      - name: all
        containerEdits:
          deviceNodes: [{path: /dev/layercake-gpu0, hostPath: /dev/zero}]
      END
      """;

  @BeforeAll
  static void makeDevice() {
    Images.debian("alice");
    Cluster.on("n1", MAKE_NODE).text();
  }

  @AfterAll
  static void removeDevice() {
    Cluster.on("n1", "rm -r /etc/cdi /var/lib/driver").text();
  }

  @AfterEach
  void endJobs() {
    Cluster.endJobs();
  }

  private static final String LOOK =
      """
      import ctypes, os
      ctypes.CDLL("libz.so.1")
      print([l.split()[-1] for l in open("/proc/self/maps") if "libz" in l][0])
      print(os.environ["TEST_VISIBLE_DEVICES"], os.path.exists("/var/lib/driver/libz.so"))
      print(open("/dev/layercake-gpu0", "rb").read(2))
      """;

  @Test
  void aProgramFindsTheNodesLibraryInsteadOfTheImagesInStepsAndSessions() {
    List<String> lines =
        Cluster.salloc(
                "alice",
                "-w n1 --ch-image=debian --ch-device=layercake.test/gpu=all",
                "cat >$HOME/look.py <<'END'\n"
                    + LOOK
                    + """
                    END
                    srun -Q python3 $HOME/look.py; ssh -q n1 python3 $HOME/look.py
                    srun -Q --ch-writable --ch-root python3 $HOME/look.py; rm $HOME/look.py
                    """)
            .lines();
    // Under its own name, which is mounted beside the file.
    List<String> once = List.of("/var/lib/driver/libz.so.1", "void True", "b'\\x00\\x00'");
    assertEquals(3, lines.size() / once.size(), lines.toString());
    for (int i = 0; i < lines.size(); i++) {
      assertEquals(once.get(i % once.size()), lines.get(i), lines.toString());
    }
  }

  @Test
  void whatCannotBeGivenIsRefusedWithWhatThereIs() {
    String run = "srun -Q -w n1 --ch-image=debian --ch-device=layercake.test/";
    Cluster.as("alice", run + "gpu=1 true").refused(66, "this node has layercake.test/gpu=all");
    Cluster.as("alice", run + "nic=1 true").refused(66, "none of that kind");
    Cluster.as("alice", run + "gpu true").refused(1, "VENDOR/CLASS=NAME");
    Cluster.on("n1", "mv /var/lib/driver/libz.so.550.54 /var/lib/driver/gone").text();
    Cluster.on("n1", "touch /etc/cdi/test.yaml").text();
    Cluster.as("alice", run + "gpu=all true").refused(78, "/var/lib/driver/libz.so.550.54");
    Cluster.on("n1", "mv /var/lib/driver/gone /var/lib/driver/libz.so.550.54").text();
  }

  @Test
  void theSiteMayGiveADeviceToAllContainers() {
    Cluster.withSettings(
        "n1",
        "devices = layercake.test/gpu=all?",
        () ->
            assertEquals(
                "void",
                Cluster.as(
                        "alice",
                        "srun -Q -w n1 --ch-image=debian sh -c 'echo $TEST_VISIBLE_DEVICES'")
                    .text()));
  }
}
