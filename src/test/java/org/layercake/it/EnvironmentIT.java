package org.layercake.it;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** What a program in the container finds around it: variables, directories, who it is. */
class EnvironmentIT {
  @BeforeAll
  static void pushImage() {
    Images.busybox(
        "alice",
        "environment",
        """
        mkdir "$d/ch" "$d/opt" "$d/proj"
        cat >"$d/ch/environment" <<'END'
        FROM_IMAGE=image
        BOTH=image
        HOME=/image
        SLURM_PROCID=image
        PMI_RANK=image
        PATH=/opt/tool:/usr/bin:/bin
        END
        mkdir "$d/opt/tool"
        printf '#!/bin/sh\\necho tool of the image\\n' >"$d/opt/tool/tool"
        chmod 755 "$d/opt/tool/tool"
        echo 'www-data:x:33:33::/var/www:/bin/false' >"$d/etc/passwd"
        echo 'alice:x:7:7::/:/bin/false' >>"$d/etc/passwd"
        echo 'www-data:x:33:' >"$d/etc/group"
        """);
  }

  @Test
  void theImagesVariablesLieOverTheUsersButForSlurmsPmisAndHome() {
    List<String> lines =
        Cluster.as(
                "alice",
                "FROM_USER=user BOTH=user srun --ch-image=environment sh -c 'echo $FROM_USER"
                    + " $FROM_IMAGE $BOTH $SLURM_PROCID $HOME ${PMI_RANK:-none}'")
            .lines();
    String[] words = lines.get(0).split(" ", -1);
    assertEquals(
        List.of("user", "image", "image", "0", "/home/alice"), List.of(words).subList(0, 5));
    assertFalse(words[5].equals("image"));
  }

  @Test
  void valuesWithNewlinesEmptyOnesAndLargeOnesAreWhatTheyAreOnTheHost() {
    List<String> lines =
        Cluster.as(
                "alice",
                """
                export LINES_TWO='a
                b' NOTHING= LARGE=$(head -c 100000 /dev/zero | tr '\\0' x)
                for image in none environment; do
                  srun --ch-image=$image sh -c '
                    echo "$LINES_TWO" ${NOTHING-unset} ${#LARGE}; env | grep -c ^NOTHING=$'
                done
                export A=$LARGE B=$LARGE C=$LARGE D=$LARGE E=$LARGE
                for image in none environment; do
                  srun --ch-image=$image sh -c 'echo ${#A} ${#B} ${#C} ${#D} ${#E} ${#LARGE}'
                done
                """)
            .lines();
    String all = "100000" + " 100000".repeat(5);
    assertEquals(List.of("a", "b 100000", "1", "a", "b 100000", "1", all, all), lines);
  }

  @Test
  void limitsAndTheUmaskAreThoseOfTheHost() {
    String look = " sh -c 'cat /proc/self/limits; umask'; ";
    String out =
        Cluster.as(
                "alice",
                "ulimit -n 512; ulimit -c 0; ulimit -s 4096; umask 027; for image in none"
                    + " environment; do srun -w n1 --ch-image=$image"
                    + look
                    + "done")
            .text();
    int half = out.length() / 2;
    assertEquals(out.substring(0, half), out.substring(half + 1));
    assertTrue(out.matches("(?s).*Max open files +512 +.*"), out);
    assertTrue(out.endsWith("\n0027"), out);
  }

  @Test
  void theUserMakesNamespacesOfHerOwn() {
    assertEquals(
        List.of("0", "1", "/proc/1"),
        Cluster.as(
                "alice",
                """
                srun --ch-image=environment busybox sh -c '
                  unshare -r id -u
                  unshare -r -p -f sh -c "echo \\$\\$"
                  unshare -r -p -f -m sh -c "mount -t proc proc /proc && ls -d /proc/[0-9]*"'
                """)
            .lines());
  }

  @Test
  void theUsersOwnValueWinsWhereSheSaysSo() {
    String print = " sh -c 'echo $BOTH $FROM_IMAGE'";
    String srun = "BOTH=user srun --ch-image=environment ";
    assertEquals(
        "user image", Cluster.as("alice", srun + "--ch-env=BOTH,FROM_IMAGE" + print).text());
    assertEquals(
        "user image", Cluster.as("alice", "export SLURM_CH_ENV=BOTH; " + srun + print).text());
    assertEquals(
        "user image",
        Cluster.as("alice", srun + "--ch-env=BOTH --ch-env=PATH /bin/busybox" + print).text());
    assertEquals("image image", Cluster.as("alice", srun + print).text());
    Cluster.as("alice", srun + "--ch-env=HOME echo ran").refused(1, "\"HOME\"", "anyway");
    Cluster.as("alice", srun + "--ch-env=A=1 echo ran").refused(1, "\"A=1\"");
    Cluster.as("alice", "srun --ch-env=A echo ran").refused(1, "--ch-env needs an image");
  }

  @Test
  void theHomeMayBeAnotherOrNone() {
    String make = "mkdir -p /scratch/environment-home; touch /scratch/environment-home/other; ";
    String srun = "srun --ch-image=environment ";
    assertEquals(
        "other",
        Cluster.as("alice", make + srun + "--ch-home=/scratch/environment-home ls $HOME").text());
    assertEquals(
        "other",
        Cluster.as("alice", "cd /scratch; " + srun + "--ch-home=environment-home ls $HOME").text());
    Cluster.as("alice", "rm -r /scratch/environment-home").text();
    assertEquals(
        "none",
        Cluster.as("alice", srun + "--ch-home=no --ch-workdir=/ sh -c 'test -e $HOME || echo none'")
            .text());
    Cluster.as("alice", srun + "--ch-home=no echo ran").refused(64, "\"/home/alice\"");
    assertEquals(
        "work",
        Cluster.as(
                "alice",
                "mkdir -p work; cd work; " + srun + "--ch-home=no ls $HOME; cd; rmdir work")
            .text());
    Cluster.as("alice", srun + "--ch-home=/none echo ran").refused(66, "\"/none\"");
  }

  @Test
  void commandsAreFoundOnTheImagesPath() {
    assertEquals(
        "tool of the image", Cluster.as("alice", "srun --ch-image=environment tool").text());
  }

  @Test
  void aStepIsInTheDirectoryItIsStartedFrom() {
    assertEquals("/home/alice", pwd("cd $HOME"));
    assertEquals("/etc", pwd("cd /etc"));
    assertEquals("/scratch", pwd("cd /scratch; set -- --ch-mount=/scratch"));
    assertEquals("/scratch", pwd("set -- --ch-mount=/scratch --chdir=/scratch"));
  }

  @Test
  void aStepWhoseDirectoryIsNotInsideDoesNotStart() {
    Cluster.as("alice", "cd /usr/share; srun --ch-image=environment echo ran")
        .refused(64, "\"/usr/share\"", "--ch-mount");
    Cluster.as("alice", "srun --chdir=/usr/share --ch-image=environment echo ran")
        .refused(64, "\"/usr/share\"", "--ch-workdir");
  }

  @Test
  void theDirectoryThatAStepIsStartedFromIsMounted() {
    String write = "sh -c 'pwd; echo written >file'; cat file; rm file; cd; rmdir $OLDPWD";
    String make = "mkdir -p /scratch/environment-it; cd /scratch/environment-it; ";
    assertEquals(
        "/scratch/environment-it\nwritten",
        Cluster.as("alice", make + "srun --ch-image=environment " + write).text());
    assertEquals(
        "/scratch/environment-it\nwritten",
        Cluster.as("alice", make + "srun --chdir=$PWD --ch-image=environment " + write).text());
  }

  @Test
  void anEmptyDirectoryOfTheImageIsMountedOverAndNoOther() {
    assertEquals("a", Cluster.as("alice", "cd /proj; srun --ch-image=environment ls").text());
    assertEquals("tool", Cluster.as("alice", "cd /opt; srun --ch-image=environment ls").text());
    assertEquals(
        "ID=layercake-environment",
        Cluster.as("alice", "cd /etc; srun --ch-image=environment cat os-release").text());
  }

  @Test
  void stepsInDirectoriesOfOneFileSystemShareTheContainerAndTheSessions() {
    String step = "srun readlink /proc/self/ns/mnt; ";
    List<String> lines =
        Cluster.as(
                "alice",
                "mkdir -p /scratch/environment-it/a; cd /scratch/environment-it; salloc -Q -w n1"
                    + " --ch-image=environment sh -c '"
                    + step
                    + "cd a; "
                    + step
                    + "cd /scratch; "
                    + step
                    + "cd; "
                    + step
                    + "ssh n1 readlink /proc/self/ns/mnt'; rm -r /scratch/environment-it")
            .lines();
    assertEquals(5, lines.size(), lines.toString());
    assertEquals(1, Set.copyOf(lines).size(), lines.toString());
  }

  @Test
  void aStepStartsInTheDirectoryThatItIsToldTo() {
    assertEquals("/opt/tool", pwd("cd /scratch; set -- --ch-workdir=/opt//tool/"));
    assertEquals("/", pwd("set -- --ch-workdir=image"));
    assertEquals("/opt", pwd("export SLURM_CH_WORKDIR=/opt"));
    assertEquals("/", pwd("export SLURM_CH_WORKDIR=/opt; set -- --ch-workdir=/"));
    Cluster.as("alice", "srun --ch-image=environment --ch-workdir=/none echo ran")
        .refused(64, "\"/none\"");
    Cluster.as("alice", "srun --ch-image=environment --ch-workdir=tool echo ran")
        .refused(1, "\"tool\"");
    Cluster.as("alice", "srun --ch-workdir=/opt echo ran")
        .refused(1, "--ch-workdir needs an image");
  }

  @Test
  void stepsThatStartInDifferentDirectoriesShareTheContainer() {
    String step = "sh -c 'pwd; readlink /proc/self/ns/mnt'";
    List<String> lines =
        Cluster.salloc(
                "alice",
                "-w n1 --ch-image=environment --ch-workdir=/opt",
                "srun " + step + "; srun --ch-workdir=/etc " + step)
            .lines();
    assertEquals(List.of("/opt", "/etc"), List.of(lines.get(0), lines.get(2)));
    assertEquals(lines.get(1), lines.get(3));
  }

  @Test
  void homeIsTheUsersOwn() {
    Cluster.as("alice", "echo secret >$HOME/home-file").text();
    assertEquals(
        "secret", Cluster.as("alice", "srun --ch-image=environment cat $HOME/home-file").text());
  }

  @Test
  void theUserIsKnownByNameWithHomeAndAShellThatIsThere() {
    String entry =
        Cluster.as("alice", "srun --ch-image=environment grep ^alice: /etc/passwd").text();
    String host = Cluster.as("alice", "getent passwd alice").text();
    assertTrue(host.endsWith(":/bin/bash"), host);
    assertEquals(host.replace("/bin/bash", "/bin/sh"), entry);
  }

  @Test
  void theImagesUsersAndGroupsAreKnown() {
    assertEquals(
        List.of("www-data:x:33:33::/var/www:/bin/false", "www-data:x:33:"),
        Cluster.as(
                "alice",
                "srun --ch-image=environment sh -c 'grep -h ^www-data /etc/passwd /etc/group'")
            .lines());
  }

  @Test
  void placesThatAreNotInsideAreNotNamed() {
    assertEquals(
        "/bin/sh none /tmp",
        Cluster.as(
                "alice",
                "SHELL=/bin/bash XDG_RUNTIME_DIR=/run/user/1 TMPDIR=/tmp srun"
                    + " --ch-image=environment sh -c 'echo $SHELL ${XDG_RUNTIME_DIR:-none}"
                    + " $TMPDIR'")
            .text());
  }

  @Test
  void groupsAreKept() {
    String groups = Cluster.as("alice", "srun grep ^Groups: /proc/self/status").text();
    // Unmapped groups are shown as 65534 inside, but they still open files: /proj/a is the proof.
    assertTrue(groups.split("\\s+", -1).length > 2, groups);
    String name =
        Cluster.as("alice", "srun --ch-image=environment --ch-mount=/proj/a ls /proj").text();
    assertEquals("a", name);
    assertEquals(
        0, Cluster.as("alice", "srun --ch-image=environment --ch-mount=/proj/a ls /proj/a").exit());
  }

  @Test
  void whatIsMadeInADirectoryOfAGroupIsTheGroups() {
    String make =
        "umask 007; mkdir -p /proj/a/dir/deep; touch /proj/a/dir/deep/file; chmod g+w"
            + " /proj/a/dir/deep/file; mv /proj/a/dir/deep/file /proj/a/dir/moved";
    Cluster.Result result =
        Cluster.as(
            "alice",
            "srun --ch-image=environment --ch-mount=/proj/a busybox sh -c '"
                + make
                + "'; cd /proj/a; stat -c %U:%G:%a dir dir/deep dir/moved; rm -r dir");
    assertEquals(
        List.of("alice:project:2770", "alice:project:2770", "alice:project:660"), result.lines());
    assertEquals("", result.err());
  }

  private static String pwd(String before) {
    return Cluster.as("alice", before + "; srun --ch-image=environment \"$@\" pwd").text();
  }
}
