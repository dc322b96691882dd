"""The test cluster as the campaign sees it: its commands, and its processes and files, looked at from the machine.

A node's processes are those of its pid namespace, so a look at them starts nothing in the node, and only what is the
cluster's own can be signalled.
"""

import functools
import os
import signal
import subprocess
import time
from dataclasses import dataclass

CHECKOUT = os.path.realpath(os.path.join(os.path.dirname(__file__), "../../.."))
CLUSTER = os.path.join(CHECKOUT, "src/test/cluster/cluster")
TIMEOUT_SECONDS = 180
USERS = {"alice": 10001, "bob": 10002}


class Violation(Exception):
    """What must hold does not."""


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str

    def text(self):
        """The output of a command that must succeed."""
        if self.code:
            raise Violation(f"a command of the campaign ended with {self.code}: {self.err.strip() or self.out.strip()}")
        return self.out.strip()


def cluster(*words, stdin=None):
    return _run([CLUSTER, *words], stdin)


def on(node, script):
    return cluster("on", node, "sh", "-c", script)


def as_user(user, script):
    return cluster("as", user, "sh", "-c", script)


def _run(words, stdin=None):
    # What a command leaves running must not keep us waiting for the end of a pipe.
    process = subprocess.Popen(
        words, stdin=stdin or subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        out, err = process.communicate(timeout=TIMEOUT_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        out, err = process.communicate()
        return Result(124, out, f"{err}no end after {TIMEOUT_SECONDS} s: {' '.join(words)[:300]}")
    return Result(process.returncode, out, err)


@functools.cache
def environment():
    """What `cluster env` says, by name."""
    lines = cluster("env").text().splitlines()
    found = dict(line.removeprefix("export ").split("=", 1) for line in lines)
    return {name: value.strip('"') for name, value in found.items()}


def cgroup(controller, node):
    """The directory of the cgroup in which all of a node is."""
    return f"/sys/fs/cgroup/{controller}/{environment()['LAYERCAKE_CLUSTER_CGROUP']}/{node}"


def wait_for(what, condition, seconds):
    """Whether the condition came; what it was is told by who asked."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def require(what, condition, seconds=90):
    if not wait_for(what, condition, seconds):
        raise Violation(f"never came in {seconds} s: {what}")


# --- processes ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Process:
    pid: int  # the machine's
    ppid: int
    uid: int
    started: str
    comm: str
    args: str

    def signal(self, number):
        """Whether it was still there."""
        try:
            descriptor = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return False
        try:
            if _started(self.pid) != self.started:
                return False
            signal.pidfd_send_signal(descriptor, number)
            return True
        except ProcessLookupError:
            return False
        finally:
            os.close(descriptor)

    def runs(self):
        return _started(self.pid) == self.started

    def __str__(self):
        return f"{self.comm} (machine's pid {self.pid}, uid {self.uid}): {self.args[:160]}"


def _stat(pid):
    with open(f"/proc/{pid}/stat") as file:
        before, _, after = file.read().rpartition(")")
    return before.partition("(")[2], after.split()


def _started(pid):
    try:
        _, fields = _stat(pid)
        return None if fields[0] in "ZX" else fields[19]
    except (FileNotFoundError, ProcessLookupError):
        return None


class Node:
    """A node of the cluster, head or a compute node."""

    def __init__(self, name, state):
        self.name = name
        self._pid_file = os.path.join(state, "nodes", name, "pid")
        self.log = os.path.join(state, "nodes", name, "var/log/layercake-launcher.log")

    def pid(self):
        """The machine's pid of its pid 1, None while it is down."""
        try:
            with open(self._pid_file) as file:
                pid, started = file.read().split()
            return int(pid) if _started(int(pid)) == started else None
        except (FileNotFoundError, ValueError):
            return None

    def path(self, path):
        """Where the machine sees a file of the node."""
        return f"/proc/{self.pid()}/root{path}"

    def processes(self):
        """All of the node, those of private mount namespaces and of ended jobs too; no zombies."""
        pid = self.pid()
        if pid is None:
            return []
        namespace = os.readlink(f"/proc/{pid}/ns/pid")
        return [p for p in _processes() if _link(f"/proc/{p.pid}/ns/pid") == namespace]

    def launcher(self):
        """Its launcher, None if there is none."""
        found = [p for p in self.processes() if p.comm == "java" and "org.layercake.launcher.Main" in p.args]
        return found[0] if found else None


def login_processes():
    """What users have running on the login side, by the cgroup in which `cluster as` puts it."""
    with open(os.path.join(cgroup("freezer", "login"), "cgroup.procs")) as file:
        pids = set(map(int, file.read().split()))
    return [p for p in _processes() if p.pid in pids]


def _processes():
    for name in os.listdir("/proc"):
        if name.isdigit():
            process = _process(int(name))
            if process:
                yield process


def _process(pid):
    try:
        comm, fields = _stat(pid)
        if fields[0] in "ZX":
            return None
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            args = file.read().replace(b"\0", b" ").decode("utf-8", "replace").strip()
        return Process(pid, int(fields[1]), os.stat(f"/proc/{pid}").st_uid, fields[19], comm, args)
    except (FileNotFoundError, ProcessLookupError):
        return None


def _link(path):
    try:
        return os.readlink(path)
    except OSError:
        return None
