package org.layercake.it;

import java.nio.file.Files;
import java.nio.file.Path;

/** Images that tests push: a busybox tree of some files, and the Debian one of the quickstart. */
final class Images {
  // Applets as links, an /etc/os-release to be known by, a file of the test's own.
  private static final String BUSYBOX_TREE =
      """
      set -e
      d=$HOME/@NAME@; chmod -R u+rwx "$d" 2>/dev/null || :; rm -rf "$d"
      mkdir -p "$d/bin" "$d/etc" "$d/usr/bin"
      cp /bin/busybox "$d/bin/busybox"
      for applet in sh cat id ls env readlink pwd true false sleep touch echo test mkdir grep wc head kill ps stat dd tty; do
        ln -s busybox "$d/bin/$applet"
      done
      echo 'ID=layercake-@NAME@' >"$d/etc/os-release"
      @EXTRA@
      find "$d" -exec touch -h -d @1700000000 {} + # the same tree is the same image, whoever makes it
      layercake push "$d" @NAME@
      rm -rf "$d"
      """;

  private Images() {}

  /**
   * Pushes a busybox image as a user.
   *
   * @param extra shell lines that change the tree {@code $d} before it is pushed
   * @return the line that push printed
   */
  static String busybox(String user, String name, String extra) {
    return Cluster.as(user, BUSYBOX_TREE.replace("@NAME@", name).replace("@EXTRA@", extra)).text();
  }

  /** The digest of a user's image, {@code sha256:} and hex. */
  static String digest(String user, String name) {
    return Cluster.as(user, "layercake inspect --json " + name)
        .text()
        .replaceAll("(?s).*\"digest\"\\s*:\\s*\"(sha256:[0-9a-f]{64}).*", "$1");
  }

  /**
   * The file of a user's own image in a node's cache, whose name only its manifest there tells;
   * empty while it is not there.
   */
  static String cached(String node, String user, String name) {
    String key = "u." + user + "/" + digest(user, name);
    return Cluster.on(
            node,
            """
            cd /var/cache/layercake; m=$(grep -alx '%s' manifests/* 2>/dev/null) || exit 0
            f=$PWD/images/${m#manifests/}.sqfs; test -e $f && echo $f || :
            """
                .formatted(key))
        .text();
  }

  /** The file of a user's own image on its way into a node's cache; empty when it is not. */
  static String staged(String node, String user, String name) {
    String key = "u." + user + "/" + digest(user, name);
    return Cluster.on(
            node,
            """
            cd /var/cache/layercake/staging; s=$(grep -l '^%s ' *.source 2>/dev/null) || exit 0
            echo $PWD/${s%%.source}
            """
                .formatted(key))
        .text();
  }

  /**
   * Pushes the Debian image (python3-mpi4py, openmpi-bin) as {@code debian}, once for all tests.
   */
  static synchronized void debian(String user) {
    if (Cluster.as(user, "layercake inspect debian").exit() == 0) {
      return;
    }
    Path tar = Path.of(System.getProperty("layercake.debian"));
    if (!Files.exists(tar)) {
      throw new AssertionError("no image at " + tar + ": run the tests through quickstart");
    }
    Cluster.as(
            user,
            "cat >$HOME/debian.tar && layercake push $HOME/debian.tar debian && rm $HOME/debian.tar",
            tar)
        .text();
  }

  /** Runs rados(8) in a user's own domain, with the user's key. */
  static Cluster.Result rados(String user, String command) {
    return Cluster.as(
        user,
        "rados -n client.layercake.%1$s --keyring $HOME/.config/layercake/keyring -p layercake"
                .formatted(user)
            + " -N u.%1$s %2$s".formatted(user, command));
  }
}
