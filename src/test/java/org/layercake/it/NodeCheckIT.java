package org.layercake.it;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/**
 * layercake-check on real nodes. checking.py tests what it says of each thing that may be broken;
 * here is what needs a real cluster.
 */
class NodeCheckIT {
  private static final String CONFIG = "/etc/layercake/launcher.conf";

  @AfterEach
  void noNodeIsDrained() {
    Cluster.assertNodesAreWell();
  }

  @Test
  void aNodeOfTheClusterPassesAndSoDoesTheLoginSide() {
    String found = Cluster.on("n1", "layercake-check").text();
    for (String line :
        List.of(
            "ok container: nobody entered an image",
            "ok libslurm: ",
            "ok slurmctld: cluster layercake, with Contain and proctrack/cgroup",
            "ok plugstack: required /usr/lib/layercake/layercake.so",
            "warn cgroup: version 1 without memory", // as the cluster's nodes are
            "ok config: " + CONFIG + " is good",
            "ok store: pool layercake answers",
            "ok launcher: answers on /run/layercake/launcher.sock",
            "ok run-directory: ",
            "ok ssh: sessions enter containers by /usr/lib/layercake/ssh-entry")) {
      assertTrue(found.contains(line), () -> "no \"" + line + "\" in: " + found);
    }
    assertFalse(Cluster.on("head", "layercake-check --login").text().contains("fail "));
  }

  @Test
  void whatTheNodeCannotDoInTheStoreIsFoundBeforeAJobFindsIt() {
    Cluster.on(
            "head",
            "ceph auth get-or-create client.it-check mon 'allow r' osd 'allow r pool=layercake'"
                + " >/scratch/it-check.keyring && chmod 0600 /scratch/it-check.keyring")
        .text();
    try {
      String weak = withLines("client = client.it-check", "keyring = /scratch/it-check.keyring");
      broken(weak, "store", "the launcher may not write the domain \"launchers\"");
      broken(withLines("pool = it-no-such"), "store", "it-no-such");
      broken(withLines("cache-budgte = 1G"), "config", "no such key \"cache-budgte\"");
    } finally {
      Cluster.on("head", "ceph auth rm client.it-check; rm /scratch/it-check.keyring");
    }
  }

  @Test
  void aLauncherThatDiedAndAnSshdThatAdoptsNobodyAreFound() {
    Cluster.cluster("launcher", "n1", "kill").text();
    try {
      broken(":", "launcher", "is not running");
    } finally {
      Cluster.cluster("launcher", "n1", "start").text();
    }
    String sshd = "/etc/ssh/sshd_config";
    broken(
        "sed 's/^UsePAM yes/UsePAM no/' " + sshd + " >/tmp/it && mount --bind /tmp/it " + sshd,
        "ssh",
        "UsePAM");
  }

  @Test
  void theHealthCheckOfTheManualDrainsOnceAndKeepsOthersReasons() {
    String program = "/etc/slurm/it-health-check";
    // The script as the documentation has it.
    Cluster.on(
            "n1",
            "sed -n '/^    #!\\/bin\\/sh$/,/^$/s/^    //p' /usr/share/doc/layercake/operations.md"
                + " >"
                + program
                + " && chmod 0755 "
                + program)
        .text();
    String run = "env --ignore-environment SLURMD_NODENAME=n1 " + program;
    String reason = "scontrol --oneliner show node n1 | grep -o 'Reason=.*'";
    try {
      assertEquals("", Cluster.on("n1", run).text());
      Cluster.cluster("launcher", "n1", "kill").text();
      assertEquals(1, Cluster.on("n1", run).exit());
      assertTrue(Cluster.as("alice", "sinfo -h -n n1 -o %T").text().contains("drain"));
      String first = Cluster.on("n1", reason).text();
      assertTrue(first.contains("layercake-check: launcher: "), first);
      Cluster.on("n1", "scontrol update NodeName=n1 State=DRAIN Reason=mine").text();
      assertEquals(1, Cluster.on("n1", run).exit());
      assertTrue(Cluster.on("n1", reason).text().startsWith("Reason=mine "));
    } finally {
      Cluster.cluster("launcher", "n1", "start").text();
      Cluster.on("n1", "rm " + program);
      Cluster.on("n1", "scontrol update NodeName=n1 State=RESUME");
    }
  }

  /** Commands that show the check another config file, in mounts of its own. */
  private static String withLines(String... lines) {
    String added = String.join("\\n", lines);
    return "{ cat %1$s; printf '%2$s\\n'; } >/tmp/it && mount --bind /tmp/it %1$s"
        .formatted(CONFIG, added);
  }

  /** Checks n1 as it is after these commands, which nobody else sees the mounts of. */
  private static void broken(String commands, String check, String words) {
    Cluster.Result result =
        Cluster.on(
            "n1",
            "unshare --mount --propagation private sh -ec \"$(cat <<'SCRIPT'\n"
                + commands
                + "\nexec layercake-check --quiet\nSCRIPT\n)\"");
    assertEquals(1, result.exit(), result::toString);
    List<String> failed = result.out().lines().filter(line -> line.startsWith("fail ")).toList();
    assertEquals(1, failed.size(), result::toString);
    assertTrue(failed.get(0).startsWith("fail " + check + ": "), failed::toString);
    assertTrue(failed.get(0).contains(words), failed::toString);
  }
}
