package org.layercake.it;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** The site's profiles, those that are shipped among them. */
class ProfileIT {
  private static final String PROFILES = "/etc/layercake/profiles.d/";

  @BeforeAll
  static void linkProfiles() {
    Images.debian("alice");
    for (String node : List.of("n1", "n2")) {
      Cluster.on(
              node,
              "mkdir -p %1$s && ln -s /usr/share/layercake/profiles/slurm %1$s".formatted(PROFILES))
          .text();
    }
  }

  @AfterAll
  static void removeProfiles() {
    Cluster.on("n1", "rm -r " + PROFILES).text();
    Cluster.on("n2", "rm -r " + PROFILES).text();
  }

  @AfterEach
  void endJobs() {
    Cluster.endJobs();
  }

  private static final String SCRIPT =
      """
      #!/bin/sh
      srun -N2 -n2 sh -c 'echo srun $(hostname) $CH_RUNNING'
      cd /usr/lib/python3/dist-packages/mpi4py && srun -N1 -n1 sh -c 'echo cwd $(pwd) $CH_RUNNING'
      cd
      mpirun -n 4 --map-by node sh -c 'echo mpirun $(hostname) $CH_RUNNING'
      mpirun -n 2 --map-by node python3 -c 'from mpi4py import MPI; c = MPI.COMM_WORLD; print("sum", c.allreduce(c.rank + 1))'
      squeue -h --me -o 'squeue %N'
      scontrol -o show job $SLURM_JOB_ID | grep -o ' NumNodes=2'
      """;

  /**
   * Whether the node's C library is newer than the image's: then Slurm's programs, which the
   * profile brings, cannot run in it, and say so.
   */
  private static boolean nodeIsNewerThanTheImage() {
    String run = "srun -Q -w n1 --ch-image=debian --ch-profile=+slurm srun --version";
    Cluster.Result version = Cluster.as("alice", run);
    return version.exit() != 0 && version.err().contains("version `GLIBC_");
  }

  @Test
  void whatSrunAndMpirunStartFromInsideIsInsideOnTheOtherNodeToo() {
    if (nodeIsNewerThanTheImage()) {
      return;
    }
    Cluster.as("alice", "cat >$HOME/inside.sh <<'END'\n" + SCRIPT + "END\n").text();
    List<String> lines =
        Cluster.as(
                "alice",
                "sbatch -W -Q -N2 -n4 -o $HOME/inside.out -e $HOME/inside.err --ch-image=debian"
                    + " --ch-batch --ch-profile=+slurm $HOME/inside.sh >/dev/null; sort $HOME/inside.out;"
                    + " rm $HOME/inside.*")
            .lines();
    String inside = " Weird Al Yankovic";
    assertEquals(
        List.of(
            "NumNodes=2",
            "cwd /usr/lib/python3/dist-packages/mpi4py" + inside,
            "mpirun n1" + inside,
            "mpirun n1" + inside,
            "mpirun n2" + inside,
            "mpirun n2" + inside,
            "squeue n[1-2]",
            "srun n1" + inside,
            "srun n2" + inside,
            "sum 3",
            "sum 3"),
        lines.stream().map(String::strip).toList());
  }

  @Test
  void aStepOfAnAllocationHasTheProfileThatItAsksFor() {
    String inner =
        nodeIsNewerThanTheImage()
            ? "test -x /usr/bin/srun && echo n2"
            : "srun -Q --overlap -N1 -w n2 hostname";
    List<String> lines =
        Cluster.salloc(
                "alice",
                "-N2 --ch-image=debian",
                """
                srun -Q -N1 sh -c 'command -v srun || echo none'
                srun -Q -N1 -w n1 --overlap --ch-profile=+slurm sh -c '%s'
                """
                    .formatted(inner))
            .lines();
    assertEquals(List.of("none", "n2"), lines);
  }

  // A library whose own name is that of one in the image, which is not where the image has it.
  private static final String TEST_PROFILE =
      """
      set -e; mkdir /var/lib/driver; cp $(readlink -f /usr/lib/*/libz.so.1) /var/lib/driver/libz.so.9
      cat >/etc/layercake/profiles.d/test <<'END'
      when = partition:main
      replace = /var/lib/driver/libz.so.*
      mounts = /var/lib/driver:/opt/driver, /none?
      env = set FROM_PROFILE=yes
      env = prepend PATH=/opt/driver
      env = unset HOST_ONLY
      users = munge
      END
      """;

  private static final String LOOK =
      """
      import ctypes, os, pwd
      ctypes.CDLL("libz.so.1")
      ctypes.CDLL("/usr/lib/x86_64-linux-gnu/libz.so.1")
      print(len({l.split()[4] for l in open("/proc/self/maps") if "libz" in l}))
      e = os.environ
      print(e["FROM_PROFILE"], e["PATH"].split(":")[0], e.get("HOST_ONLY"), os.listdir("/opt/driver"))
      print(pwd.getpwnam("munge").pw_name)
      """;

  @Test
  void aProfileReplacesLibrariesAndChangesTheEnvironment() {
    Cluster.on("n1", TEST_PROFILE).text();
    try {
      String run = "srun -Q -w n1 --ch-image=debian ";
      Cluster.as("alice", "cat >$HOME/look.py <<'END'\n" + LOOK + "END\n").text();
      String look = "export HOST_ONLY=1; " + run + "python3 $HOME/look.py";
      assertEquals(
          List.of("1", "yes /opt/driver None ['libz.so.9']", "munge"),
          Cluster.as("alice", look).lines());
      String print = "sh -c 'echo $FROM_PROFILE $HOST_ONLY'";
      assertEquals(
          "mine 1",
          Cluster.as(
                  "alice",
                  "export HOST_ONLY=1 FROM_PROFILE=mine; "
                      + run
                      + "--ch-env=HOST_ONLY,FROM_PROFILE "
                      + print)
              .text());
      assertEquals("", Cluster.as("alice", run + "--ch-profile=-test " + print).text());
      Cluster.as("alice", run + "--ch-profile=+tset true").refused(66, "-test");
      Cluster.on("n1", "rm -r /var/lib/driver").text();
      Cluster.as("alice", run + "true").refused(78, "/var/lib/driver\"", "libz.so.*");
      Cluster.on("n1", "echo required = yes >>/etc/layercake/profiles.d/test").text();
      Cluster.as("alice", run + "--ch-profile=-test true").refused(77, "requires");
      Cluster.on("n1", "chmod g+w /etc/layercake/profiles.d/test").text();
      Cluster.as("alice", run + "true").refused(78, "others than root");
    } finally {
      Cluster.on("n1", "rm -rf /etc/layercake/profiles.d/test /var/lib/driver").text();
    }
  }
}
