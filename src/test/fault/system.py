"""The system under test: what the campaign sets up, how a round begins, and how all is made whole after it."""

import os
import shutil
import threading

import cluster
import faults
import images
import system_faults

CACHE = "/var/cache/layercake"
STANDING = {
    "alice": {"fault-small": images.small, "fault-large": images.large, "fault-lent": images.small},
    "bob": {"fault-small": images.small, "fault-large": images.large},
}
# A node's cache has room for all these and what is pushed in a round, and for `fault-room` if it is alone.
SETTINGS = ("cache-budget = 240M", "user-cache-share = 100")
CONFIG = "/etc/layercake/launcher.conf"
ROOM_FILES = 249


class System:
    def __init__(self):
        found = cluster.environment()
        self.home, scratch = found["LAYERCAKE_CLUSTER_HOME"], found["LAYERCAKE_CLUSTER_SCRATCH"]
        state = found["LAYERCAKE_CLUSTER_STATE"]
        self.names = found["LAYERCAKE_CLUSTER_NODES"].split()
        self.nodes = {name: cluster.Node(name, state) for name in self.names}
        self.head = cluster.Node("head", state)
        self.library = images.Library(scratch)
        self.locks = {}
        self._guard = threading.Lock()

    def lock(self, what):
        with self._guard:
            return self.locks.setdefault(what, threading.Lock())

    # --- once -------------------------------------------------------------------------------------------------------

    def set_up(self):
        """Makes all whole, and pushes the images that all rounds use."""
        faults.heal(self)
        # An OSD that comes back empty has its copies in some seconds then.
        for setting in ("osd_recovery_sleep_hdd 0", "osd_max_backfills 16", "osd_recovery_max_active 16"):
            cluster.on("head", f"ceph config set osd {setting}").text()
        self.make_whole()
        self.finish()
        for node in self.names:
            if cluster.on(node, f"grep -q cache-budget {CONFIG}").code:
                self._restart(node, f"printf '%s\\n' '{SETTINGS[0]}' '{SETTINGS[1]}' >>{CONFIG}")
        shutil.rmtree(self.library.scratch, ignore_errors=True)
        for user in cluster.USERS:
            shutil.rmtree(os.path.join(self.home, user, "campaign"), ignore_errors=True)
        for user, standing in STANDING.items():
            for name, make in standing.items():
                self.library.push(user, make(f"{name}-{user}"), name)
        self.library.add(images.small("fault-moving-0"))
        self.library.push("alice", images.small("fault-moving-1"), "fault-moving")
        cluster.as_user("alice", "layercake share fault-lent --with project").text()
        cluster.cluster("as", "root", "sh", "-c", "printf 'client = client.admin\\nkeyring = /layercake-cluster/keys/client.admin\\n' >/root/fault-gc.conf").text()
        self.standing = {user: self._objects(user) for user in STANDING}

    def push_room(self):
        """The image that a cache takes only when nothing else is in use."""
        if "fault-room-alice" not in self.library.by_ident:
            self.library.push("alice", images.Image("fault-room-alice", ROOM_FILES, 1_000_000), "fault-room")

    def tear_down(self):
        """Removes all images and settings. What is left in the store then: a list of sentences."""
        found = []
        for user in STANDING:
            removed = cluster.as_user(user, "layercake ls --json | grep -o 'fault-[a-z0-9-]*' | sort -u | xargs -r -n 1 layercake rm; layercake unshare fault-lent")
            self._age(user, self._objects(user))
            collected = cluster.as_user(user, "layercake gc")
            left = [o for o in self._objects(user) if o[:2] in ("c/", "m/")]
            if left:
                found.append(f"{user}'s objects are left: {left[:5]} ({len(left)}) after: {removed.err} {collected.out}{collected.err}")
        for node in self.names:
            self._restart(node, f"sed -i '/^{SETTINGS[0]}$/d; /^{SETTINGS[1]}$/d' {CONFIG}")
        shutil.rmtree(self.library.scratch, ignore_errors=True)
        return found

    # --- each round -------------------------------------------------------------------------------------------------

    def prepare(self, plan):
        """Empties caches, and gives those that are to fill up a file system of their own."""
        own = {f.node for f in plan.faults if f.kind == "cache full"}
        for node in plan.cold:
            if node not in own:
                cluster.on(node, f"rm -f {CACHE}/images/*").text()
        for node in own:
            self._restart(node, f"mount -t tmpfs -o mode=0755,size={system_faults.CACHE_BYTES} cache {CACHE}")

    def _restart(self, node, between):
        cluster.cluster("launcher", node, "stop").text()
        cluster.on(node, between).text()
        self.start_launcher(node)

    def start_launcher(self, name):
        """As `cluster launcher NAME start`, but several nodes at once: that one takes the cluster's lock."""
        cluster.on(name, "/layercake-cluster/bin/node launcher start").text()

    def make_whole(self):
        """Starts what is still down after the faults, and waits until Slurm and Ceph are as before."""
        for name, node in self.nodes.items():
            if node.pid() is None:
                cluster.cluster("boot", name).text()
            self.start_launcher(name)
            if not any(p.comm == "slurmd" for p in node.processes()):
                cluster.on(name, "slurmd").text()
        for user in cluster.USERS:
            cluster.as_user(user, "scancel --me")  # what has lost its salloc; all users are done
        self.require_ceph()
        if not cluster.wait_for("no job is left", self._no_jobs, 120):
            found = cluster.as_user("root", "squeue -h -o '%i %j %T %r %N'; sinfo -h -N -o '%N %T %E'")
            raise cluster.Violation("jobs are left, or nodes are not idle: " + " | ".join((found.out + found.err).splitlines()))

    def _no_jobs(self):
        # In state IDLE also, since a job's nodes complete after it.
        queue = cluster.as_user("root", "squeue -h -o %i; sinfo -h -N -o %T")
        return queue.code == 0 and set(queue.out.split()) == {"idle"}

    def finish(self):
        """Gives back the file systems that `prepare` mounted."""
        for name, node in self.nodes.items():
            if any(line.split()[1] == CACHE for line in mounts(node)):
                self._restart(name, f"umount {CACHE}")

    # --- Ceph -------------------------------------------------------------------------------------------------------

    def require_ceph(self):
        """Waits until each OSD has all its copies. There is no mgr that would know; the OSDs do."""
        cluster.require("Ceph is whole", self._ceph_is_whole, 120)

    def _ceph_is_whole(self):
        script = """
            set -e; ceph --connect-timeout 5 osd stat -f json >/tmp/fault-stat
            for i in 0 1 2; do timeout 10 ceph daemon osd.$i dump_pgstate_history | grep currently; done
            cat /tmp/fault-stat
        """
        found = cluster.on("head", script)
        well = ("Primary/Active/Clean", "ReplicaActive/RepNotRecovering", '"num_up_osds":3')
        lines = [line for line in found.out.splitlines() if line.strip()]
        return found.code == 0 and len(lines) > 3 and all(any(word in line for word in well) for line in lines)

    def _objects(self, user):
        return set(cluster.on("head", f"rados -p layercake -N u.{user} ls").text().split())

    def age(self):
        """Makes what belongs to no standing image look eight days old, so that the next collections take it."""
        for user, standing in self.standing.items():
            self._age(user, self._objects(user) - standing)

    def _age(self, user, objects):
        aged = [o for o in objects if o[:2] in ("c/", "m/")]
        if aged:
            script = (
                f"seen=$(date -u -d '-8 days' +%Y-%m-%dT%H:%M:%SZ); printf '%s\\n' {' '.join(aged)} |"
                f" xargs -P 4 -I OBJECT rados -p layercake -N u.{user} setxattr OBJECT seen $seen"
            )
            cluster.on("head", script).text()


def mounts(node):
    with open(f"/proc/{node.pid()}/mounts") as file:
        return file.read().splitlines()


class Sampler(threading.Thread):
    """Looks at the launchers all the time, for the most memory, threads and descriptors they had."""

    def __init__(self, system):
        super().__init__(name="sampler", daemon=True)
        self.system, self.ended = system, threading.Event()
        self.rss_mb = self.threads = self.descriptors = 0

    def run(self):
        while not self.ended.wait(1):
            for node in self.system.nodes.values():
                launcher = node.launcher()
                if launcher:
                    self._look(launcher)

    def _look(self, launcher):
        try:
            figures = status(launcher)
            self.rss_mb = max(self.rss_mb, figures["VmHWM"] // 1024)
            self.threads = max(self.threads, figures["Threads"])
            self.descriptors = max(self.descriptors, len(os.listdir(f"/proc/{launcher.pid}/fd")))
        except (FileNotFoundError, ProcessLookupError, KeyError):
            pass  # it has ended meanwhile

    def stop(self):
        self.ended.set()
        self.join()


def status(process):
    """Numbers of /proc/PID/status, in KiB where it is memory."""
    with open(f"/proc/{process.pid}/status") as file:
        words = [line.split() for line in file]
    return {w[0].rstrip(":"): int(w[1]) for w in words if len(w) > 1 and w[1].isdigit()}
