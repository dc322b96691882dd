"""What must hold on every node when nobody uses it: nothing is left of what has been."""

import os
import re
import time

import cluster
import system as systems

SETTLE_SECONDS = 60  # for what ends by itself: fills, unmounts, threads without work, Slurm's epilogs
# Of a node that does nothing: its first processes, what `node` and slurm.sh start, and the launcher.
EXPECTED = {"tini", "sleep", "munged", "sshd", "java", "slurmd"}
HEAD_EXPECTED = {"tini", "sleep", "munged", "sshd", "slurmctld", "slurmscriptd", "ceph-mon", "ceph-osd"}
# docs/operations.md, "What it costs a node": 100 MB that has spoken to Ceph, and 160 MB more in a fetch; the rest is
# for the JVM's code and for what malloc keeps.
PEAK_MB = 320
# The same of a launcher that does nothing, whose buffers are given back, and whose heap is at most 96 MB.
IDLE_MB = 240
# At rest: the JVM's own, root's, librados's messengers and timers.
IDLE_THREADS = 80
# The same, and those that have served the clients of the last minute, which wait so long for others.
RECENT_THREADS = 130
# A user may have 1024 waiting; the campaign never has more than some dozens of clients, each with a thread.
PEAK_THREADS = 260
# Jars, sockets, epolls, and a connection to the monitor and each OSD, for the client and its replicas' readers.
IDLE_DESCRIPTORS = 90
LEASED = re.compile(r"/run/layercake/images|/staging/|\(deleted\)|^(mnt|user|pid):\[|\[pidfd\]|\.sqfs")
# What a launcher listens to for half a minute, to learn what starts of an image read first.
RECORDING = re.compile(r"/staging/\w+\.(wanted|arrived) \(deleted\)$")
# Lines at which an administrator has to act, see docs/operations.md, "What to watch".
TROUBLE = re.compile(r" ERROR |event=(failure|session-failed|task-failed) |^\s+at |Exception in thread")


class Baseline:
    """Mounts and files of nodes that have done nothing yet."""

    def __init__(self, system):
        self.mounts = {name: _places(node) for name, node in system.nodes.items()}
        self.files = {name: _files(node) for name, node in system.nodes.items()}
        self.head_files = _files(system.head)


def settled(system, baseline, patient=True):
    """What does not hold, once all that ends by itself has had its time, and what held last: lists of sentences.

    Who is not patient does not wait for the start profiles of the last images.
    """
    deadline = time.monotonic() + SETTLE_SECONDS
    last = []
    while True:
        found = check(system, baseline, patient)
        if not patient:
            found = [line for line in found if not RECORDING.search(line)]
        if not found or time.monotonic() > deadline:
            return found, last
        last = found
        time.sleep(0.3)


def check(system, baseline, patient=True):
    found = []
    for name, node in system.nodes.items():
        if node.pid() is None:
            found.append(f"{name} is down")
        else:
            found += [f"{name}: {what}" for what in _of_node(node, baseline, patient)]
    found += [f"head: a process is left: {p}" for p in system.head.processes() if p.comm not in HEAD_EXPECTED]
    found += [f"head: a file is left: {f}" for f in _files(system.head) - baseline.head_files]
    found += [f"login: a process is left: {p}" for p in cluster.login_processes() if p.comm != "sleep"]
    return found + _of_slurm(system)


def _of_node(node, baseline, patient):
    yield from (f"a process is left: {p}" for p in _left(node.processes()))
    yield from (f"a mount is left: {m}" for m in _places(node) - baseline.mounts[node.name])
    yield from (f"a file is left: {f}" for f in _files(node) - baseline.files[node.name])
    yield from _of_run_directory(node)
    yield from _of_cache(node)
    yield from _of_cgroups(node)
    yield from _of_launcher(node, patient)


def _left(processes):
    seen = set()
    for process in processes:
        once = process.comm not in ("sshd",) or "[listener]" in process.args
        if process.comm not in EXPECTED or not once or process.comm in seen:
            yield process
        seen.add(process.comm)


def _places(node):
    return {(line.split()[2], line.split()[1]) for line in systems.mounts(node)} - {("tmpfs", systems.CACHE)}


def _files(node):
    """Where programs leave files: those of LayerCake there are looked at by name."""
    found = set()
    for folder in ("/tmp", "/var/tmp", "/dev/shm", "/run"):
        for place, folders, files in os.walk(node.path(folder)):
            if place == node.path("/run/layercake"):
                folders.clear()
            else:
                found |= {os.path.join(place, name).removeprefix(node.path("")) for name in files}
    # A JVM that is killed while it starts leaves the library that jffi unpacks: as does sbatch's look-up that takes too long.
    return {f for f in found if not f.startswith(("/tmp/hsperfdata", "/tmp/jffi", "/tmp/fault-stat", "/run/mount"))}


def _of_run_directory(node):
    run = node.path("/run/layercake")
    for folder in ("jobs", "images", "changes", "contained", "stage"):
        try:
            yield from (f"a file is left: /run/layercake/{folder}/{name}" for name in os.listdir(f"{run}/{folder}"))
        except FileNotFoundError:
            yield f"/run/layercake/{folder} is gone"
    yield from (f"a file is left: /run/layercake/{name}" for name in os.listdir(run) if "job-" in name or "tmp" in name)


def _of_cache(node):
    cache = node.path(systems.CACHE)
    yield from (f"a file is left: staging/{name}" for name in os.listdir(f"{cache}/staging"))
    for image in os.listdir(f"{cache}/images"):
        if not os.path.exists(f"{cache}/manifests/{image.removesuffix('.sqfs')}"):
            yield f"an image without a manifest: images/{image}"


def _of_cgroups(node):
    """Slurm itself sometimes leaves an empty one: a job's whose last steps end at the same time, an extern step's that ends
    while it adopts a process."""
    for controller in ("freezer", "cpuset", "devices"):
        for place, folders, _ in os.walk(cluster.cgroup(controller, node.name)):
            for name in folders:
                path = os.path.join(place, name)
                slurms = name.startswith("job_") or name == "step_extern"
                if (slurms and _is_in_use(path)) or (name.startswith("step_") and not slurms):
                    yield f"a cgroup is left: {controller} {path}"


def _is_in_use(cgroup):
    try:
        with open(os.path.join(cgroup, "cgroup.procs")) as file:
            return file.read() != ""
    except FileNotFoundError:
        return False


def _of_launcher(node, patient):
    launcher = node.launcher()
    if launcher is None:
        yield "the launcher does not run"
        return
    try:
        figures = systems.status(launcher)
        descriptors = [os.readlink(f"/proc/{launcher.pid}/fd/{n}") for n in os.listdir(f"/proc/{launcher.pid}/fd")]
    except FileNotFoundError:
        yield "the launcher's state changes while it is looked at"
        return
    if figures["VmRSS"] > IDLE_MB * 1024:
        yield f"the launcher has {figures['VmRSS'] // 1024} MB, more than {IDLE_MB}, with nothing to do"
    if figures["VmHWM"] > PEAK_MB * 1024:
        yield f"the launcher has had {figures['VmHWM'] // 1024} MB, more than {PEAK_MB}"
    if figures["Threads"] > (IDLE_THREADS if patient else RECENT_THREADS):
        yield f"the launcher has {figures['Threads']} threads with nothing to do"
    if len(descriptors) > IDLE_DESCRIPTORS:
        yield f"the launcher has {len(descriptors)} descriptors, more than {IDLE_DESCRIPTORS}"
    yield from (f"the launcher holds a descriptor of what nobody uses: {d}" for d in descriptors if LEASED.search(d))


def _of_slurm(system):
    found = []
    for line in cluster.as_user("root", "sinfo -h -N -o '%N %T %E'").out.splitlines():
        if line.split()[1] != "idle":
            found.append(f"Slurm has a node in another state than idle: {line}")
    queue = cluster.as_user("root", "squeue -h -o '%i %T'").out.strip()
    if queue:
        found.append(f"jobs are left: {queue}")
    return found


class Logs:
    """The lines that came since the last look, of each launcher and of slurmctld."""

    def __init__(self, system):
        self.system = system
        self.seen = {}
        self.new()

    def new(self):
        lines = {}
        for name, path in self._paths():
            try:
                with open(path, errors="replace") as file:
                    file.seek(self.seen.get(name, 0))
                    lines[name] = file.read().splitlines()
                    self.seen[name] = file.tell()
            except FileNotFoundError:
                lines[name] = []
        return lines

    def _paths(self):
        for name, node in self.system.nodes.items():
            yield name, node.log
        yield "slurmctld", os.path.join(os.path.dirname(self.system.head.log), "slurmctld.log")
