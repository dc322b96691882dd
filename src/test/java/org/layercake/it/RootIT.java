package org.layercake.it;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.List;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** With --ch-root, what belongs to root's work in a distribution works: packages, users, owners. */
class RootIT {
  @BeforeAll
  static void pushImage() {
    Images.debian("alice");
  }

  @Test
  void dpkgInstallsAPackageThatMakesAUserAndGivesItFiles() {
    List<String> lines =
        root(PACKAGE
                + """
                    dpkg -i hello.deb >log 2>&1 || { cat log; exit 1; }
                    dpkg -s hello | grep Status
                    getent passwd hellod | cut -d: -f1,6
                    stat -c '%U %a' /var/lib/hello
                    dpkg -P hello >log 2>&1 || { cat log; exit 1; }
                    test -e /usr/share/hello || echo gone
                    """)
            .lines();
    assertEquals(
        List.of("Status: install ok installed", "hellod:/nonexistent", "root 750", "gone"), lines);
  }

  @Test
  void aptInstallsFromARepository() {
    List<String> lines =
        root(PACKAGE
                + """
                    dpkg-deb -f hello.deb >Packages
                    printf 'Filename: ./hello.deb\\nSize: %s\\nSHA256: %s\\n' \
                      $(stat -c %s hello.deb) $(sha256sum hello.deb | cut -d' ' -f1) >>Packages
                    rm -f /etc/apt/sources.list /etc/apt/sources.list.d/*
                    echo "deb [trusted=yes] file:$PWD ./" >/etc/apt/sources.list
                    apt-get update >log 2>&1 && apt-get install -y hello >>log 2>&1 ||
                      { cat log; exit 1; }
                    grep -c '^[WE]:' log
                    dpkg -s hello | grep Status
                    """)
            .lines();
    assertEquals(List.of("0", "Status: install ok installed"), lines);
  }

  @Test
  void rpmInstallsAPackageWithFilesOfOthers() {
    List<String> lines =
        root("""
                mkdir /build; cd /build
                cat >hello.spec <<'END'
                Name: hello
                Version: 1
                Release: 1
                Summary: a test
                License: none
                BuildArch: noarch
                AutoReqProv: no
                %description
                A test.
                %install
                mkdir -p %{buildroot}/opt/hello
                echo hello >%{buildroot}/opt/hello/file
                %files
                %dir %attr(750,daemon,www-data) /opt/hello
                %attr(2640,daemon,www-data) /opt/hello/file
                END
                rpmbuild -bb --define '_topdir /build' hello.spec >log 2>&1 &&
                  rpm -i --nodeps RPMS/noarch/hello-1-1.noarch.rpm >>log 2>&1 || { cat log; exit 1; }
                rpm -q hello
                cat /opt/hello/file
                """)
            .lines();
    assertEquals(List.of("hello-1-1.noarch", "hello"), lines);
  }

  @Test
  void suAndUseraddWork() {
    List<String> lines =
        root("""
                useradd -m -s /bin/sh carol && getent passwd carol | cut -d: -f1,6
                su - carol -c pwd
                su www-data -s /bin/sh -c 'echo $HOME'
                usermod -aG shadow carol && getent group shadow
                userdel carol; getent passwd carol || echo gone
                """)
            .lines();
    assertEquals(
        List.of("carol:/home/carol", "/home/carol", "/var/www", "shadow:x:42:carol", "gone"),
        lines);
  }

  @Test
  void sshIsContentWithWhoOwnsItsFilesAndLooksForThemAtHome() {
    Cluster.Result result =
        Cluster.as(
            "alice",
            """
            mkdir -p -m 700 $HOME/.ssh; printf 'Host there\\nPort 2345\\n' >$HOME/.ssh/config
            chmod 600 $HOME/.ssh/config
            srun --ch-root --ch-image=debian bash -c 'ssh -G there | grep ^port; echo ~root'
            rm $HOME/.ssh/config
            """);
    assertEquals(List.of("port 2345", "/home/alice"), result.lines(), result.err());
  }

  // What maintainers' scripts do; made inside, where dpkg-deb is.
  private static final String PACKAGE =
      """
      mkdir -p /build/tree/DEBIAN /build/tree/usr/share/hello; cd /build
      printf 'Package: hello\\nVersion: 1\\nArchitecture: all\\n' >tree/DEBIAN/control
      printf 'Maintainer: nobody\\nDescription: a test\\n' >>tree/DEBIAN/control
      cat >tree/DEBIAN/postinst <<'END'
      #!/bin/sh
      set -e
      useradd --system --home-dir /nonexistent --shell /usr/sbin/nologin hellod
      install -d -o hellod -g hellod -m 750 /var/lib/hello
      chown -R hellod:adm /usr/share/hello
      mknod /var/lib/hello/null c 1 3
      mkfifo /var/lib/hello/fifo
      END
      echo hello >tree/usr/share/hello/file
      chmod 755 tree/DEBIAN tree/DEBIAN/postinst; chown -R daemon:adm tree/usr
      dpkg-deb -b tree hello.deb >log 2>&1 || { cat log; exit 1; }
      """;

  /** Runs a script as root inside, in a container of its own. */
  private static Cluster.Result root(String script) {
    Cluster.Result result =
        Cluster.as(
            "alice",
            "cat >$HOME/script.sh <<'SCRIPT'\n"
                + script
                + "SCRIPT\nsrun --ch-root --ch-writable --ch-image=debian sh $HOME/script.sh");
    assertEquals(0, result.exit(), result.toString());
    return result;
  }
}
