"""What the users do, and what came of it: each act is a script of its user, each step and session in it a start."""

import os
import re
import shlex
import signal
import subprocess
import threading
import time
from dataclasses import dataclass, field

import cluster
import images

# Longer than the longest chain of waits that is right: a step waits 30 s for a launcher that hangs, reads wait for what has
# stopped, and Slurm gives a node that does not answer up after 30 s.
ACT_SECONDS = 120
# What the machine's own files show and no image does, see `node`.
HOST_ONLY = "/layercake-cluster"
READ = """
t=${SLURM_PROCID:-0}; read -r h </proc/sys/kernel/hostname
i=; while read -r l; do case $l in ID=*) i=${l#ID=};; esac; done </etc/os-release
echo "in $t $h ${i:-?}"; [ ! -e HOST_ONLY ] || echo "host $t $h"
bad=0; cd /data || exit 41
for f in FIRST; do if s=$(md5sum $f); then echo "sum $t $s"; else bad=1; fi; done
DWELL
for f in SECOND; do if s=$(md5sum $f); then echo "sum $t $s"; else bad=1; fi; done
echo "end $t"; [ $bad = 0 ] || exit 40
""".replace("HOST_ONLY", HOST_ONLY)
# Notes when each start begins and ends; %N is not for busybox, but these scripts run on the host.
RECORD = """
cd FOLDER || exit 97
s() {
  id=$1; shift; date "+begin $id %s.%N" >>log
  "$@" >$id.out 2>$id.err </dev/null; c=$?; date "+end $id %s.%N $c" >>log
}
"""
# sbatch --wait asks only every half minute, and ends with 0 for a job that was cancelled.
AWAIT_BATCH = """
until s=$(squeue -h -j $id -o %T 2>&1) && [ -z "$s" ] || [ "$s" != "${s#*Invalid}" ]; do sleep 0.5; done
said=$(scontrol -o show job $id); echo "$said"
echo "$said" | sed -n 's/.*ExitCode=\\([0-9]*\\):\\([0-9]*\\).*/\\1 \\2/p' | { read c s || exit 97; [ "$s" = 0 ] || c=$((128 + s)); exit $c; }
"""


@dataclass
class Start:
    """One start: a step or a session, its times as of the machine's clock, what it printed."""

    ident: str
    user: str
    image: str
    step: object
    began: float
    ended: float  # None: cut off
    code: int
    out: str
    err: str

    def entered(self):
        return re.search(r"^in \d+ \S+ fault-", self.out, re.MULTILINE) is not None


@dataclass
class Done:
    """An act that has ended."""

    act: object
    began: float
    ended: float = None
    code: int = None
    said: str = ""
    starts: list = field(default_factory=list)


def read_script(step):
    words = {"FIRST": " ".join(map(str, step.first)), "SECOND": " ".join(map(str, step.second))}
    script = READ.replace("DWELL", f"sleep {step.dwell}" if step.dwell else ":")
    return re.sub("FIRST|SECOND", lambda found: words[found[0]], script).strip()


class Actor(threading.Thread):
    """Does one act, at its time after the round's beginning."""

    def __init__(self, act, library, home, began, number):
        super().__init__(name=act.ident)
        self.act, self.library, self.began, self.number = act, library, began, number
        self.folder = os.path.join(home, act.user, "campaign", act.ident)
        self.inside = f"/home/{act.user}/campaign/{act.ident}"  # the same, for the user
        self.done = Done(act, 0)
        self.process = None

    def run(self):
        time.sleep(max(0, self.began + self.act.at - time.time()))
        self.done.began = time.time()
        kind = self.act.kind
        if kind in ("job", "batch", "single"):
            self._job()
        else:
            getattr(self, "_" + kind.replace("-", "_"))()
        self.done.ended = time.time()

    def _start(self, *words):
        """Runs a command as the user, to its end or to the limit."""
        command = [cluster.CLUSTER, "as", self.act.user, *words]
        self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
        )
        try:
            self.done.said, _ = self.process.communicate(timeout=ACT_SECONDS)
            self.done.code = self.process.returncode
        except subprocess.TimeoutExpired:
            self._give_up()

    def _give_up(self):
        """Ends what has no end, with all that it has started: the job's script holds the same pipe."""
        cluster.as_user("root", f"scancel -n {self.act.ident}")
        os.killpg(self.process.pid, signal.SIGKILL)
        self.done.said, _ = self.process.communicate()
        self.done.code = None

    def _job(self):
        self._write("job.sh", "#!/bin/sh\n" + RECORD.replace("FOLDER", self.inside) + "\n".join(self._lines()) + "\nwait\n")
        nodes = ["-N", str(len(self.act.nodes)), "-w", ",".join(self.act.nodes)]
        name = ["-Q", "-J", self.act.ident, "--ntasks-per-node", "2"]
        script = f"{self.inside}/job.sh"
        if self.act.kind == "single":
            self._start("sh", script)
        elif self.act.kind == "batch":
            image = [f"--ch-image={self.act.image}"] + (["--ch-batch"] if self._inside() else [])
            submit = ["sbatch", "--parsable", *name[1:], "--no-requeue", "-o", f"{self.inside}/batch.out", *nodes, *image, script]
            self._start("sh", "-c", f"id=$({shlex.join(submit)}) || exit; {AWAIT_BATCH}")
        else:
            self._start("salloc", *name, *nodes, f"--ch-image={self.act.image}", "sh", script)
        self._collect()

    def _inside(self):
        return self.act.steps[0].way == "batch"

    def _lines(self):
        if self.act.kind == "batch" and self._inside():
            # The script itself is inside: there is no srun there, and nobody to note its times.
            yield f"exec sh -c {shlex.quote(read_script(self.act.steps[0]))}"
            return
        for step in self.act.steps:
            words = shlex.join(["s", step.ident, *self._words(step)])
            if step.pause:
                yield f"sleep {step.pause}"
            yield words + (" &" if step.overlapping else "")

    def _words(self, step):
        script = read_script(step)
        if step.way == "ssh":
            return ["ssh", "-o", "BatchMode=yes", "-o", "ConnectTimeout=30", step.nodes[0], script]
        image = [f"--ch-image={step.image}"] if step.image else []
        name = ["-J", self.act.ident] if self.act.kind == "single" else ["--overlap"]
        where = ["-N", str(len(step.nodes)), "-w", ",".join(step.nodes), "-n", str(step.tasks)]
        return ["srun", "-Q", "-O", *name, *where, *image, *step.options, "sh", "-c", script]

    def _write(self, name, text):
        os.makedirs(self.folder, exist_ok=True)
        path = os.path.join(self.folder, name)
        with open(path, "w") as file:
            file.write(text)
        os.chmod(path, 0o755)
        uid = cluster.USERS[self.act.user]
        for owned in (os.path.dirname(self.folder), self.folder, path):
            os.chown(owned, uid, uid)

    def _collect(self):
        times = {}
        for line in self._read("log").splitlines():
            what, ident, *rest = line.split()
            times.setdefault(ident, {})[what] = rest
        for step in self.act.steps:
            if step.way == "batch":
                out = self._read("batch.out")
                # A job that is cancelled before it begins ends with 0.
                code = None if self.done.code == 0 and not out else self.done.code
                began, ended = self.done.began, time.time() if code is not None else None
                self.done.starts.append(self._made(step, began, ended, code, out, out + self.done.said))
                return
            noted = times.get(step.ident)
            if noted and "begin" in noted:
                ended, code = noted["end"] if "end" in noted else (None, None)
                out, err = self._read(step.ident + ".out"), self._read(step.ident + ".err")
                self.done.starts.append(
                    self._made(step, float(noted["begin"][0]), ended and float(ended), code and int(code), out, err)
                )

    def _made(self, step, began, ended, code, out, err):
        ident = f"{self.act.ident}.{step.ident}"
        return Start(ident, self.act.user, step.image or self.act.image, step, began, ended, code, out, err)

    def _read(self, name):
        try:
            with open(os.path.join(self.folder, name), errors="replace") as file:
                return file.read()
        except FileNotFoundError:
            return ""

    # --- commands ---------------------------------------------------------------------------------------------------

    def pushed_name(self):
        return f"fault-{self.act.ident}"

    def _push(self):
        image = self.library.add(images.small(f"fault-pushed-{self.act.ident}"))
        self._start("layercake", "push", self.library.tree(image), self.pushed_name())
        self.library.drop(image)

    def _move(self):
        image = self.library.by_ident[f"fault-moving-{self.number % 2}"]
        copy = images.small(image.ident)
        tree = os.path.join(self.library.scratch, self.act.ident)
        os.makedirs(self.library.scratch, exist_ok=True)
        copy.write(tree)
        self._start("layercake", "push", f"/scratch/campaign/{self.act.ident}", "fault-moving")

    def _share(self):
        take, give = "layercake unshare fault-lent", "layercake share fault-lent --with project"
        self._start("sh", "-c", f"{take} && sleep 1 && {give}")

    def _pull(self):
        os.makedirs(self.folder, exist_ok=True)
        uid = cluster.USERS[self.act.user]
        os.chown(os.path.dirname(self.folder), uid, uid)
        os.chown(self.folder, uid, uid)
        self._start("sh", "-c", f"layercake pull fault-large {self.inside}/pulled && md5sum <{self.inside}/pulled")

    def _gc(self):
        self._start("layercake", "gc")

    def _gc_all(self):
        # The administrator's; the act's user is the one who looks at it.
        command = [cluster.CLUSTER, "as", "root", "env", "LAYERCAKE_CONFIG=/root/fault-gc.conf", "layercake", "gc", "--all"]
        try:
            done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=ACT_SECONDS)
            self.done.said, self.done.code = done.stdout, done.returncode
        except subprocess.TimeoutExpired as e:
            self.done.said, self.done.code = str(e.output), None
