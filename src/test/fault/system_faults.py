"""Faults of what LayerCake stands on: Slurm, Ceph, nodes, links, disks and the name service."""

import signal

import cluster
from fault import ALL, Hung, Injected

# A tmpfs may be made as small as what is in it.
FULL = "mount -o remount,size=$(df --output=used -k {0} | tail -1 | tr -d ' ')k {0}"
CACHE_BYTES = 200 << 20
NODE_PARTS = ["launcher", "imageserver", "holder", "task", "session", "slurmd", "link", "cache", "run", "names"]

# --- Slurm ----------------------------------------------------------------------------------------------------------


class SlurmdKilled(Injected):
    weight, part, lasts = 1.5, "slurmd", (0.2, 5.0)
    may = {"slurm", "ended"}

    def begin(self):
        target = self._pick(self.targets)
        return str(target) if target and target.signal(signal.SIGKILL) else None

    def targets(self):
        return [p for p in self.node.processes() if p.comm == "slurmd" and p.args == "slurmd"]

    def end(self):
        if self.node.pid() is not None and not self.targets():
            cluster.on(self.fault.node, "slurmd").text()


class SlurmdHung(Hung):
    weight, part, lasts = 1, "slurmd", (0.5, 8.0)
    may = {"slurm", "ended"}
    targets = SlurmdKilled.targets


class SlurmctldStopped(Injected):
    """Stopped as for a restart: when it is killed it forgets jobs of the last seconds, which then stay on their nodes."""

    weight, part, lasts, of_node = 0.7, "slurmctld", (0.2, 4.0), False
    may = {75, "slurm"}

    def begin(self):
        target = self._pick(self.targets)
        if target is None or not target.signal(signal.SIGTERM):
            return None
        cluster.require("slurmctld has ended", lambda: not target.runs(), 60)
        return "slurmctld"

    def targets(self):
        return [p for p in self.system.head.processes() if p.comm == "slurmctld"]

    def end(self):
        if not self.targets():
            cluster.on("head", "slurmctld").text()


class SlurmctldHung(Hung):
    weight, part, lasts, of_node = 0.7, "slurmctld", (0.5, 6.0), False
    may = {75, "slurm"}
    targets = SlurmctldStopped.targets


# --- Ceph -----------------------------------------------------------------------------------------------------------


class OsdKilled(Injected):
    """It comes back empty, as a disk does that was replaced: the next of Ceph's faults waits until it has its copies."""

    weight, part, lasts, of_node = 1.5, "ceph", (0.2, 4.0), False
    may = {75}
    number = signal.SIGKILL

    def osd(self):
        return self.fault.dice % 3

    def targets(self):
        return [p for p in self.system.head.processes() if p.comm == "ceph-osd" and f"-i {self.osd()}" in p.args]

    def begin(self):
        target = self._pick(self.targets)
        return f"osd.{self.osd()}" if target and target.signal(self.number) else None

    def end(self):
        osd = self.osd()
        if not self.targets():
            cluster.on("head", f"ip netns exec osd.{osd} ceph-osd -i {osd}").text()
        self.system.require_ceph()


class OsdHung(Hung):
    weight, part, lasts, of_node = 1.5, "ceph", (0.5, 8.0), False
    may = {75}
    osd = OsdKilled.osd
    targets = OsdKilled.targets

    def end(self):
        super().end()
        self.system.require_ceph()


class MonKilled(Injected):
    weight, part, lasts, of_node = 1, "ceph", (0.2, 5.0), False
    may = {75}

    def targets(self):
        return [p for p in self.system.head.processes() if p.comm == "ceph-mon"]

    def begin(self):
        target = self._pick(self.targets)
        return "mon.a" if target and target.signal(signal.SIGKILL) else None

    def end(self):
        if not self.targets():
            cluster.on("head", "ceph-mon -i a").text()
        self.system.require_ceph()


class MonHung(Hung):
    weight, part, lasts, of_node = 1, "ceph", (0.5, 8.0), False
    may = {75}
    targets = MonKilled.targets

    def end(self):
        super().end()
        self.system.require_ceph()


class CephPaused(Injected):
    weight, part, lasts, of_node = 1.5, "ceph", (0.5, 9.0), False
    may = {75}

    def begin(self):
        cluster.on("head", "ceph osd set pause").text()
        return "all OSDs"

    def end(self):
        cluster.on("head", "ceph osd unset pause").text()


# --- nodes ----------------------------------------------------------------------------------------------------------


class NodeCrashed(Injected):
    """slurmctld believes for long that steps of a node go on that was away for less than SlurmdTimeout: they are cancelled."""

    weight, lasts = 1.2, (0.2, 4.0)
    may = ALL
    jobs = frozenset()

    def needs(self):
        # `cluster boot` waits until all nodes can be used.
        return [(None, "crash"), *((self.fault.node, part) for part in NODE_PARTS)]

    def begin(self):
        cluster.cluster("crash", self.fault.node).text()
        self.jobs = self._jobs()
        return "pid 1"

    def end(self):
        self.jobs |= self._jobs()
        if self.node.pid() is None:
            cluster.cluster("boot", self.fault.node).text()
        if self.jobs:
            cluster.as_user("root", f"scancel {' '.join(self.jobs)}")

    def _jobs(self):
        return frozenset(cluster.as_user("root", f"squeue -h -o %i -w {self.fault.node}").out.split())


class LinkSlow(Injected):
    weight, part, lasts = 2, "link", (3.0, 9.0)

    def begin(self):
        words = f"tc qdisc replace dev {self.fault.node} root tbf rate 40mbit burst 64kb latency 400ms"
        cluster.cluster("net", *words.split()).text()
        return "5 MB/s"

    def end(self):
        cluster.cluster("net", "tc", "qdisc", "delete", "dev", self.fault.node, "root")


class LinkDown(Injected):
    weight, part, lasts = 1, "link", (0.3, 6.0)
    may = {75, "slurm", "session", "ended"}

    def begin(self):
        cluster.cluster("net", "ip", "link", "set", self.fault.node, "down").text()
        return "cable"

    def end(self):
        cluster.cluster("net", "ip", "link", "set", self.fault.node, "up")


class CacheFull(Injected):
    """The cache is on a file system of its own for the round, see System.prepare, which leaves no room for a while."""

    weight, part, lasts = 1.2, "cache", (1.0, 8.0)
    may = {73, "read"}
    path = "/var/cache/layercake"

    def begin(self):
        # Fails where the directory has no file system of its own any more, since the node has crashed.
        return self.path if cluster.on(self.fault.node, FULL.format(self.path)).code == 0 else None

    def end(self):
        if self.node.pid() is not None:
            cluster.on(self.fault.node, f"mount -o remount,size={CACHE_BYTES} {self.path}")


class RunFull(Injected):
    weight, part, lasts = 1.2, "run", (0.5, 6.0)
    may = {69, 70, 73, "session", "slurm"}

    def begin(self):
        return "/run" if cluster.on(self.fault.node, FULL.format("/run")).code == 0 else None

    def end(self):
        if self.node.pid() is not None:
            cluster.on(self.fault.node, "mount -o remount,size=50% /run").text()


class NamesFail(Injected):
    """The name service knows no groups: `id` fails, or does not end."""

    weight, part, lasts = 1.2, "names", (1.0, 8.0)
    may = {77}
    variants = ["exit 1", "sleep 60"]

    def begin(self):
        body = self.dice.choice(self.variants)
        script = f"printf '#!/bin/sh\\n{body}\\n' >/run/fault-id; chmod 755 /run/fault-id; mount --bind /run/fault-id /usr/bin/id"
        return body if cluster.on(self.fault.node, script).code == 0 else None

    def end(self):
        if self.node.pid() is not None:
            cluster.on(self.fault.node, "umount -l /usr/bin/id; rm -f /run/fault-id")


class NamesGone(Injected):
    """A directory service is away: of users and groups the node knows its own alone. Without root slurmd drains its node."""

    weight, part, lasts = 1.0, "names", (0.5, 5.0)
    may = {77, "slurm", "session", "ended"}
    files = "passwd", "group"

    def begin(self):
        hide = "awk -F: '$3 < 1000 || $3 == 65534' /etc/{0} >/run/fault-{0} && mount --bind /run/fault-{0} /etc/{0}"
        script = " && ".join(hide.format(file) for file in self.files)
        # Fails where /run is full just then.
        return "users and groups" if cluster.on(self.fault.node, script).code == 0 else None

    def end(self):
        if self.node.pid() is not None:
            cluster.on(self.fault.node, "; ".join(f"umount -l /etc/{file}; rm -f /run/fault-{file}" for file in self.files))
