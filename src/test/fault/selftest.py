"""Whether the campaign would see it: each thing that must not be is done by hand, looked for, and undone."""

import os
import re

import cluster
import images
import invariants
import rounds
import system as systems

NODE = "n1"
# What is done in NODE, how it is undone, and what is to be said of it.
LEFT = {
    "mount": ("mount -t tmpfs left /mnt", "umount /mnt", r"a mount is left.*/mnt"),
    "process": ("setsid sleep 987654 >/dev/null 2>&1 &", "pkill -xf 'sleep 987654'", r"a process is left: sleep"),
    "note of a job": ("touch /run/layercake/contained/999999.10001", "rm /run/layercake/contained/999999.10001", r"contained/999999"),
    "stage": ("mkdir /run/layercake/stage/left", "rmdir /run/layercake/stage/left", r"stage/left"),
    "staged image": (f"touch {systems.CACHE}/staging/left", f"rm {systems.CACHE}/staging/left", r"a file is left: staging/left"),
    "file": ("touch /tmp/left", "rm /tmp/left", r"a file is left: /tmp/left"),
    "cgroup": (
        "mkdir -p /sys/fs/cgroup/freezer/slurm_n1/uid_10001/job_999999/step_0",
        "rmdir /sys/fs/cgroup/freezer/slurm_n1/uid_10001/job_999999/step_0 /sys/fs/cgroup/freezer/slurm_n1/uid_10001/job_999999",
        r"a cgroup is left.*job_999999/step_0",
    ),
    "launcher": (":", ":", r"the launcher does not run"),
    "drained node": (
        "scontrol update nodename=n1 state=drain reason=campaign",
        "scontrol update nodename=n1 state=resume",
        r"another state than idle: n1 drained",
    ),
    "descriptors": (
        "setsid python3 -c '\nimport os, socket, time\nos.setuid(10001)\n"
        "s = [socket.socket(socket.AF_UNIX) for i in range(120)]\n"
        "[x.connect(\"/run/layercake/launcher.sock\") for x in s]\nopen(\"/tmp/connected\", \"w\")\ntime.sleep(4)' >/dev/null 2>&1 &"
        " until [ -e /tmp/connected ]; do sleep 0.1; done",
        "rm /tmp/connected",
        r"the launcher has \d+ descriptors",
    ),
}


def run(system, baseline):
    """What was not seen: a list of names."""
    missed = []
    well, _ = invariants.settled(system, baseline)
    if well:
        raise cluster.Violation(f"not well to begin with: {well}")
    for name, (do, undo, said) in LEFT.items():
        if name == "launcher":
            cluster.cluster("launcher", NODE, "stop").text()
        cluster.on(NODE, do).text()
        found = invariants.check(system, baseline)
        cluster.on(NODE, undo)
        if name == "launcher":
            cluster.cluster("launcher", NODE, "start").text()
        missed += report(name, said, found)
        still, _ = invariants.settled(system, baseline)
        if still:
            raise cluster.Violation(f"{name} cannot be undone: {still}")
    missed += report("wrong byte", r"read wrong bytes", wrong_byte(system))
    missed += report("run on the host", r"ran on the host", start(system, "none", (0,)))
    missed += report("failed start", r"no fault explains it.*fault-absent", start(system, "fault-absent", (0,)))
    missed += report("damaged push", r"is not whole", damaged_push(system))
    return missed


def report(name, said, found):
    seen = [line for line in found if re.search(said, line, re.DOTALL)]
    print(f"{name}: {seen[0][:150] if seen else 'NOT SEEN in ' + str(found)}", flush=True)
    return [] if seen else [name]


def start(system, image, files):
    return rounds.probe(system, "selftest", "alice", image, (NODE,), files)[2]


def wrong_byte(system):
    """Changes one in the cached file of an image, where the bytes of /data/7 are."""
    start(system, "fault-large", (7,))
    cache = system.nodes[NODE].path(f"{systems.CACHE}/images")
    marker = system.library.by_ident["fault-large-alice"].data(7)[5000:5040]
    cluster.require("the image is in the cache", lambda: _place(cache, marker))
    path, offset = _place(cache, marker)
    _flip(path, offset)
    cluster.cluster("launcher", NODE, "stop").text()  # so that a new server reads it
    cluster.cluster("launcher", NODE, "start").text()
    found = start(system, "fault-large", (7,))
    _flip(path, offset)
    return found


def _place(cache, marker):
    for name in os.listdir(cache):
        with open(os.path.join(cache, name), "rb") as file:
            offset = file.read().find(marker)
        if offset >= 0:
            return os.path.join(cache, name), offset
    return None


def _flip(path, offset):
    with open(path, "r+b") as file:
        file.seek(offset)
        byte = file.read(1)
        file.seek(offset)
        file.write(bytes([byte[0] ^ 1]))


def damaged_push(system):
    """Takes a chunk from under an image that was pushed."""
    before = set(cluster.on("head", "rados -p layercake -N u.bob ls").text().split())
    system.library.push("bob", images.small("fault-damaged-bob"), "fault-damaged")
    new = [o for o in cluster.on("head", "rados -p layercake -N u.bob ls").text().split() if o[:2] == "c/" and o not in before]
    cluster.on("head", f"rados -p layercake -N u.bob rm {new[0]}").text()
    found = rounds.unproved("bob", "fault-damaged", 0)
    cluster.as_user("bob", "layercake rm fault-damaged").text()
    return found
