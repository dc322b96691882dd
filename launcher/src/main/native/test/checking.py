#!/usr/bin/python3
"""Each check of layercake-check finds what it is for: a node is made of files, and broken.

Slurm, sshd and others are scripts that say what they would say; what makes a container is real.
Needs root; runs in a mount namespace of its own. Argument: the build directory.
"""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import tempfile
import threading
import unittest
from pathlib import Path

import namespaces

CHECK = Path(__file__).resolve().parents[2] / "dist/usr/sbin/layercake-check"
SILENT_SECONDS = 60

SCONTROL = """\
case $1 in
  --version) echo "slurm-wlm 26.05.1" ;;
  *) cat "$(dirname "$0")/../slurm" ;;
esac
"""
SLURM = """\
Configuration data as of 2026-01-01T00:00:00
ClusterName             = hpc
PlugStackConfig         = {node}/plugstack.conf
ProctrackType           = proctrack/cgroup
PrologFlags             = Alloc,Contain
SLURM_CONF              = {node}/slurm.conf
"""
SSHD = """\
usepam yes
kbdinteractiveauthentication no
forcecommand {node}/lib/ssh-entry
"""
PAM = """\
auth     required  pam_unix.so
account  required  pam_unix.so
account  required  pam_slurm_adopt.so action_adopt_failure=deny
account  required  pam_exec.so quiet stdout /usr/lib/layercake/pam-hook
@include {node}/common-session
"""
PROGRAMS = {
    "scontrol": SCONTROL,
    "sshd": 'cat "$(dirname "$0")/../sshd"\n',
    "systemctl": "echo 'systemd 257 (257.1)'\n",
    "chronyc": "echo 'Leap status     : Normal'\n",
    "munge": "echo 'munge-0.5.18 (2026-02-10)'\n",
    "layercake-launcher": """echo "\\"$2\\" is good"; echo 'pool layercake answers'\n""",
    "ldconfig": """\
echo '\tlibrados.so.2 (libc6,x86-64) => /usr/lib/librados.so.2'
for number in $(seq 38 60); do
  echo "\tlibslurm.so.$number (libc6,x86-64) => /opt/slurm/lib/libslurm.so.$number"
done
""",
    # What takes longest, where it is not the point.
    "ldd": "true\n",
    "unshare": "true\n",
    "uname": "if [ \"$1\" = -v ]; then echo '#1 SMP'; else echo 6.18.44-hpc; fi\n",
}


class Node:
    """A directory with all that a node has and a check looks at, and a launcher that answers."""

    def __init__(self):
        self.path = Path(tempfile.mkdtemp(prefix="node.", dir=WORK))
        self.path.chmod(0o755)
        for name, mode in ("bin", 0o755), ("lib", 0o755), ("run", 0o711), ("cache", 0o700):
            (self.path / name).mkdir()
            (self.path / name).chmod(mode)
        for name, text in PROGRAMS.items():
            self.program(name, text)
        for name in "imageserver", "holder", "pause", "ping", "volume":
            (self.path / "lib" / name).symlink_to(BUILD / name)
        for name in "pack", "prove", "pam-hook", "ssh-entry":
            shutil.copy("/bin/true", self.path / "lib" / name)
        self.write("lib/layercake.so", "SLURM_VERSION_NUMBER=0x1a0500")
        self.write("plugstack.conf", f"required {self.path}/lib/layercake.so "
                                     f"socket={self.path}/run/launcher.sock\n")
        self.write("slurm", SLURM)
        self.write("sshd", SSHD)
        self.write("pam", PAM)
        self.write("common-session", "session required pam_unix.so\n")
        self.write("ceph.conf", "[global]\nmon_host = 192.0.2.1\n")
        self.write("node.keyring", "[client.layercake-node]\n\tkey = x\n", 0o600)
        self.write("launcher.conf", "library-directory = {node}/lib\n run-directory: {node}/run \n"
                                    "cache-directory={node}/cache\ncache-budget = 1M\n"
                                    "keyring = {node}/node.keyring\nceph-conf = {node}/ceph.conf\n")
        self.answer_on(self.path / "run/launcher.sock")

    def write(self, name, text, mode=0o644):
        path = self.path / name
        path.write_text(text.replace("{node}", str(self.path)))
        path.chmod(mode)

    def change(self, name, old, new):
        path = self.path / name
        text = path.read_text()
        assert old in text, f'no "{old}" in: {text}'
        path.write_text(text.replace(old, new))

    def use_real(self, *names):
        for name in names:
            (self.path / "bin" / name).unlink()

    def program(self, name, text):
        self.write(f"bin/{name}", f"#!/bin/sh\n{text}", 0o755)

    def answer_on(self, path):
        """As the launcher does: OK, docs/protocol.md."""
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(str(path))
        path.chmod(0o666)
        self.socket.listen()
        threading.Thread(target=self.serve, daemon=True).start()

    def hang_up(self):
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()

    def serve(self):
        with contextlib.suppress(OSError):
            while True:
                with self.socket.accept()[0] as client:
                    client.recv(1024)
                    client.sendall(bytes.fromhex("00000001 40"))

    def run(self, *options, before="true"):
        """before: mounts that only this run sees."""
        pam = f"mount --bind {self.path}/pam /etc/pam.d/sshd"
        return subprocess.run(
            ["/usr/bin/unshare", "--mount", "--propagation", "private", "sh", "-c",
             f'{pam} && {{ {before}; }} && exec "$@"', "sh", CHECK, *options,
             self.path / "launcher.conf"],
            env={"PATH": f"{self.path}/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=SILENT_SECONDS,
            check=False)


class Checking(unittest.TestCase):
    def setUp(self):
        self.node = Node()

    def tearDown(self):
        self.node.hang_up()

    def found(self, *options, before="true", code=None):
        """Status and text of each check, which is named once."""
        done = self.node.run("--json", *options, before=before)
        self.assertEqual("", done.stderr)
        checks = json.loads(done.stdout)
        found = {check["name"]: (check["status"], check["text"]) for check in checks}
        self.assertEqual(len(checks), len(found))
        failed = any(status == "fail" for status, _ in found.values())
        self.assertEqual(int(failed), done.returncode)
        if code is not None:
            self.assertEqual(code, done.returncode, found)
        return found

    def assert_found(self, found, **expected):
        """NAME=(STATUS, part of the text), with _ for -"""
        for name, (status, part) in expected.items():
            name = name.replace("_", "-")
            self.assertEqual(status, found[name][0], f"{name}: {found[name]}")
            self.assertIn(part, found[name][1], name)

    def assert_broken(self, expected, *options, before="true"):
        self.assert_found(self.found(*options, before=before), **expected)

    def test_a_node_that_is_well_passes_every_check(self):
        self.node.use_real("ldd", "unshare")
        found = self.found(before="umask 077", code=0)
        # The machine's cgroups are what they are.
        self.assertEqual({"ok"}, {found[name][0] for name in found if name != "cgroup"}, found)
        self.assertEqual(20, len(found), list(found))
        self.assert_found(found, store=("ok", "pool layercake answers"),
                          slurmctld=("ok", "cluster hpc"))

    def test_lines_are_for_people_and_quiet_ones_for_logs(self):
        self.node.program("chronyc", "echo 'Leap status     : Not synchronised'\n")
        lines = self.node.run().stdout.splitlines()
        self.assertIn("ok munge: 0.5.18", lines)
        quiet = self.node.run("--quiet")
        self.assertEqual(0, quiet.returncode)
        self.assertEqual([line for line in lines if not line.startswith("ok ")],
                         quiet.stdout.splitlines())
        self.assertIn("warn clock: not synchronized, says chrony", quiet.stdout)

    def test_wrong_usage_is_told_from_a_failure(self):
        for options in ("--qiuet",), ("launcher.conf",):
            done = self.node.run(*options)
            self.assertEqual((64, ""), (done.returncode, done.stdout))
            self.assertIn("usage: layercake-check", done.stderr)

    def test_quick_starts_no_jvm(self):
        self.node.program("layercake-launcher", "touch {node}/started; exit 70\n")
        self.assert_found(self.found("--quick", code=0), config=("ok", "is there"),
                          store=("ok", "not asked"))
        self.assertFalse((self.node.path / "started").exists())

    def test_versions_with_known_faults_are_told(self):
        self.node.program("uname", "if [ \"$1\" = -v ]; then echo '#1 SMP Debian 6.1.158-1 (x)'\n"
                                   "else echo 6.1.0-41-amd64; fi\n")
        self.node.program("munge", "echo munge-0.5.16\n")
        # No changelog of a package says that they are mended.
        hide = "mount -t tmpfs none /usr/share/doc"
        found = self.found(before=hide, code=0)
        self.assert_found(found, kernel=("warn", "CVE-2025-68821 CVE-2026-31694"),
                          munge=("warn", "CVE-2026-25506"))
        mended = f"{hide}; mkdir /usr/share/doc/munge; " \
                 "echo '* CVE-2026-25506' >/usr/share/doc/munge/changelog.Debian.gz"
        self.assert_found(self.found(before=mended), munge=("ok", "0.5.16"))

    def test_faults_end_with_the_release_that_mends_them(self):
        faults = {"6.1.159": 3, "6.1.160": 2, "6.1.175": 0, "6.18.22": 1, "5.14.0": 2, "7.1": 0}
        off = "mount -t tmpfs none /run; mount -t tmpfs none /usr/share/doc"
        for version, count in faults.items():
            with self.subTest(version):
                self.node.program("uname", f"case $1 in -v) ;; *) echo {version}-1.hpc ;; esac\n")
                text = self.found("--quick", before=off)["kernel"][1]
                self.assertEqual(count, text.count("CVE-"), text)
        off += "; mkdir /run/modprobe.d; " \
               "echo 'install algif_aead /bin/false' >/run/modprobe.d/off.conf"
        self.node.program("uname", "echo 6.18.21\n")
        text = self.found("--quick", before=off)["kernel"][1]
        self.assertEqual(1, text.count("CVE-"), text)

    def test_a_kernel_that_is_too_old_fails(self):
        self.node.program("uname", "echo 4.18.0-553.el8\n")
        self.assert_broken({"kernel": ("fail", "4.18.0 is older than 5.2")})

    def test_no_fuse_means_no_container(self):
        self.node.use_real("unshare")
        self.assert_broken({"fuse": ("fail", "modprobe fuse"),
                            "container": ("fail", "the image server does not serve: ")},
                           before="mount --bind /etc/hosts /dev/fuse")

    def test_what_keeps_users_from_namespaces_is_named(self):
        zero = f"echo 0 >{self.node.path}/zero; mount --bind {self.node.path}/zero "
        self.assert_broken({"namespaces": ("fail", "user.max_user_namespaces")},
                           before=f"{zero} /proc/sys/user/max_user_namespaces")
        kernel = "mount -t tmpfs none /proc/sys/kernel; mount -t tmpfs none /sys/kernel; "
        self.assert_broken({"namespaces": ("fail", "kernel.unprivileged_userns_clone = 1")},
                           before=f"{kernel} echo 0 >/proc/sys/kernel/unprivileged_userns_clone")
        apparmor = kernel + "echo 1 >/proc/sys/kernel/apparmor_restrict_unprivileged_userns"
        self.assert_broken({"namespaces": ("fail", "load one for ch-run")}, before=apparmor)
        self.assert_broken({"namespaces": ("ok", "user namespaces")},
                           before=f"{apparmor}; mkdir -p /sys/kernel/security/apparmor; "
                                  "echo ch-run >/sys/kernel/security/apparmor/profiles")

    def test_a_ch_run_that_does_not_enter_is_found(self):
        self.node.use_real("unshare")
        self.node.write("launcher.conf", (self.node.path / "launcher.conf").read_text()
                        + "ch-run = {node}/bin/ch-run\n")
        self.assert_broken({"ch_run": ("fail", "install charliecloud-runtime"),
                            "container": ("fail", "ch-run does not enter")})
        self.node.program("ch-run", "[ $1 = --version ] && echo 0.99 || { echo no >&2; exit 1; }\n")
        self.assert_broken({"ch_run": ("ok", "version 0.99"),
                            "container": ("fail", "ch-run does not enter an image: no")})
        self.node.program("ch-run", "echo broken >&2; exit 9\n")
        self.assert_broken({"ch_run": ("fail", "broken")})

    def test_missing_libraries_are_named(self):
        self.node.program("ldd", "for file; do echo $file:; case $file in\n"
                                 "*/imageserver) echo ' libfuse3.so.3 => not found' ;;\n"
                                 "*/pack) echo ' libsquashfs.so.1 => not found' ;;\nesac; done\n")
        self.assert_broken({"libraries": ("fail", "imageserver lacks libfuse3.so.3")})
        self.node.change("bin/ldd", "*/imageserver", "*/no")
        self.assert_broken({"libraries": ("warn", "pack lacks libsquashfs.so.1")})
        self.assert_broken({"libraries": ("fail", "pack lacks libsquashfs.so.1")}, "--login")
        (self.node.path / "lib/pam-hook").unlink()
        self.assert_broken({"libraries": ("fail", "pam-hook is not there")})

    def test_librados_and_libslurm_are_what_ldconfig_knows(self):
        self.node.program("ldconfig", "true\n")
        self.assert_broken({"libraries": ("fail", "librados.so.2"),
                            "libslurm": ("fail", "which ldconfig does not know")})
        self.node.write("launcher.conf", (self.node.path / "launcher.conf").read_text()
                        + "store = directory\ndirectory = {node}/store\n")
        self.assert_broken({"libraries": ("ok", "all there"),
                            "store": ("fail", "/store\" is not there")})
        for name in "store/site", "store/launchers":
            (self.node.path / name).mkdir(parents=True)
        self.assert_broken({"store": ("ok", f"directory {self.node.path}/store answers")})

    def test_an_old_java_or_none_fails(self):
        java = self.node.path / "jdk/bin/java"
        java.parent.mkdir(parents=True)
        shutil.copy("/bin/true", java)
        (self.node.path / "bin/java").symlink_to(java)
        self.node.write("jdk/release", 'IMPLEMENTOR="x"\nJAVA_VERSION="1.8.0_402"\n')
        self.assert_broken({"java": ("fail", "has version 1.8.0_402")})
        self.node.write("jdk/release", 'JAVA_VERSION="21"\n')
        self.assert_broken({"java": ("ok", "version 21")})
        (self.node.path / "jdk/release").unlink()
        self.assert_broken({"java": ("fail", "has version unknown")})

    def test_a_plugin_for_another_slurm_fails(self):
        self.node.write("lib/layercake.so", "SLURM_VERSION_NUMBER=0x160508")
        self.assert_broken({"slurm": ("fail", "built for Slurm 22.05 and this is 26.05.1")})
        self.node.write("lib/layercake.so", "")
        self.assert_broken({"slurm": ("fail", "reinstall LayerCake")})
        self.node.program("scontrol", "echo cannot >&2; exit 1\n")
        found = self.found()
        self.assert_found(found, slurm=("fail", "failed: cannot;"))
        self.assertNotIn("slurmctld", found)

    def test_a_slurm_with_known_faults_is_told(self):
        self.node.change("bin/scontrol", "26.05.1", "25.11.7")
        self.node.write("lib/layercake.so", "SLURM_VERSION_NUMBER=0x190b02")
        hide = "mount -t tmpfs none /usr/share/doc"
        self.assert_broken({"slurm": ("warn", "CVE-2026-65107")}, before=hide)
        self.node.change("bin/scontrol", "25.11.7", "25.11.8")
        self.assert_broken({"slurm": ("ok", "25.11.8")}, before=hide)

    def test_slurmctld_that_does_not_answer_is_a_warning(self):
        self.node.program("scontrol", "[ $1 = --version ] && echo slurm 26.05.1 && exit\n"
                                      "echo Unable to contact slurm controller >&2; exit 1\n")
        self.node.write("slurm.conf", "")
        self.node.program("systemctl", "echo SLURM_CONF={node}/slurm.conf\n")
        self.assert_broken({"slurmctld": ("warn", "Unable to contact"),
                            "plugstack": ("ok", "required ")})

    def test_slurm_without_contain_fails(self):
        self.node.change("slurm", "Alloc,Contain", "Alloc")
        self.assert_broken({"slurmctld": ("fail", "PrologFlags=Contain")})
        self.node.change("slurm", "= Alloc", "= Contain")
        self.node.change("slurm", "proctrack/cgroup", "proctrack/linuxproc")
        self.assert_broken({"slurmctld": ("warn", "ProctrackType=proctrack/linuxproc")})

    def test_plugstack_needs_the_right_line(self):
        line = (self.node.path / "plugstack.conf").read_text()
        for text, status, part in (
                ("# " + line, "fail", "no line for layercake.so"),
                (line.replace("required", "optional"), "warn", 'says "optional"'),
                (line.replace("/lib/", "/gone/"), "fail", "is not there"),
                (line.split(" socket")[0] + "\n", "fail", "add \"socket="),
                ("include plugstack.d/*.conf\n", "ok", "required "),
                ("include /no/*.conf\n", "fail", "no line")):
            with self.subTest(text):
                self.node.write("plugstack.conf", text)
                (self.node.path / "plugstack.d").mkdir(exist_ok=True)
                self.node.write("plugstack.d/1.conf", line)
                self.assert_broken({"plugstack": (status, part)}, "--quick")

    def test_cgroups_are_told_apart(self):
        self.node.program("stat", "case $* in *cgroup) echo cgroup2fs ;; "
                                  "*) exec /usr/bin/stat \"$@\" ;; esac\n")
        controllers = "mount -t tmpfs none /sys/fs/cgroup; " \
                      "echo cpu {} pids >/sys/fs/cgroup/cgroup.controllers"
        self.assert_broken({"cgroup": ("ok", "version 2, systemd 257")},
                           before=controllers.format("memory"))
        self.assert_broken({"cgroup": ("warn", "without the memory controller")},
                           before=controllers.format("io"))
        self.node.program("systemctl", "echo 'systemd 252 (252.1)'\n")
        self.assert_broken({"cgroup": ("warn", "before systemd 254")},
                           before=controllers.format("memory"))
        self.node.use_real("stat")
        unmounted = "umount /sys/fs/cgroup/* 2>/dev/null; mount -t tmpfs none /sys/fs/cgroup"
        self.assert_broken({"cgroup": ("fail", "freezer")}, before=unmounted)

    def test_a_config_file_that_the_launcher_refuses_fails(self):
        self.node.program("layercake-launcher",
                          "echo 'layercake-launcher: cannot use it' >&2; exit 78\n")
        found = self.found()
        self.assert_found(found, config=("fail", "cannot use it"))
        self.assertNotIn("store", found)
        (self.node.path / "launcher.conf").unlink()
        self.assert_broken({"config": ("fail", "an empty file will do")})

    def test_a_store_that_does_not_answer_fails(self):
        self.node.program("layercake-launcher", 'echo "\\"$2\\" is good"; '
                          "echo 'layercake-launcher: no answer from the pool' >&2; exit 75\n")
        self.assert_broken({"config": ("ok", "is good"),
                            "store": ("fail", "no answer from the pool")})

    def test_the_key_is_for_root_alone(self):
        (self.node.path / "node.keyring").chmod(0o640)
        self.assert_broken({"store": ("fail", "chmod 0600")}, "--quick")
        self.node.write("node.keyring", "[client.admin]\n", 0o600)
        self.assert_broken({"store": ("fail", "no key of client.layercake-node")}, "--quick")
        (self.node.path / "node.keyring").unlink()
        self.assert_broken({"store": ("fail", "there is no keyring")}, "--quick")
        (self.node.path / "ceph.conf").unlink()
        self.assert_broken({"store": ("fail", "ceph.conf")}, "--quick")

    def test_a_launcher_that_does_not_answer_fails(self):
        path = self.node.path / "run/launcher.sock"
        path.chmod(0o600)
        self.assert_broken({"launcher": ("fail", "chmod 0666")}, "--quick")
        path.chmod(0o666)
        self.node.hang_up()
        self.assert_broken({"launcher": ("fail", "restart layercake-launcher")}, "--quick")
        path.unlink()
        self.assert_broken({"launcher": ("fail", "there is no socket")}, "--quick")

    def test_directories_are_roots_and_have_room(self):
        cache = self.node.path / "cache"
        self.node.change("launcher.conf", "cache-budget = 1M", "cache-budget = 1T")
        self.assert_broken({"cache_directory": ("warn", "cache-budget = 1T")}, "--quick")
        (self.node.path / "run").chmod(0o777)
        cache.chmod(0o770)
        self.assert_broken({"run_directory": ("fail", "chmod 711"),
                            "cache_directory": ("fail", "chmod 700")}, "--quick")
        cache.chmod(0o700)
        (self.node.path / "run").chmod(0o700)
        self.assert_broken({"run_directory": ("fail", "less than 711")}, "--quick")
        (self.node.path / "run").chmod(0o711)
        for options, part in (("size=8m", "KiB left"), ("nr_inodes=2", "no inodes left"),
                              ("ro", "mounted read-only")):
            with self.subTest(options):
                self.assert_broken(
                    {"cache_directory": ("fail", part)}, "--quick",
                    before=f"mount -t tmpfs -o mode=700,{options} none {cache}; "
                           f"touch {cache}/x 2>/dev/null || true")
        cache.rmdir()
        self.assert_broken({"cache_directory": ("fail", "there is no directory")}, "--quick")

    def test_a_run_directory_that_outlives_a_reboot_is_told(self):
        kept = tempfile.mkdtemp(dir="/var/tmp")
        try:
            os.chmod(kept, 0o711)
            self.assert_broken({"run_directory": ("warn", "not on a tmpfs")}, "--quick",
                               before=f"mount --bind {kept} {self.node.path}/run")
        finally:
            os.rmdir(kept)

    def test_ssh_has_its_parts_in_order(self):
        pam, settings = (self.node.path / name for name in ("pam", "sshd"))
        kept = pam.read_text(), settings.read_text()
        hook = kept[0].splitlines(keepends=True)[3]
        for file, old, new, status, part in (
                (settings, "usepam yes", "usepam no", "fail", "UsePAM yes"),
                (settings, "ssh-entry", "gone/ssh-entry", "fail", "is not there"),
                (settings, "forcecommand", "#", "warn", "sessions are on the host"),
                (settings, "authentication no", "authentication yes", "warn", "Kbd"),
                (pam, "pam_slurm_adopt", "pam_permit", "fail", "is not in the account stack"),
                (pam, "auth ", hook + "auth ", "fail", "put it behind"),
                (pam, hook, "", "ok", "sessions enter"),
                (pam, "@include", "session optional pam_systemd.so\n@include", "warn",
                 "pam_systemd")):
            with self.subTest(new):
                pam.write_text(kept[0])
                settings.write_text(kept[1])
                file.write_text(file.read_text().replace(old, new, 1))
                self.assert_broken({"ssh": (status, part)}, "--quick")
        pam.write_text(kept[0])
        # As OpenSSH 10 writes the names.
        settings.write_text(kept[1].replace("usepam", "UsePAM").replace("force", "Force"))
        self.assert_broken({"ssh": ("ok", "sessions enter")}, "--quick")
        settings.write_text("usepam yes\n")
        pam.write_text("")
        self.assert_broken({"ssh": ("ok", "not set up")}, "--quick")

    def test_included_pam_files_count(self):
        self.node.write("common-session", "session optional pam_systemd.so\n")
        self.node.change("pam", "@include", "session substack")
        mounted = f"mount -t tmpfs none /etc/pam.d; cp {self.node.path}/pam /etc/pam.d/sshd; " \
                  f"mkdir -p /etc/pam.d/{self.node.path}; cp {self.node.path}/common-session " \
                  f"/etc/pam.d/{self.node.path}/"
        self.assert_broken({"ssh": ("warn", "pam_systemd")}, "--quick", before=mounted)

    def test_a_clock_of_its_own_is_told(self):
        self.node.program("chronyc", "exit 1\n")
        self.node.program("timedatectl", "echo no\n")
        self.assert_broken({"clock": ("warn", "not synchronized, says systemd")}, "--quick")
        self.node.program("timedatectl", "echo yes\n")
        self.assert_broken({"clock": ("ok", "says systemd")}, "--quick")
        self.node.program("timedatectl", "exit 1\n")
        self.assert_broken({"clock": ("warn", "neither")}, "--quick")

    def test_a_login_node_needs_no_launcher(self):
        self.node.hang_up()
        shutil.rmtree(self.node.path / "run")
        self.node.write("plugstack.conf", f"required {self.node.path}/lib/layercake.so\n")
        found = self.found("--login", code=0)
        self.assertEqual({"ok"}, {status for status, _ in found.values()}, found)
        self.assertFalse({"launcher", "kernel", "cache-directory"} & set(found))
        (self.node.path / "ceph.conf").chmod(0o600)
        (self.node.path / "launcher.conf").chmod(0o600)
        self.assert_broken({"store": ("fail", "users cannot read"),
                            "config": ("fail", "users cannot read")}, "--login")

    def test_what_hangs_is_not_waited_for(self):
        self.node.program("sshd", "exec sleep 1000\n")
        self.assert_broken({"ssh": ("warn", "no answer in time")}, "--quick")

    def test_nothing_stays(self):
        self.node.use_real("unshare")

        def state():
            mounts = Path("/proc/self/mounts").read_text()
            return mounts, sorted(str(path) for path in self.node.path.rglob("*"))
        before = state()
        self.found(code=0)
        self.assertEqual(before, state())
        for name in "imageserver", "layercake-pause":
            self.assertEqual(1, subprocess.run(["pgrep", "-x", name], check=False).returncode)

    def test_what_others_say_does_not_break_a_line(self):
        self.node.program("layercake-launcher",
                          "printf 'x \\033[1m\"a\\\\b\" \\302\\205' >&2; exit 78\n")
        self.assertIn('"a\\b"', self.found()["config"][1])
        self.assertNotIn("\x1b", self.node.run().stdout)


if __name__ == "__main__":
    BUILD = namespaces.enter()
    with tempfile.TemporaryDirectory(dir="/var/tmp") as WORK:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=0755", "none", WORK], check=True)
        try:
            unittest.main()
        finally:
            subprocess.run(["umount", "--lazy", WORK], check=True)
