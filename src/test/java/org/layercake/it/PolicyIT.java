package org.layercake.it;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** The rules of the site hold on its nodes, whatever way a user takes. */
class PolicyIT {
  private static final String FILE = "/etc/layercake/policy";

  @BeforeAll
  static void pushImage() {
    Images.busybox("alice", "ruled", "");
    Images.busybox("alice", "free", "");
  }

  private static void rules(String text) {
    String write = "printf '%s' '" + text + "' >" + FILE + ".new && mv " + FILE + ".new " + FILE;
    Cluster.on("n1", write).text();
  }

  @AfterEach
  void removeRules() {
    Cluster.on("n1", "rm -f " + FILE).text();
    Cluster.endJobs();
  }

  @Test
  void aUserFindsNoWayRoundARule() {
    rules("deny account=bio image=alice/ruled -- ask us\n");
    String digest = Images.digest("alice", "ruled");
    String run = "srun -Q -A bio -w n1 --ch-image=";
    String line = "line 1 of /etc/layercake/policy";
    Cluster.as("alice", run + "ruled true").refused(77, "alice/ruled:latest", "ask us", line);
    Cluster.as("alice", run + "free@" + digest + " true").refused(77, "ask us", line);
    Cluster.as("alice", "SLURM_CH_IMAGE=ruled srun -Q -A bio -w n1 true").refused(77, line);
    Cluster.as("alice", "SLURM_JOB_ACCOUNT=phys " + run + "ruled true").refused(77, line);
    List<String> tried =
        Cluster.salloc(
                "alice",
                "-A bio -w n1 --ch-image=ruled",
                """
                srun -Q true; echo step $?
                SLURM_LAYERCAKE_SPEC=image=alice/%72uled srun -Q true; echo own spec $?
                ssh -q n1 true; echo ssh $?
                srun -Q --ch-image=free echo the other runs
                """)
            .lines();
    assertEquals(
        List.of("step 77", "own spec 77", "ssh 77", "the other runs"),
        tried.stream().filter(each -> !each.startsWith("layercake")).toList());
    assertEquals("ran", Cluster.as("alice", "srun -Q -w n1 --ch-image=ruled echo ran").text());
  }

  @Test
  void mountsGoByWhereTheirLinksLead() {
    rules("allow mount=/scratch/policy/open\ndeny mount=/scratch/policy\n");
    Cluster.as(
            "alice",
            """
            mkdir -p /scratch/policy/open /scratch/policy/closed
            ln -sfn /scratch/policy/closed /scratch/policy/open/way
            """)
        .text();
    String run = "srun -Q -w n1 --ch-image=free --ch-mount=/scratch/policy/%s:/data ls /data";
    assertEquals("way", Cluster.as("alice", run.formatted("open")).text());
    Cluster.as("alice", run.formatted("closed")).refused(77, "/scratch/policy/closed", "line 2");
    Cluster.as("alice", run.formatted("open/way")).refused(77, "/scratch/policy/closed");
    Cluster.as("alice", "srun -Q -w n1 --ch-image=free --ch-mount=/scratch ls /data")
        .refused(77, "cannot mount \"/scratch\"");
    Cluster.as("alice", "cd /scratch/policy/closed && srun -Q -w n1 --ch-image=free true")
        .refused(64, "/scratch/policy/closed");
    Cluster.as("alice", "rm -r /scratch/policy").text();
  }

  @Test
  void rulesThatAreWrongLetNoContainerStartAndDrainNoNode() {
    rules("deny rot=yes\n");
    Cluster.as("alice", "srun -Q -w n1 --ch-image=free true").refused(78, "line 1", "\"rot\"");
    assertEquals("n1", Cluster.as("alice", "srun -Q -w n1 hostname").text());
    rules("deny root=yes\n");
    assertEquals("ran", Cluster.as("alice", "srun -Q -w n1 --ch-image=free echo ran").text());
    String check = "layercake policy check --user alice --image alice/free:latest --root";
    Cluster.Result checked = Cluster.on("n1", check);
    assertEquals(77, checked.exit(), checked.toString());
    assertTrue(checked.out().contains("refused by line 1 of " + FILE), checked.out());
  }
}
