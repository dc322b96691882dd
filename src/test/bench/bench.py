"""What the benchmarks share. Each is a program beside this file; its docstring is its usage.

A benchmark measures cases, all of them once in each round and in random order, so that what the machine does besides falls on
all alike. A measurement is a row, a dictionary with what was measured (round, kind, ...) and what came out, a number each.
Its figures are ratios of cases of the same run. The rows go to target/bench/NAME.csv, the charts beside it (SVG), each
with the figures that it shows, NAME-chart.csv.
"""

import argparse
import contextlib
import csv
import json
import os
import random
import statistics
import subprocess
import sys
import time

import chart

CHECKOUT = os.path.realpath(os.path.join(os.path.dirname(__file__), "../../.."))
CLUSTER = os.path.join(CHECKOUT, "src/test/cluster/cluster")
RESULTS = os.path.join(CHECKOUT, "target/bench")
NAME = os.path.basename(sys.argv[0])
LAUNCHER_CONF = "/etc/layercake/launcher.conf"
CACHE = "/var/cache/layercake"
MIB = 1 << 20
MAKE_IMAGE = """
    umask 022; rm -rf /tmp/bench-image; mkdir /tmp/bench-image; cd /tmp/bench-image
    layercake pull deb:12 base.sqfs; unsquashfs -quiet -no-progress -d tree base.sqfs
    mkdir tree/srv/pad; size=$(stat -c %s base.sqfs); i=0
    while [ $((size + i * 4000000)) -lt {bytes} ]; do head -c 4000000 /dev/urandom >tree/srv/pad/$i; i=$((i+1)); done
    layercake push tree {name}; cd /; rm -rf /tmp/bench-image
"""


# --- the program ----------------------------------------------------------------------------------------------------


def parser(usage, rounds=10):
    """A parser of the arguments: the benchmark's docstring is its help, ROUNDS its first argument."""
    made = argparse.ArgumentParser(prog=NAME, description=usage, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("rounds", metavar="ROUNDS", nargs="?", type=_count, default=rounds, help=f"default {rounds}")
    return made


def _count(word):
    number = int(word)
    if number < 1:
        raise ValueError
    return number


def die(message):
    sys.exit(f"{NAME}: {message}")


# --- the cluster ----------------------------------------------------------------------------------------------------


def cluster(*words):
    """The output of a cluster command. What it says on the standard error, such as progress, is for failures alone."""
    done = subprocess.run([CLUSTER, *words], text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if done.returncode:
        die(f"cluster {' '.join(words)} ended with {done.returncode}: {done.stderr}")
    return done.stdout


def as_alice(script):
    return cluster("as", "alice", "sh", "-ec", script)


def on(node, script):
    return cluster("on", node, "sh", "-ec", script)


def processor_seconds(node, pids):
    """What the processes of a node have used so far; `pids` is a shell command that says which."""
    stats = on(node, f"for pid in $({pids}); do cat /proc/$pid/stat; done").splitlines()
    fields = [line.rpartition(")")[2].split() for line in stats]
    return sum(int(f[11]) + int(f[12]) for f in fields) / os.sysconf("SC_CLK_TCK")


def environment(name):
    """What `cluster env` says, LAYERCAKE_CLUSTER_NODES for example."""
    found = dict(line.removeprefix("export ").split("=", 1) for line in cluster("env").splitlines())
    return found[name].strip('"')


def nodes():
    """The names of the compute nodes."""
    return environment("LAYERCAKE_CLUSTER_NODES").split()


def restart_launcher(node):
    cluster("launcher", node, "stop")
    cluster("launcher", node, "start")


def set_launcher(node, **settings):
    """Restarts the launcher with these settings besides its own, `instant_start="true"` for example."""
    lines = "".join(f"{name.replace('_', '-')} = {value}\\n" for name, value in settings.items())
    drop = "".join(f" -e '/^{name.replace('_', '-')} *=/d'" for name in settings)
    on(node, f"[ -e {LAUNCHER_CONF}.own ] || cp -p {LAUNCHER_CONF} {LAUNCHER_CONF}.own")
    on(node, f"sed -e '' {drop} {LAUNCHER_CONF}.own >{LAUNCHER_CONF}; printf '{lines}' >>{LAUNCHER_CONF}")
    restart_launcher(node)


@contextlib.contextmanager
def launchers_restored(names):
    """At the end, the launchers of these nodes have their own settings again."""
    try:
        yield
    finally:
        for node in names:
            on(node, f"[ ! -e {LAUNCHER_CONF}.own ] || mv {LAUNCHER_CONF}.own {LAUNCHER_CONF}")
            restart_launcher(node)


@contextlib.contextmanager
def shaped(rate):
    """What leaves each OSD is limited meanwhile; `rate` as for `cluster shape`."""
    cluster("shape", rate)
    try:
        yield
    finally:
        cluster("shape", "off")


@contextlib.contextmanager
def padded_image(name, size):
    """An image of alice, of some `size` bytes: deb:12 and files that do not compress. Gives its digest, in hex, and size."""
    as_alice(MAKE_IMAGE.format(name=name, bytes=int(size)))
    try:
        image = json.loads(as_alice(f"layercake inspect --json {name}"))["image"]
        yield image["digest"].removeprefix("sha256:"), image["size"]
    finally:
        as_alice(f"layercake rm {name}")


def wait_for(what, condition, seconds=120):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            die(f"gave up after {seconds} s waiting until {what}")
        time.sleep(0.05)


def wait_for_jobs():
    wait_for("no job is left", lambda: not as_alice("squeue -h"))


def empty_cache(node):
    """Takes all images from a node on which no job runs."""
    wait_for("nothing is on its way", lambda: not on(node, f"ls {CACHE}/staging"))
    wait_for("nothing is mounted", lambda: not on(node, "ls /run/layercake/images"))
    on(node, f"rm -f {CACHE}/images/*")


def drop_page_cache():
    """The machine's, that is of all nodes, with what the kernel knows of names and inodes."""
    os.sync()
    with open("/proc/sys/vm/drop_caches", "w") as file:
        file.write("3")


# --- measurements ---------------------------------------------------------------------------------------------------


def interleaved(rounds, cases):
    """Each round's number with each case, in random order within the round."""
    for number in range(rounds):
        for case in random.sample(cases, len(cases)):
            yield number, case


def values(rows, what, **where):
    """The numbers in the column `what`, of the rows that have these values in these columns."""
    return [r[what] for r in rows if what in r and all(r.get(name) == value for name, value in where.items())]


def median(rows, what, **where):
    return statistics.median(values(rows, what, **where))


def ratios(rows, what, over, under):
    """Column `what` of one case over that of another, both as for `values`, for each round that has them."""
    numbers = sorted({r["round"] for r in rows})
    pairs = [(values(rows, what, round=n, **over), values(rows, what, round=n, **under)) for n in numbers]
    return [statistics.median(a) / statistics.median(b) for a, b in pairs if a and b]


def ratio(rows, what, over, under):
    """The median of `ratios`: slow spells of the machine are in both parts of each."""
    return statistics.median(ratios(rows, what, over, under))


def added(rows, kind, way):
    """The median of what one way takes more than the bare one, in milliseconds, within each round."""
    with_it, bare = (values(rows, "millis", kind=kind, way=name) for name in (way, "bare"))
    return statistics.median(one - other for one, other in zip(with_it, bare))


# --- what is left of it ---------------------------------------------------------------------------------------------


def write_csv(rows):
    os.makedirs(RESULTS, exist_ok=True)
    with open(os.path.join(RESULTS, NAME + ".csv"), "w", newline="") as file:
        writer = csv.DictWriter(file, list(dict.fromkeys(column for r in rows for column in r)))
        writer.writeheader()
        writer.writerows(rows)


def table(header, lines):
    """Prints lines of cells, the first column to the left, the others to the right; numbers come formatted."""
    cells = [[str(cell) for cell in line] for line in [header, *lines]]
    widths = [max(len(line[i]) for line in cells) for i in range(len(header))]
    for first, *others in cells:
        print("  ".join([first.ljust(widths[0]), *(c.rjust(w) for c, w in zip(others, widths[1:]))]).rstrip())


def bars(title, axis, series, log=False, name=None):
    """Bars with their medians, for each kind one of each of the series: {series: {kind: [number, ...]}}.

    The thin lines reach from the first quartile to the third. `name` is that of the file, without .svg.
    """
    points = _points(series)
    _leave(name, points, chart.bars(title, axis, points, log))


def lines(title, x_axis, y_axis, series, log="", name=None):
    """The medians over x, with quartiles, for each of the series: {series: {x: [number, ...]}}; log: "", "x", "y", "xy"."""
    points = _points(series)
    _leave(name, points, chart.lines(title, x_axis, y_axis, points, log))


def _points(series):
    return {label: {place: _point(numbers) for place, numbers in of.items()} for label, of in series.items()}


def _point(numbers):
    """Median and quartiles."""
    if len(numbers) == 1:
        return numbers[0], numbers[0], numbers[0]
    low, median, high = statistics.quantiles(numbers, n=4, method="inclusive")
    return median, low, high


def _leave(name, points, drawn):
    """The chart, and beside it the figures that it shows."""
    path = os.path.join(RESULTS, name or NAME)
    os.makedirs(RESULTS, exist_ok=True)
    with open(path + ".svg", "w") as file:
        file.write(drawn)
    with open(path + "-chart.csv", "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["series", "at", "median", "low", "high"])
        writer.writerows([label, place, *point] for label, of in points.items() for place, point in of.items())


def read_points(path):
    """The figures of a chart, as `_leave` has written them."""
    points = {}
    with open(path, newline="") as file:
        for row in csv.DictReader(file):
            point = tuple(float(row[which]) for which in ("median", "low", "high"))
            points.setdefault(row["series"], {})[row["at"]] = point
    return points
