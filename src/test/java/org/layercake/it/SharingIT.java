package org.layercake.it;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Who may run, read and write whose images: with the users' own keys, and around layercake. */
class SharingIT {
  private static final String RUN = "srun --ch-image=alice/lent cat /etc/os-release";

  @BeforeAll
  static void push() {
    Images.busybox("alice", "lent", "");
    Images.busybox("alice", "secret", "");
  }

  @AfterEach
  void takeBack() {
    Cluster.as("alice", "layercake unshare lent").text();
    Cluster.endJobs();
  }

  @Test
  void anImageIsPrivateUntilItIsSharedWithAUserAndAgainAfterwards() {
    Cluster.as("bob", RUN).refused(77, "alice/lent", "layercake share lent --with bob");
    assertEquals(
        "alice/lent is shared with user:bob",
        Cluster.as("alice", "layercake share lent --with bob").text());
    assertEquals("ID=layercake-lent", Cluster.as("bob", RUN).text());
    Cluster.as("dana", RUN).refused(77, "alice/lent");
    Cluster.as("alice", "layercake unshare lent --with bob").text();
    Cluster.as("bob", RUN).refused(77, "alice/lent");
  }

  @Test
  void aGroupsMembersRunWhatIsSharedWithTheGroup() {
    Cluster.as("alice", "layercake share lent --with admins").text();
    assertEquals("ID=layercake-lent", Cluster.as("dana", RUN).text());
    Cluster.as("bob", RUN).refused(77, "alice/lent");
  }

  @Test
  void everybodyRunsWhatIsSharedWithAllAndNothingElse() {
    Cluster.as("alice", "layercake share lent --with all").text();
    assertEquals("ID=layercake-lent", Cluster.as("bob", RUN).text());
    assertEquals("ID=layercake-lent", Cluster.as("dana", RUN).text());
    Cluster.as("bob", "srun --ch-image=alice/secret true").refused(77, "alice/secret");
    String secret = Images.digest("alice", "secret");
    Cluster.as("bob", "srun --ch-image=alice/lent@" + secret + " true").refused(77, "alice/lent");
    Cluster.as("bob", "srun --ch-image=alice/absent true").refused(77, "alice/absent");
  }

  /** Anybody can write another's digests into their own domain; that is no permission. */
  @Test
  void theDigestsOfAnothersImageGiveNothingOfItAlsoWhereTheNodeHasIt() {
    String digest = Images.digest("alice", "secret");
    Process job = Cluster.start("alice", "srun -w n1 --ch-image=secret sleep 1000");
    Cluster.await("n1 has it", () -> !Images.cached("n1", "alice", "secret").isEmpty());
    String manifest = "m/" + digest.substring("sha256:".length());
    Cluster.on(
            "head",
            """
            set -e; cd $(mktemp -d)
            rados -p layercake -N u.alice get %1$s manifest
            rados -p layercake -N u.bob put %1$s manifest
            """
                .formatted(manifest))
        .text();
    Cluster.as("bob", "srun -w n1 --ch-image=copied@" + digest + " true")
        .refused(74, "copied", "missing");
    Cluster.as("alice", "scancel --me").text();
    Cluster.await("srun ends", () -> !job.isAlive());
    Cluster.on("head", "rados -p layercake -N u.bob rm " + manifest).text();
  }

  @Test
  void aSharedImageIsPinnedByTheDigestThatTheJobSays() {
    Cluster.as("alice", "layercake share lent --with bob").text();
    String name =
        Cluster.as("bob", "srun --ch-image=alice/lent sh -c 'echo $LAYERCAKE_IMAGE'").text();
    assertEquals("alice/lent@" + Images.digest("alice", "lent"), name);
    assertEquals(
        name,
        Cluster.as("bob", "srun --ch-image=" + name + " sh -c 'echo $LAYERCAKE_IMAGE'").text());
  }

  @Test
  void aRunningJobGoesOnWhenItsImageIsNotSharedAnyMore() {
    Cluster.as("alice", "layercake share lent --with bob").text();
    String out =
        Cluster.sallocAround(
                "bob",
                "-w n1 --ch-image=alice/lent",
                () -> Cluster.as("alice", "layercake unshare lent").text(),
                "srun cat /etc/os-release")
            .text();
    assertEquals("ID=layercake-lent", out);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "-N u.alice ls",
        "-N u.alice get t /dev/null",
        "-N u.alice listomapvals t",
        "-N u.alice put mine /etc/hostname",
        "-N u.alice setomapval t lent/.share all",
        "-N u.alice rm t",
        "-N site put mine /etc/hostname",
        "-N site setomapval t lent/latest x",
        "-N site rm t",
        "ls",
      })
  void aUsersKeyDoesNotReachOtherDomainsWhateverIsShared(String command) {
    Cluster.as("alice", "layercake share lent --with bob").text();
    Cluster.Result result = rados("bob", command);
    assertNotEquals(0, result.exit(), command);
    assertTrue(result.err().contains("Operation not permitted"), result.err());
  }

  @Test
  void aUsersKeyReachesTheOwnDomainAndReadsTheSites() {
    rados("bob", "-N u.bob put own /etc/hostname").text();
    rados("bob", "-N u.bob rm own").text();
    rados("bob", "-N site ls").text();
  }

  @Test
  void whatIsSharedCannotBeReadOrChangedWithLayercake() {
    Cluster.as("alice", "layercake share lent --with bob").text();
    Cluster.as("bob", "layercake pull alice/lent $HOME/x").refused(77, "--ch-image=alice/lent");
    Cluster.as("bob", "layercake rm alice/lent").refused(77, "alice/lent");
    Cluster.as("bob", "layercake tag alice/lent mine").refused(77, "alice/lent");
    Cluster.as("bob", "layercake share alice/lent --with all").refused(64, "alice/lent");
    Cluster.as("bob", "layercake gc --owner alice").refused(77, "u.alice");
    Cluster.as("bob", "layercake gc --all").refused(77, "client.layercake.bob");
  }

  private static Cluster.Result rados(String user, String command) {
    return Cluster.as(
        user,
        "rados -n client.layercake.%s --keyring $HOME/.config/layercake/keyring -p layercake %s"
            .formatted(user, command));
  }
}
