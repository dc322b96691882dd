package org.layercake.it;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** {@code layercake} as users run it, with their own keys, on real Ceph. */
class PushIT {
  private static final Pattern PUSHED =
      Pattern.compile(
          "pushed alice/[a-z:0-9-]+@sha256:[0-9a-f]{64} [0-9.]+ [kMGT]?B, [0-9.]+ [kMGT]?B new"
              + " \\((\\d+) %\\)");

  @BeforeAll
  static void makeATreeOfManyFiles() {
    Cluster.as(
            "alice",
            """
            set -e
            d=$HOME/push-it; rm -rf $d; mkdir -p $d/root/data $d/root/bin; cp /bin/busybox $d/root/bin/sh
            i=0; while [ $i -lt 60 ]; do head -c 1000000 /dev/urandom >$d/root/data/$i; i=$((i+1)); done
            mkdir -p $d/closed/in; echo x >$d/closed/in/file; chmod 000 $d/closed/in/file
            mkdir $d/$(printf 'caf\\303\\251'); echo x >$d/$(printf 'caf\\303\\251')/$(printf 'th\\303\\251')
            """)
        .text();
  }

  @Test
  void oneLineSaysWhatWasPushedAndPushingAgainUploadsNothing() {
    assertTrue(newPercent("push-it/root", "push-twice") > 0);
    assertEquals(0, newPercent("push-it/root", "push-twice"));
  }

  @Test
  void anImageWithOneChangedFileUploadsLessThanAThird() {
    newPercent("push-it/root", "push-changed");
    Cluster.as("alice", "cp -r $HOME/push-it/root $HOME/push-it/changed").text();
    Cluster.as("alice", "head -c 500000 /dev/urandom >$HOME/push-it/changed/data/30").text();
    int percent = newPercent("push-it/changed", "push-changed");
    assertTrue(percent > 0 && percent < 33, percent + " % new");
  }

  @Test
  void whatIsPulledIsTheUsersOwnAndWhateverGoesWrongIsOneLine() {
    String said =
        Cluster.as(
                "alice",
                """
                set -e
                exec 2>/tmp/push-it-errors
                d=$HOME/push-it; rm -rf $d/unpacked $d/a.tar; chmod 4755 $d/root/bin/sh
                layercake push $d/root pulled:1 >/dev/null
                layercake pull pulled:1 $d/unpacked/ >/dev/null
                diff -r $d/root $d/unpacked; stat -c '%U %a' $d/unpacked/bin/sh
                layercake pull pulled:1 $d/pulled.sqfs >/dev/null
                layercake pull pulled:1 - | cmp - $d/pulled.sqfs
                layercake pull pulled:1 oci-archive:$d/a.tar >/dev/null
                layercake push oci-archive:$d/a.tar pulled:2 | grep -o '0 B new'
                layercake copy pulled:1 pulled:3 | cut -d@ -f1
                layercake ls 'pulled:*' | wc -l
                exec 2>/tmp/push-it-errors
                layercake copy pulled:1 site/pulled && exit 1 || echo $?
                (ulimit -v 1000000; layercake ls) && exit 1 || echo $?
                (ulimit -n 16; layercake ls) && exit 1 || echo $?
                LC_ALL=C layercake push $d/$(printf 'caf\\351') x && exit 1 || echo $?
                layercake ls >/dev/full && exit 1 || echo $?
                grep -v '^fetching\\|^pushing' /tmp/push-it-errors | grep -vc '^layercake: cannot .*)$' || :
                layercake rm pulled:1 pulled:2 pulled:3 | wc -l
                rm -rf $d/unpacked $d/a.tar $d/pulled.sqfs /tmp/push-it-errors; chmod 755 $d/root/bin/sh
                """)
            .text();
    assertEquals(
        "alice 755 0 B new tagged alice/pulled:3 4 77 78 78 64 73 0 3", said.replace('\n', ' '));
  }

  @Test
  void nodesTakeTheImageForTheirProcessorAndRefuseWhatIsForOthers() {
    Cluster.Result ran =
        Cluster.as(
            "alice",
            """
            set -e; exec 2>&1
            d=$HOME/push-it/arm; rm -rf $d; mkdir -p $d/bin
            printf '\\177ELF\\2\\1\\1\\0\\0\\0\\0\\0\\0\\0\\0\\0\\2\\0\\267\\0' >$d/bin/sh; chmod 755 $d/bin/sh
            layercake push $HOME/push-it/root several >/dev/null
            layercake push --arch arm64 $d several >/dev/null
            srun -Q --ch-image=several sh -c 'echo ran'
            layercake rm --arch "$(uname -m)" several >/dev/null
            srun -Q --ch-image=several sh -c 'echo ran too' || echo $?
            layercake rm several | wc -l
            """);
    assertTrue(
        ran.out().matches("(?s).*\nran\n.*its programs are for aarch64.*\n68\n1\n"), ran::toString);
  }

  @Test
  void aPushThatIsKilledLeavesNothingVisibleAndTheNextOneUploadsTheRest() {
    Cluster.as(
            "alice",
            """
            set -e
            d=$HOME/push-it; rm -rf $d/killed; mkdir $d/killed
            head -c 400000000 /dev/urandom >$d/killed/data
            mksquashfs $d/killed $d/killed.sqfs -noappend -quiet -no-progress >/dev/null
            """)
        .text();
    String before = chunks();
    Process push = Cluster.start("alice", "exec layercake push $HOME/push-it/killed.sqfs killed");
    Cluster.await("some chunks are stored", () -> !chunks().equals(before));
    Cluster.as("alice", "pkill -9 -u alice -f '[o]rg.layercake.cli.Layercake push .*killed'")
        .text();
    Cluster.await("the push ended", () -> !push.isAlive());
    assertNotEquals(0, push.exitValue());
    assertEquals(66, Cluster.as("alice", "layercake inspect killed").exit());
    int percent = newPercent("push-it/killed.sqfs", "killed");
    assertTrue(percent < 100, percent + " % new");
    Cluster.as(
            "alice",
            "layercake pull killed $HOME/push-it/back && cmp $HOME/push-it/back"
                + " $HOME/push-it/killed.sqfs")
        .text();
  }

  @Test
  void anImageOfARegistryIsFetchedOnceAndRuns() {
    String said =
        Cluster.as(
                "alice",
                """
                set -e
                d=$HOME/push-it/registry; rm -rf $d; mkdir -p $d/root/bin $d/data; cd $d
                cp /bin/busybox root/bin; ln -s busybox root/bin/cat; echo from-a-registry >root/what
                tar -C root -cf root.tar .
                umoci init --layout $d/oci && umoci new --image $d/oci:t
                umoci raw add-layer --image $d/oci:t root.tar
                printf 'version: 0.1\\nstorage: {filesystem: {rootdirectory: %s}}\\nhttp: {addr: "127.0.0.1:0"}\\n' $d/data >conf
                docker-registry serve conf >log 2>&1 & registry=$!
                trap 'kill $registry' EXIT
                while ! grep -q 'listening on' log; do kill -0 $registry; sleep 0.05; done
                at=$(sed -n 's/.*listening on \\([0-9.:]*\\).*/\\1/p' log)
                skopeo --insecure-policy copy -q --dest-tls-verify=false oci:$d/oci:t docker://$at/team/registered:1
                layercake push --tls-verify=false docker://$at/team/registered:1
                layercake push --tls-verify=false docker://$at/team/registered:1 registered:2
                layercake inspect registered:2
                srun --ch-image=registered:2 cat /what
                """)
            .text();
    assertTrue(said.contains(", 0 B new (0 %)"), said);
    assertTrue(said.contains("source        docker://127.0.0.1:"), said);
    assertTrue(said.endsWith("from-a-registry"), said);
  }

  @ParameterizedTest
  @CsvSource({"plain, cat", "gz, gzip -c", "xz, xz -0 -c", "zst, zstd -q -c"})
  void tarsArePushedAndRun(String suffix, String compressor) {
    Cluster.as(
            "alice",
            """
            set -e
            d=$HOME/push-it/tar; rm -rf $d; mkdir -p $d/bin; cp /bin/busybox $d/bin/sh
            echo from-tar >$d/file
            tar -C $d -c . | %s >$HOME/push-it/image.tar.%s
            layercake push $HOME/push-it/image.tar.%s tar-%s
            """
                .formatted(compressor, suffix, suffix, suffix))
        .text();
    String out =
        Cluster.as("alice", "srun --ch-image=tar-" + suffix + " sh -c 'read x </file; echo $x'")
            .text();
    assertEquals("from-tar", out);
  }

  @Test
  void anImageInLayersIsPushedFromAPipeAndRunAsItsLayersSay() {
    Cluster.as(
            "alice",
            """
            set -e
            d=$HOME/push-it/layers; rm -rf $d; mkdir -p $d; cd $d
            umoci init --layout oci; umoci new --image oci:t
            umoci unpack --rootless --image oci:t b
            mkdir -p b/rootfs/bin b/rootfs/hidden; cp /bin/busybox b/rootfs/bin/sh
            echo lower >b/rootfs/file; touch b/rootfs/gone b/rootfs/hidden/lower
            umoci repack --image oci:t b; rm -rf b
            umoci unpack --rootless --image oci:t b
            rm -r b/rootfs/gone b/rootfs/hidden; mkdir b/rootfs/gone
            echo upper >b/rootfs/file
            umoci repack --image oci:t b
            umoci config --image oci:t --config.env MADE=of-layers --config.workingdir /bin
            tar -c -C oci . | layercake push - layers
            """)
        .text();
    String out =
        Cluster.as(
                "alice",
                "srun --ch-image=layers sh -c 'read x </file; echo $x $MADE; cd /gone; [ -e /hidden ] || echo none'")
            .text();
    assertEquals("upper of-layers\nnone", out);
    assertTrue(
        Cluster.as("alice", "layercake inspect layers").text().contains("directory     /bin"));
  }

  @ParameterizedTest
  @ValueSource(strings = {"C", "C.UTF-8", "xx_XX.UTF-8"})
  void namesThatAreNotAsciiArePushedInAnyLocale(String locale) {
    String pushed =
        Cluster.as(
                "alice",
                "LC_ALL=%s layercake push --data $HOME/push-it/caf* locale && LC_ALL=%s layercake pull locale"
                        .formatted(locale, locale)
                    + " $HOME/push-it/th$(printf '\\303\\251') && unsquashfs -l $HOME/push-it/th*"
                    + " | LC_ALL=C grep -c $(printf 'root/th\\303\\251$')")
            .text();
    assertTrue(pushed.endsWith("\n1"), pushed);
  }

  @Test
  void anImageThatIsNotWhatWentInIsNotVisible() {
    String damaged =
        Cluster.as(
                "alice",
                """
                set -e
                l=$HOME/push-it/library; rm -rf $l; mkdir $l; ln -s /usr/lib/layercake/prove $l/prove
                echo '#!/bin/bash' >$l/pack
                echo '/usr/lib/layercake/pack "$@" && printf xxxxxxxx | dd of="$1" bs=1 seek=1000000 conv=notrunc' >>$l/pack
                chmod +x $l/pack; layercake push $HOME/push-it/root proved
                layercake inspect --json proved >$HOME/push-it/before
                head -c 1000 /dev/urandom >$HOME/push-it/root/data/new
                LAYERCAKE_LIBRARY=$l layercake push $HOME/push-it/root proved && exit 1 || echo $?
                rm $HOME/push-it/root/data/new
                layercake inspect --json proved | cmp - $HOME/push-it/before
                """)
            .text();
    assertTrue(damaged.endsWith("\n70"), damaged);
  }

  @Test
  void aTagMovesAndARemovedNameIsGone() {
    newPercent("push-it/root", "push-tagged");
    Cluster.as("alice", "layercake tag push-tagged push-tagged:2").text();
    assertTrue(Cluster.as("alice", "layercake ls").text().contains("push-tagged:2"));
    Cluster.as("alice", "layercake rm push-tagged:2").text();
    assertEquals(66, Cluster.as("alice", "layercake inspect push-tagged:2").exit());
  }

  @ParameterizedTest
  @CsvSource({
    "$HOME/push-it/missing, x, 66, missing",
    "/etc/hostname, x, 65, /etc/hostname",
    "/etc/shadow, x, 77, /etc/shadow",
    "$HOME/push-it/closed, x, 77, closed/in/file",
    "$HOME/push-it/root, Not!A!Name, 64, Not!A!Name",
    "$HOME/push-it/root, bob/x, 77, bob",
    "$HOME/push-it/root, site/x, 77, site"
  })
  void badInputIsRefusedWithItsName(String source, String name, int code, String word) {
    Cluster.Result push = Cluster.as("alice", "layercake push " + source + " " + name);
    push.refused(code, word);
    if (!name.equals("x")) {
      assertTrue(!push.err().contains("packing"), "before it packs: " + push.err());
    }
  }

  @Test
  void aUserWithoutAKeyIsToldWhatToDo() {
    Cluster.as(
            "bob",
            "mv $HOME/.config/layercake $HOME/key; layercake ls; code=$?; mv $HOME/key"
                + " $HOME/.config/layercake; exit $code")
        .refused(77, "layercake key");
    assertTrue(Cluster.as("bob", "layercake key bob").text().contains("namespace=u.bob"));
  }

  private static int newPercent(String source, String name) {
    String line = Cluster.as("alice", "layercake push $HOME/" + source + " " + name).text();
    Matcher pushed = PUSHED.matcher(line);
    assertTrue(pushed.matches(), line);
    return Integer.parseInt(pushed.group(1));
  }

  private static String chunks() {
    return Cluster.as(
            "alice",
            "rados -n client.layercake.alice --keyring $HOME/.config/layercake/keyring -p layercake"
                + " -N u.alice ls | grep ^c/ | sort")
        .out();
  }
}
