package org.layercake.it;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** What stays known of a job's image: in the launchers' logs, in Slurm and for its user. */
class AccountingIT {
  private static final String IMAGE = "accounted";

  @BeforeAll
  static void pushImage() {
    Images.busybox("alice", IMAGE, "date +%N >$d/etc/when"); // on no node yet
  }

  @AfterEach
  void noJobIsLeft() {
    Cluster.endJobs();
  }

  @Test
  void slurmAndTheUserCanTellWhichImageAFinishedJobOfTwoNodesRanIn() {
    String digest = Images.digest("alice", IMAGE);
    String setting = "slurm-comment = AdminComment";
    String onN1 = setting + "\nmetrics-file = /run/layercake/figures.prom";
    Cluster.withSettings(
        "n1", onN1, () -> Cluster.withSettings("n2", setting, () -> twoNodes(digest)));
  }

  private static void twoNodes(String digest) {
    // Slurm takes no comment for a job that is over.
    String job =
        Cluster.salloc(
                "alice",
                "-N2 --ch-writable --ch-image=" + IMAGE,
                """
                srun sh -c 'echo $SLURM_JOB_ID' | sort -u
                until scontrol show job $SLURM_JOB_ID | grep -q AdminComment=; do sleep 0.1; done
                """)
            .text();
    String show = "scontrol show job " + job + " | sed -n 's/^ *AdminComment=//p'";
    Cluster.await("Slurm knows", () -> !Cluster.as("alice", show).text().isEmpty());
    String comment = Cluster.as("alice", show).text();
    assertTrue(
        comment.matches(
            "layercake:image=alice/"
                + IMAGE
                + ":latest,digest="
                + digest
                + ",node=n[12],millis=\\d+,fetched=\\d+,copied=\\d+,cached=\\d+"),
        comment);
    assertEquals(comment, Cluster.as("alice", show).text());

    Cluster.await(
        "the job is over", () -> Cluster.as("alice", "squeue -h -j " + job).text().isEmpty());
    String history = Cluster.as("alice", "layercake history --job " + job).text();
    String line = history.lines().skip(1).findFirst().orElse("");
    String shown = digest.substring("sha256:".length()).substring(0, 12);
    assertTrue(
        line.matches(job + " +\\S+ \\S+ +COMPLETED +alice/" + IMAGE + ":latest +" + shown + " .*"),
        history);
    String json = Cluster.as("alice", "layercake history --json --image " + IMAGE).text();
    assertTrue(json.contains("\"digest\" : \"" + digest + "\""), json);
    assertEquals("", Cluster.as("alice", "layercake history --image " + IMAGE + ":none").text());
    assertEquals("", Cluster.as("bob", "layercake history").text());
    assertTrue(Cluster.as("root", "layercake history").text().contains(shown));
    Cluster.as("alice", "layercake history --job 1x").refused(64, "\"1x\"", "job");
    inTheLogOf("n1", job, digest);
    inTheLogOf("n2", job, digest);
    rootCanAskTheLauncher(digest);
  }

  private static void rootCanAskTheLauncher(String digest) {
    String json = Cluster.on("n1", "layercake-launcher status --json").text();
    assertTrue(json.contains("\"digest\" : \"" + digest + "\""), json);
    assertTrue(Cluster.on("n1", "layercake-launcher status").text().contains("starts: 1 ready"));
    String count = "grep '^layercake_container_start_seconds_count 1$' /run/layercake/figures.prom";
    Cluster.await("the metrics have it", () -> Cluster.on("n1", count).exit() == 0);
    Cluster.Result refused =
        Cluster.on("n1", "runuser -u alice -- /usr/sbin/layercake-launcher status");
    assertEquals(77, refused.exit(), refused.err());
    assertTrue(refused.err().contains("only root may"), refused.err());
  }

  private static void inTheLogOf(String node, String job, String digest) {
    String log =
        "grep -E ' event=(ready|step|ended) job=%s ' /var/log/layercake-launcher.log"
            .formatted(job);
    Cluster.await(
        "the container has ended", () -> Cluster.on(node, log).out().contains("event=ended"));
    String image = "uid=\\d+ image=alice/" + IMAGE + ":latest digest=" + digest;
    List<String> lines = Cluster.on(node, log).lines();
    assertEquals(3, lines.size(), lines::toString);
    matches(
        image
            + " millis=\\d+ image-millis=\\d+ fetched=\\d+ copied=\\d+ cached=\\d+ writable=true"
            + " root=false holder=\\d+",
        lines.get(0));
    matches(image + " step=0 millis=\\d+", lines.get(1));
    matches(image + " seconds=\\d+ fetched=\\d+ copied=\\d+ cached=\\d+", lines.get(2));
  }

  private static void matches(String end, String line) {
    assertTrue(line.matches("\\S+ INFO  event=\\S+ job=\\d+ " + end), line);
  }
}
