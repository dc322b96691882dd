package org.layercake.it;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.regex.Pattern;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** Jobs that name no image run in the site's, and on the host only where the site lets them. */
class DefaultImageIT {
  private static final String FILE = "/etc/layercake/policy";
  private static final List<String> NODES = List.of("head", "n1", "n2");
  private static final String BAN = "deny host=* partition=bio -- ask for partition main\n";

  /** A program of sh that says where it runs: the node's system is a Debian. */
  private static final String WHERE = "sh -c '. /etc/os-release; echo ${ID#layercake-}'";

  @BeforeAll
  static void pushImages() {
    Images.busybox("alice", "usual", "");
    Images.busybox("alice", "special", "");
    Cluster.as("alice", "mkdir -p /scratch/default/a && echo seen >/scratch/default/file").text();
  }

  @AfterEach
  void noNodeIsDrained() {
    Cluster.endJobs();
    Cluster.assertNodesAreWell();
  }

  @AfterAll
  static void removeRules() {
    NODES.forEach(node -> Cluster.on(node, "rm -f " + FILE).text());
    Cluster.as("alice", "rm -r /scratch/default").text();
  }

  private static void rules(String text) {
    String write = "printf '%s' '" + text + "' >" + FILE + ".new && mv " + FILE + ".new " + FILE;
    NODES.forEach(node -> Cluster.on(node, write).text());
  }

  /** What commands of sh print, without what LayerCake says. */
  private static List<String> salloc(String options, String script) {
    return Cluster.salloc("alice", options, script).lines();
  }

  @Test
  void aJobThatAsksForNothingIsInTheDefaultImageHoweverItsStepsAreStarted() {
    rules("default image=alice/usual partition=bio\n");
    List<String> lines =
        salloc(
            "-p bio -w n1",
            """
            srun -Q %1$s
            srun -Q --export=NONE %1$s
            env -i /usr/bin/srun -Q --jobid=$SLURM_JOB_ID %1$s
            cd /scratch/default/a; srun -Q pwd; cd
            srun -Q --ch-mount=/scratch/default:/data sh -c '. /etc/os-release; cat /data/file; echo $ID'
            srun -Q --ch-workdir=/usr/bin pwd
            ssh n1 '. /etc/os-release; echo $ID'
            srun -Q --ch-image=special %1$s
            srun -Q --ch-image=none %1$s
            """
                .formatted(WHERE));
    assertEquals(
        List.of(
            "usual",
            "usual",
            "usual",
            "/scratch/default/a",
            "seen",
            "layercake-usual",
            "/usr/bin",
            "layercake-usual",
            "special",
            "debian"),
        lines);
    assertEquals(List.of("usual", "usual"), salloc("-p bio -w n1 : -p bio -w n2", het()));
    assertEquals("debian", Cluster.as("alice", "srun -Q -w n1 " + WHERE).text());
    assertEquals(
        "debian", Cluster.as("alice", "SLURM_CH_IMAGE=none srun -Q -p bio " + WHERE).text());
    assertEquals(List.of("debian"), salloc("-p bio --ch-image=none", "srun -Q " + WHERE));
  }

  private static String het() {
    return "srun -Q --het-group=0,1 " + WHERE;
  }

  /** Runs a batch script that says where it is, and where its step is. */
  private static Cluster.Result batch(String options) {
    return Cluster.as(
        "alice",
        """
        cd $HOME; rm -f default.*.out
        printf '#!/bin/sh\\n%%s\\n' '. /etc/os-release; echo script ${ID#layercake-}' \\
          'command -v srun >/dev/null || exit 0' "srun -Q cat /etc/os-release | grep ^ID=" >default.sh
        sbatch -Q -W -p bio -o default.%%a.out %s default.sh; code=$?
        cat default.*.out >&2
        grep -h -v ^layercake: default.*.out
        exit $code
        """
            .formatted(options));
  }

  @Test
  void batchScriptsAreInsideWhereTheSiteSaysSo() {
    rules("default image=alice/usual partition=bio\n");
    assertEquals(List.of("script debian", "ID=layercake-usual"), batch("--export=NONE").lines());
    assertEquals(List.of("script usual"), batch("--ch-batch").lines());
    rules("default image=alice/usual partition=bio batch=inside\n");
    assertEquals(List.of("script usual", "script usual"), batch("--array=1-2").lines());
    assertEquals(
        List.of("script debian", "ID=layercake-special"), batch("--ch-image=special").lines());
  }

  @Test
  void noWayLeadsOntoTheHostWhereARuleForbidsIt() {
    rules("default image=alice/usual partition=bio batch=inside\n" + BAN);
    String[] words = {"on the host", "ask for partition main", "line 2 of " + FILE};
    Cluster.as("alice", "srun -Q -p bio --ch-image=none echo ran").refused(77, words);
    Cluster.as("alice", "SLURM_LAYERCAKE_SPEC= srun -Q -p bio --ch-image=none echo ran")
        .refused(77, words);
    List<String> tried =
        Cluster.salloc(
                "alice",
                "-p bio -w n1 --ch-image=none",
                """
                srun -Q echo ran; echo step $?
                SLURM_LAYERCAKE_SPEC= SLURM_JOB_PARTITION=main srun -Q echo ran; echo own spec $?
                env -i /usr/bin/srun -Q --jobid=$SLURM_JOB_ID echo ran; echo scrubbed $?
                env -i /usr/bin/srun -Q --interactive --jobid=$SLURM_JOB_ID echo ran; echo shell $?
                ssh -q n1 echo ran; echo ssh $?
                srun -Q --ch-mount=/scratch/default cat /scratch/default/file
                """)
            .lines();
    assertEquals(
        List.of("step 77", "own spec 77", "scrubbed 77", "shell 77", "ssh 77", "seen"),
        tried.stream().filter(line -> !line.startsWith("layercake")).toList());
    Cluster.Result script = batch("--ch-image=special");
    assertEquals(77, script.exit(), script.toString());
    assertTrue(script.err().contains("this batch script on the host"), script.err());
    assertEquals(List.of("script usual"), batch("").lines());
    assertEquals(List.of("script special"), batch("--ch-image=special --ch-batch").lines());
  }

  @Test
  void whatIsRefusedAnywhereIsRefusedBeforeItQueues() {
    rules("deny host=* -- no host\ndeny image=alice/special root=no -- too special\n");
    String image = "sbatch -H --ch-batch --ch-image=special --wrap true";
    Cluster.as("alice", image)
        .refused(77, "cannot start alice/special:latest", "too special", "line 2 of " + FILE);
    Cluster.as("alice", "srun -Q --ch-image=special true")
        .refused(77, "cannot start alice/special:latest", "too special", "line 2 of " + FILE);
    Cluster.as("alice", "sbatch -H --ch-image=none --wrap true").refused(77, "line 1 of " + FILE);
    Cluster.as("alice", "sbatch -H --ch-image=usual --wrap true").refused(77, "batch script");
    assertEquals("", Cluster.as("alice", "squeue -h").text());
  }

  @Test
  void aDefaultImageThatCannotBeHadFailsStepsAndDrainsNoNode() {
    rules("default image=alice/absent partition=bio\n");
    Cluster.as("alice", "srun -Q -p bio echo ran").refused(66, "alice/absent");
    rules("default image=alice/absent partition=bio,\n");
    Cluster.as("alice", "srun -Q -p bio echo ran").refused(78, "line 1");
    String check = "layercake policy check --file draft --partition bio --user alice";
    String draft = "cd /tmp && printf 'default image=site/x partition=bio\n" + BAN + "' >draft && ";
    assertTrue(
        Pattern.compile(
                "(?s).*2 rules\nwithout --ch-image: site/x:latest, by line 1 of .*"
                    + "batch on the host: refused by line 2 of .*")
            .matcher(Cluster.on("n1", draft + check).text())
            .matches());
    assertEquals(77, Cluster.on("n1", "cd /tmp && " + check + " --host ssh").exit());
  }
}
