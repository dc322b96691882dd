package org.layercake.it;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/**
 * The recipes of docs/building.md, each from an image of the store to a job that runs the new one.
 */
class BuildIT {
  private static final String BEGIN =
      """
      set -e; umask 022; rm -rf $HOME/build-it; mkdir $HOME/build-it; cd $HOME/build-it
      exec 3>&1 >log 2>&1; trap 'test $? = 0 || cat log >&3' EXIT
      layercake pull base base.sqfs; echo copied >file
      printf 'ENV GREETING=hello\\nRUN echo built >/made\\nCOPY file /copied\\n' >steps
      """;
  private static final String IDS = "alice:200000:65536";

  @BeforeAll
  static void pushBaseAndGiveIds() {
    Images.busybox("alice", "base", "");
    Cluster.on("n1", "echo " + IDS + " | tee -a /etc/subuid >>/etc/subgid").text();
  }

  @AfterAll
  static void takeIds() {
    Cluster.on("n1", "sed -i /^" + IDS + "$/d /etc/subuid /etc/subgid").text();
  }

  @AfterEach
  void nothingIsLeft() {
    Cluster.as("alice", "rm -rf $HOME/build-it").text();
    Cluster.endJobs();
  }

  private static void assertBuilt(String image) {
    String look = " sh -c 'echo $GREETING; cat /made /copied'";
    String found = Cluster.as("alice", "srun --ch-image=" + image + look).text();
    assertEquals("hello\nbuilt\ncopied", found);
    Cluster.as("alice", "layercake rm " + image).text();
  }

  @Test
  void whatChImageBuildsRuns() {
    Cluster.as(
            "alice",
            BEGIN
                + """
                export CH_IMAGE_STORAGE=$HOME/build-it/storage
                ch-convert -i squash -o ch-image base.sqfs base
                { echo FROM base; cat steps; } >Dockerfile
                ch-image build -t built .
                ch-convert -i ch-image -o dir built built.d
                layercake push built.d built:ch-image
                """)
        .text();
    assertBuilt("built:ch-image");
  }

  @Test
  void whatBuildahBuildsInAJobRuns() {
    String script =
        BEGIN
            + """
            unsquashfs -quiet -no-progress -d base base.sqfs
            tar -C base --owner=0 --group=0 -cf base.tar .
            { echo FROM scratch; echo ADD base.tar /; cat steps; } >Containerfile
            export BUILDAH_NOPIVOT=true # a node's root directory is mounted nodev
            d=/tmp/build-it
            b() { buildah --root $d/images --runroot $d/run --storage-driver vfs "$@"; }
            b build --isolation chroot -t built .
            b push built oci-archive:built.tar
            buildah unshare rm -rf $d
            layercake push built.tar built:buildah
            """;
    String job =
        "cat >$HOME/build-it.sh <<'END'\n" + script + "END\nsrun -Q -w n1 sh $HOME/build-it.sh";
    Cluster.as("alice", job).text();
    Cluster.as("alice", "rm $HOME/build-it.sh").text();
    assertBuilt("built:buildah");
  }

  @Test
  void whatIsInstalledByHandAndSavedRuns() {
    Images.debian("alice");
    String said =
        Cluster.salloc(
                "alice",
                "-w n1 --ch-image=debian --ch-writable --ch-root",
                """
                srun sh -ec '
                  mkdir -p /build/t/DEBIAN /build/t/opt; cd /build; echo made >t/opt/made
                  printf "Package: built\\nVersion: 1\\nArchitecture: all\\n" >t/DEBIAN/control
                  printf "Maintainer: nobody\\nDescription: a test\\n" >>t/DEBIAN/control
                  { dpkg-deb -b t built.deb; apt-get install -y ./built.deb; } >log 2>&1 || cat log'
                srun --ch-image=none layercake save built:by-hand
                """)
            .text();
    assertTrue(said.contains("pushed alice/built:by-hand@sha256:"), said);
    String look =
        "srun --ch-image=built:by-hand sh -c 'cat /opt/made; dpkg -s built | grep Status'";
    assertEquals("made\nStatus: install ok installed", Cluster.as("alice", look).text());
    Cluster.as("alice", "layercake rm built:by-hand").text();
  }
}
