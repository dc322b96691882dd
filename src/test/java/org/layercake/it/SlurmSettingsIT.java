package org.layercake.it;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;

import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** Containers live and end with their jobs also where Slurm is set up in other ways. */
class SlurmSettingsIT {
  private static final String HOLDER = "pgrep -x -u alice layercake-pause";

  @BeforeAll
  static void pushImages() {
    Images.busybox("alice", "settings", "");
    Images.busybox("alice", "settings-other", "");
  }

  @AfterEach
  void slurmIsAsItWasAndNoNodeIsDrained() {
    Cluster.endJobs();
    assertEquals(0, Cluster.cluster("slurm").exit());
    Cluster.assertNodesAreWell();
  }

  @Test
  void withLinuxprocTheLauncherEndsTheHolderAlsoWhenItMissedTheEnd() {
    assertEquals(0, Cluster.cluster("slurm", "ProctrackType=proctrack/linuxproc").exit());
    assertEquals(
        "ID=layercake-settings",
        Cluster.as("alice", "srun -w n1 --ch-image=settings cat /etc/os-release").text());
    Cluster.await("the holder ends with its job", () -> Cluster.on("n1", HOLDER).exit() == 1);

    Process job = Cluster.start("alice", "salloc -Q -K -w n1 --ch-image=settings sleep 1000");
    Cluster.await("the holder runs", () -> Cluster.on("n1", HOLDER).exit() == 0);
    assertEquals(0, Cluster.cluster("launcher", "n1", "kill").exit());
    Cluster.as("alice", "scancel --me").text();
    Cluster.await("salloc ends", () -> !job.isAlive());
    Cluster.awaitNoJobs();
    assertEquals(0, Cluster.cluster("launcher", "n1", "start").exit());
    Cluster.await("the holder is ended late", () -> Cluster.on("n1", HOLDER).exit() == 1);
    Cluster.await(
        "it is said who ends holders",
        () ->
            Cluster.on("n1", "grep event=proctrack /var/log/layercake-launcher.log | tail -1")
                .out()
                .contains("type=proctrack/linuxproc holders-ended-by=launcher"));
  }

  /**
   * Slurm 22.05 often fails to make the job's namespace, also without any plugin: slurmd.log then
   * has "_create_ns: ns base mount failed", and the allocation is revoked.
   */
  private static Cluster.Result startedAtLast(String options, String script) {
    Cluster.Result result = Cluster.salloc("alice", options, script);
    for (int i = 0; i < 20 && result.err().contains("has been revoked"); i++) {
      Cluster.awaitNoJobs();
      result = Cluster.salloc("alice", options, script);
    }
    return result;
  }

  @Test
  void withAPrivateTmpTheContainersOfAJobShowTheJobsOwn() {
    String base = "/var/lib/layercake-it";
    for (String node : List.of("n1", "n2")) {
      Cluster.on(
              node,
              "mkdir -p "
                  + base
                  + " && mount -t tmpfs -o mode=755 it "
                  + base
                  + " && mount --make-private "
                  + base)
          .text();
    }
    for (String node : List.of("head", "n1", "n2")) {
      Cluster.on(
              node,
              "printf 'AutoBasePath=true\\nBasePath="
                  + base
                  + "\\n' >/etc/slurm/job_container.conf")
          .text();
    }
    try {
      assertEquals(0, Cluster.cluster("slurm", "JobContainerType=job_container/tmpfs").exit());
      String read = "cat /tmp/private";
      String script =
          String.join(
              "\n",
              "srun --ch-image=none sh -c 'echo of $SLURM_JOB_ID >/tmp/private'",
              "srun " + read,
              "srun --ch-image=settings-other " + read,
              "ssh n1 " + read,
              "srun readlink /proc/self/ns/mnt",
              "ssh n1 readlink /proc/self/ns/mnt",
              "echo of $SLURM_JOB_ID");
      List<String> lines = startedAtLast("-w n1 --ch-image=settings", script).lines();
      assertEquals(6, lines.size(), lines.toString());
      for (int i = 0; i < 3; i++) {
        assertEquals(lines.get(5), lines.get(i));
      }
      assertEquals(lines.get(3), lines.get(4));
      assertNotEquals(0, Cluster.on("n1", "test -e /tmp/private").exit());
      Cluster.awaitNoJobs();
      Cluster.await("the holders are gone", () -> Cluster.on("n1", HOLDER).exit() == 1);
      String mounted = "grep layercake/images /proc/mounts";
      Cluster.await("no image is mounted", () -> Cluster.on("n1", mounted).exit() == 1);
    } finally {
      Cluster.endJobs();
      assertEquals(0, Cluster.cluster("slurm").exit());
      for (String node : List.of("n1", "n2")) {
        Cluster.await(
            "no job holds its base", () -> Cluster.on(node, "umount " + base).exit() == 0);
      }
      for (String node : List.of("head", "n1", "n2")) {
        Cluster.on(node, "rm /etc/slurm/job_container.conf").text();
      }
    }
  }
}
