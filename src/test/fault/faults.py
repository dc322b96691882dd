"""All kinds of faults, how one is drawn, and how whatever they may have left is undone."""

import signal

import cluster
import process_faults
import system_faults
from fault import Fault


def draw(dice, nodes, within):
    kind = dice.choices(list(KINDS), [k.weight for k in KINDS.values()])[0]
    made = KINDS[kind]
    low, high = made.lasts
    node = dice.choice(nodes) if made.of_node else ""
    at = round(dice.uniform(0.5, within), 2)
    return Fault(kind, node, at, round(dice.uniform(low, high), 2), dice.randrange(1 << 30))


KINDS = {
    "launcher killed": process_faults.LauncherKilled,
    "launcher stopped": process_faults.LauncherStopped,
    "launcher hangs": process_faults.LauncherHung,
    "image server killed": process_faults.ImageServerKilled,
    "image server hangs": process_faults.ImageServerHung,
    "holder killed": process_faults.HolderKilled,
    "holder hangs": process_faults.HolderHung,
    "task killed": process_faults.TaskKilled,
    "session killed": process_faults.SessionKilled,
    "job cancelled": process_faults.JobCancelled,
    "command killed": process_faults.CommandKilled,
    "client killed": process_faults.ClientKilled,
    "slurmd killed": system_faults.SlurmdKilled,
    "slurmd hangs": system_faults.SlurmdHung,
    "slurmctld stopped": system_faults.SlurmctldStopped,
    "slurmctld hangs": system_faults.SlurmctldHung,
    "OSD killed": system_faults.OsdKilled,
    "OSD hangs": system_faults.OsdHung,
    "monitor killed": system_faults.MonKilled,
    "monitor hangs": system_faults.MonHung,
    "Ceph paused": system_faults.CephPaused,
    "node crashed": system_faults.NodeCrashed,
    "link slow": system_faults.LinkSlow,
    "link down": system_faults.LinkDown,
    "cache full": system_faults.CacheFull,
    "run directory full": system_faults.RunFull,
    "id fails": system_faults.NamesFail,
    "names gone": system_faults.NamesGone,
}

# Whatever a campaign left that was itself ended in the middle.
HEAL_NODE = """
    umount -l /usr/bin/id /etc/passwd /etc/group 2>/dev/null; rm -f /run/fault-*; mount -o remount,size=50% /run
"""
HEAL_HEAD = "ceph --connect-timeout 20 osd unset pause"


def heal(system):
    """Undoes all that faults do to what goes on, in any order and any number of times."""
    for node in [system.head, *system.nodes.values()]:
        for process in node.processes():
            process.signal(signal.SIGCONT)
    for name, node in system.nodes.items():
        cluster.cluster("net", "ip", "link", "set", name, "up")
        cluster.cluster("net", "tc", "qdisc", "delete", "dev", name, "root")
        if node.pid() is not None:
            cluster.on(name, HEAL_NODE)
    for osd in range(3):
        cluster.on("head", f"pgrep -f '^ceph-osd -i {osd}' || ip netns exec osd.{osd} ceph-osd -i {osd}")
    cluster.on("head", "pgrep -x ceph-mon || ceph-mon -i a; pgrep -x slurmctld || slurmctld")
    cluster.on("head", HEAL_HEAD)
    for user in cluster.USERS:
        cluster.as_user(user, "scancel --me")
