"""What must hold of LayerCake on a node of systemd and cgroup v2; runs in that node, as root. See `run`.

    checks.py [CHECK…]    all, or those with these names

A check is a function, its name what must hold. They build on each other: the node is rebooted on the way, and the last one
removes the packages.
"""

import contextlib
import glob
import os
import pathlib
import re
import shlex
import subprocess
import sys
import time
import traceback

HERE = pathlib.Path("/checks")
PROGRESS = HERE / "progress"
RESULT = HERE / "result"
LAUNCHER = "layercake-launcher.service"
SOCKET = "layercake-launcher.socket"
CGROUPS = pathlib.Path("/sys/fs/cgroup")
IMAGE_SERVERS = CGROUPS / "system.slice" / LAUNCHER / "layercake-images"
PATIENCE_SECONDS = 120  # one emulated CPU
MB = 1_000_000

CHECKS = []


class Failed(Exception):
    """What must hold does not."""


def check(function):
    CHECKS.append(function)
    return function


def must(what, holds):
    if not holds:
        raise Failed(what)


def await_(what, condition):
    """Polls; returns the first true value."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise Failed(f"waited {PATIENCE_SECONDS} s until {what}")
        time.sleep(0.1)
    return value


# --- commands -------------------------------------------------------------------------------------------------------


def start(*words, user="root"):
    """Starts a command of a user's, as after a login."""
    as_user = ["setpriv", "--reuid", user, "--regid", user, "--init-groups"]
    environment = {"USER": user, "HOME": home(user), "LANG": "C.UTF-8",
                   "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
    process = subprocess.Popen([*as_user, *map(str, words)], cwd="/", env=environment, stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace")
    process.command = shlex.join(map(str, words))
    return process


def end(process, expected=0):
    """What a started command has said; it must end with that code."""
    try:
        said, complained = process.communicate(timeout=3 * PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        raise Failed(f"it does not end: {process.command}")
    if expected is not None and process.returncode != expected:
        raise Failed(f"ended with {process.returncode} instead of {expected}: {process.command}: {said}{complained}")
    return said.strip()


def run(*words, user="root", expected=0):
    return end(start(*words, user=user), expected)


def home(user):
    return "/root" if user == "root" else f"/home/{user}"


def ssh(*words, user="alice"):
    return start("ssh", "-o", "BatchMode=yes", "n1", *words, user=user)


def unit(name, key):
    return run("systemctl", "show", "--value", "--property", key, name)


def is_active(name):
    return unit(name, "ActiveState") == "active"


# --- jobs -----------------------------------------------------------------------------------------------------------


class Job:
    """A job of a user's that waits for steps, in the image "box"."""

    def __init__(self, *options, user="alice"):
        self.user = user
        said = run("sbatch", "--parsable", "--output=/dev/null", "--ch-image=box", *options, "--wrap=sleep infinity", user=user)
        self.id = int(said)
        await_(f"job {self.id} runs", lambda: self.state() == "RUNNING")

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        run("scancel", self.id)
        if kind is None:
            self.await_end()
            nothing_is_left_of(self.id)

    def state(self):
        return run("squeue", "--noheader", "--states=all", "--format=%T", f"--jobs={self.id}", expected=None)

    def await_end(self):
        await_(f"job {self.id} has ended", lambda: self.state() not in ("RUNNING", "COMPLETING", "PENDING"))

    def start_step(self, *words, options=()):
        return start("srun", f"--jobid={self.id}", "--overlap", *options, *words, user=self.user)

    def step(self, *words, options=(), expected=0):
        return end(self.start_step(*words, options=options), expected)

    @property
    def cgroup(self):
        found = glob.glob(f"{CGROUPS}/system.slice/*slurmstepd.scope/job_{self.id}")
        must(f"job {self.id} has one cgroup, not {found}", len(found) == 1)
        return pathlib.Path(found[0])

    @property
    def extern(self):
        return self.cgroup / "step_extern"

    def holder(self):
        """Its container's."""
        found = [pid for pid in processes("layercake-pause") if self.cgroup in cgroup_of(pid).parents]
        must(f"job {self.id} has one holder, not {found}", len(found) == 1)
        return found[0]

    def start_worker(self):
        """A step that reads its image until it is told to end, and must end well."""
        flag = pathlib.Path(home(self.user), f"end-{self.id}")
        script = f"until [ -e {flag} ]; do cat /bin/busybox >/dev/null || exit 1; sleep 0.2; done; echo well"
        return Worker(self.start_step("sh", "-c", script), flag)


class Worker:
    def __init__(self, process, flag):
        self.process, self.flag = process, flag

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is None:
            must("the step goes on", self.process.poll() is None)
        self.flag.touch()
        said = end(self.process, 0 if kind is None else None)
        self.flag.unlink()
        must(f'the step ends well, and does not say "{said}"', kind or said == "well")


def processes(name):
    found = []
    for comm in glob.glob("/proc/[0-9]*/comm"):
        with contextlib.suppress(OSError):
            if pathlib.Path(comm).read_text().strip() == name:
                found.append(int(comm.split("/")[2]))
    return found


def cgroup_of(pid):
    return CGROUPS / pathlib.Path(f"/proc/{pid}/cgroup").read_text().strip().removeprefix("0::/")


def memory(cgroup, file):
    return int((cgroup / file).read_text())


def mounts():
    lines = pathlib.Path("/proc/self/mountinfo").read_text().splitlines()
    return [line.split()[4] for line in lines if line.split()[4].startswith(("/run/layercake/", "/var/cache/layercake/"))]


def cgroups_left(name):
    """Those of jobs, but for what Slurm before 25.11 leaves of an extern step; docs/operations.md, "Known limits"."""
    return [job for job in glob.glob(f"{CGROUPS}/**/{name}", recursive=True) if not is_left_by_slurm(pathlib.Path(job))]


def is_left_by_slurm(job):
    try:
        return "populated 0" in (job / "cgroup.events").read_text() and not list(job.glob("step_[!e]*"))
    except OSError:  # gone just now
        return True


def nothing_is_left_of(job):
    await_(f"no cgroup of job {job}", lambda: not cgroups_left(f"job_{job}"))
    await_(f"the launcher knows no job {job}", lambda: not glob.glob(f"/run/layercake/*/{job}.*"))


def nothing_is_left():
    """Of all jobs."""
    await_("no cgroup of a job", lambda: not cgroups_left("job_*"))
    await_("no mount", lambda: not mounts())
    await_("no process of ours but the launcher", lambda: not processes("layercake-pause") + processes("imageserver"))
    await_("no process of a user's", lambda: subprocess.run(["pgrep", "-u", "alice,bob"], stdout=subprocess.PIPE).returncode == 1)
    await_("no note of a job", lambda: not glob.glob("/run/layercake/jobs/*") + glob.glob("/run/layercake/contained/*"))
    await_("no image server's cgroup in use", lambda: (IMAGE_SERVERS / "cgroup.procs").read_text() == "")


# --- what must hold -------------------------------------------------------------------------------------------------


@check
def the_node_has_cgroup_v2_alone_and_all_units_run():
    must("/proc/self/cgroup has version 2 alone", re.fullmatch("0::.*\n", pathlib.Path("/proc/self/cgroup").read_text()))
    for name in ("munge.service", "slurmctld.service", "slurmd.service", "ssh.service", SOCKET, LAUNCHER):
        await_(f"{name} is active", lambda: is_active(name))
    await_("Slurm can use the node", lambda: "idle" in run("sinfo", "--noheader", "--format=%T"))


@check
def users_push_images():
    root = pathlib.Path("/tmp/box")
    for directory in ("bin", "dev", "etc", "proc", "sys", "tmp", "usr"):
        (root / directory).mkdir(parents=True)
    run("cp", "/bin/busybox", root / "bin")
    for applet in run("busybox", "--list").split():
        if applet != "busybox":
            (root / "bin" / applet).symlink_to("busybox")
    # For programs of the node's, with --ch-mount=/usr.
    (root / "lib").symlink_to("usr/lib")
    (root / "lib64").symlink_to("usr/lib64")
    for user in ("alice", "bob"):
        run("layercake", "push", root, "box", user=user)


@check
def layercake_check_finds_no_fault():
    said = run("layercake-check", expected=None)
    must(said, not re.search("^fail ", said, re.MULTILINE))


@check
def the_unit_is_as_secure_as_docs_say():
    said = run("systemd-analyze", "security", "--no-pager", LAUNCHER, expected=None)
    exposure = re.search(r"exposure level for \S+: (\d+\.\d)", said)
    must(f"at most 6.0: {said[-200:]}", exposure and float(exposure[1]) <= 6.0)


@check
def steps_sessions_and_batch_scripts_share_the_jobs_container():
    with Job() as job:
        namespaces = {
            job.step("readlink", "/proc/self/ns/mnt"),
            job.step("readlink", "/proc/self/ns/mnt"),
            end(ssh("readlink", "/proc/self/ns/mnt")),
            os.readlink(f"/proc/{job.holder()}/ns/mnt"),
        }
        must(f"one mount namespace, not {namespaces}", len(namespaces) == 1)
        job.step("ls", "/etc/layercake", expected=1)  # which the node has
        batch = "/home/alice/batch"
        run("sbatch", "--wait", "--ch-image=box", "--ch-batch", f"--output={batch}", "--wrap=busybox | head -n 1", user="alice")
        said = pathlib.Path(batch).read_text()
        must(f'busybox in the batch script, and not "{said}"', said.startswith("BusyBox"))


@check
def holder_and_sessions_are_in_the_extern_step_and_tasks_in_theirs():
    with Job() as job:
        job.step("true")
        must("the holder", job.extern in cgroup_of(job.holder()).parents)
        cgroups = {name: end(process) for name, process in {
            "step": job.start_step("cat", "/proc/self/cgroup"), "session": ssh("cat", "/proc/self/cgroup")}.items()}
        must(f"a session's: {cgroups}", f"/job_{job.id}/step_extern/" in cgroups["session"])
        must(f"a step's: {cgroups}", re.search(rf"/job_{job.id}/step_\d+/", cgroups["step"]))
        servers = processes("imageserver")
        must(f"image servers, in a cgroup of their own: {servers}",
             servers and all(cgroup_of(server) == IMAGE_SERVERS for server in servers))


@check
def memory_is_charged_to_the_job():
    with Job() as job:
        job.step("true")
        before, launcher = memory(job.extern, "memory.peak"), memory(CGROUPS / "system.slice" / LAUNCHER, "memory.peak")
        step = job.start_step("sh", "-c", take(60))
        end(step)
        must("a step's", memory(job.cgroup, "memory.peak") >= 60 * MB)
        end(ssh(take(60)))
        must("a session's", memory(job.extern, "memory.peak") >= before + 55 * MB)
        must("and none to the launcher", memory(CGROUPS / "system.slice" / LAUNCHER, "memory.peak") < launcher + 40 * MB)


def take(megabytes):
    """A shell command that takes so much memory, and says its size."""
    return f"head -c {megabytes * MB} /dev/zero | tail -c {megabytes * MB} | wc -c"


@check
def a_job_that_takes_too_much_memory_is_stopped_and_its_container_stays():
    with Job("--mem=100") as job:
        job.step("true")
        holder = job.holder()
        said = job.step("sh", "-c", take(300), expected=None)
        must(f'a step is ended for want of memory, and does not say "{said}"', "300000000" not in said)
        said = end(ssh(take(300)), expected=None)
        must(f'a session, too, and it does not say "{said}"', "300000000" not in said)
        job.step("true")
        end(ssh("true"))
        must("the holder is the same", job.holder() == holder)
    must("the launcher was left alone", unit(LAUNCHER, "NRestarts") == "0")


@check
def root_inside_and_many_tasks_that_read_each_others_memory():
    with Job("--ntasks=4") as job:
        must("--ch-root", job.step("id", "-u", options=["--ch-image=box", "--ch-root", "--ntasks=1"]) == "0")
        said = job.step("/usr/bin/python3", "-c", READS_NEIGHBOUR, options=["--ntasks=4", "--ch-image=box", "--ch-mount=/usr:/usr:ro"])
        must(f'four tasks, and not "{said}"', said.split("\n") == ["read"] * 4)


# As MPI does inside a node, process_vm_readv(2).
READS_NEIGHBOUR = """
import ctypes, os, time
mine = ctypes.create_string_buffer(b"read")
rank, job = int(os.environ["SLURM_PROCID"]), os.environ["SLURM_JOB_ID"]
name = "/dev/shm/" + job + "-"
with open(name + "new" + str(rank), "w") as file:
    file.write(f"{os.getpid()} {ctypes.addressof(mine)}")
os.rename(name + "new" + str(rank), name + str(rank))
def wait(path):
    while not os.path.exists(path):
        time.sleep(0.05)
neighbour = name + str((rank + 1) % 4)
wait(neighbour)
pid, address = map(int, open(neighbour).read().split())
found = ctypes.create_string_buffer(4)
class Piece(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]
here, there = Piece(ctypes.addressof(found), 4), Piece(address, 4)
libc = ctypes.CDLL(None, use_errno=True)
libc.process_vm_readv.restype = ctypes.c_ssize_t
got = libc.process_vm_readv(pid, ctypes.byref(here), 1, ctypes.byref(there), 1, 0)
print(found.raw.decode() if got == 4 else os.strerror(ctypes.get_errno()), flush=True)
open(name + "done" + str(rank), "w").close()
for other in range(4):
    wait(name + "done" + str(other))
"""


@check
def what_a_job_changes_of_its_image_stays_for_the_job():
    writable = ["--ch-image=box", "--ch-writable"]
    with Job() as job:
        change = "rm /bin/wget && echo new >/etc/new && mkdir /etc/d && chmod 2750 /etc/d && chmod 0700 /bin/busybox"
        job.step("sh", "-c", change, options=writable)
        run("systemctl", "restart", LAUNCHER)
        said = job.step("sh", "-c", "cat /etc/new; stat -c %a / /etc/d /bin/busybox; ls /bin/wget || echo gone", options=writable)
        must(f'changes, and not "{said}"', said.split() == ["new", "755", "2750", "700", "gone"])


def interrupts(act):
    """A running job, before, during and after something that ends the launcher."""
    with Job() as job, job.start_worker():
        job.step("true")
        holder, launcher = job.holder(), unit(LAUNCHER, "MainPID")
        act(job)
        await_("the launcher runs", lambda: is_active(LAUNCHER))
        must("it is another", unit(LAUNCHER, "MainPID") != launcher)
        must("the step enters the same container", job.step("readlink", "/proc/self/ns/mnt") == os.readlink(f"/proc/{holder}/ns/mnt"))
        must("the session, too", end(ssh("readlink", "/proc/self/ns/mnt")) == os.readlink(f"/proc/{holder}/ns/mnt"))
        run("srun", "--ch-image=box", "true", user="bob")


@check
def a_restart_of_the_launcher_leaves_a_job_alone():
    interrupts(lambda job: run("systemctl", "restart", LAUNCHER))


@check
def systemd_starts_a_launcher_that_was_killed():
    interrupts(lambda job: os.kill(int(unit(LAUNCHER, "MainPID")), 9))


@check
def steps_that_come_while_there_is_no_launcher_have_it_started():
    def act(job):
        run("systemctl", "stop", LAUNCHER)
        # No session, for which pam-hook waits 3 s: a launcher takes longer to start here.
        for step in [job.start_step("true"), start("srun", "--ch-image=box", "true", user="bob")]:
            end(step)

    interrupts(act)


@check
def an_upgrade_of_the_packages_leaves_a_job_alone():
    def act(job):
        upgrade = start("dpkg", "--install", *(HERE / "next").glob("*.deb"))
        while upgrade.poll() is None:
            step = job.start_step("true")
            end(step, expected=None)
            # A launcher that starts while the upgrade has the CPU may take longer than a step waits, on a slow machine.
            must(f"a step ends with 0 or 69, not {step.returncode}", step.returncode in (0, 69))
            time.sleep(2)  # the CPU is the upgrade's
        end(upgrade)

    interrupts(act)


@check
def scancel_ends_steps_and_sessions():
    with Job() as job:
        step = job.start_step("sleep", "1000")
        session = ssh("sleep", "1000")
        await_("both run", lambda: len(processes("sleep")) >= 4)  # and the batch script's, and the extern step's
        run("scancel", job.id)
        end(step, expected=None)
        end(session, expected=None)


@check
def nothing_is_left_of_many_short_jobs():
    jobs = [start("srun", "--mem=100", "--ch-image=box", "true", user=user) for user in ("alice", "bob") * 6]
    for job in jobs:
        end(job)
    nothing_is_left()


@check
def a_reboot_ends_a_job():
    Job().step("true")
    raise Reboot


@check
def after_the_reboot_all_is_well_and_the_image_is_in_the_cache():
    the_node_has_cgroup_v2_alone_and_all_units_run()
    must("no job runs", run("squeue", "--noheader") == "")
    run("srun", "--ch-image=box", "true", user="alice")
    journal = run("journalctl", "--boot", "--unit", LAUNCHER, "--output=cat")
    must("the image is in the cache", "event=ready" in journal and "event=fetched" not in journal)
    nothing_is_left()


@check
def removal_leaves_nothing():
    pathlib.Path("/etc/slurm/plugstack.conf").unlink()
    run("systemctl", "restart", "slurmd.service")
    packages = [name for name in run("dpkg-query", "--show", "--showformat=${Package}\n", "layercake*").split()]
    run("dpkg", "--purge", *packages)
    for name in (LAUNCHER, SOCKET):
        must(f"{name} is gone", unit(name, "LoadState") == "not-found")
    for path in ("/run/layercake", "/var/cache/layercake", "/usr/lib/layercake"):
        must(f"{path} is gone", not os.path.exists(path))
    cgroup = CGROUPS / "system.slice" / LAUNCHER
    await_(f"{cgroup} is gone", lambda: not cgroup.exists())


# --- the list -------------------------------------------------------------------------------------------------------


class Reboot(Exception):
    """What a check ends with behind which the node is to be rebooted, and the list to go on."""


def main():
    names = sys.argv[1:]
    unknown = set(names) - {function.__name__ for function in CHECKS}
    if unknown:
        sys.exit(f"checks.py: there is no check {', '.join(sorted(unknown))}")
    made = PROGRESS.read_text().splitlines() if PROGRESS.exists() else []  # before the reboot
    for function in CHECKS[len(made):]:
        if not names or function.__name__ in names:
            made.append(make(function))
        else:
            made.append("left out")
        PROGRESS.write_text("".join(f"{line}\n" for line in made))
        if made[-1] == "reboot":
            run("systemctl", "--no-block", "reboot")
            time.sleep(PATIENCE_SECONDS)  # ended meanwhile
    RESULT.write_text("failed" if "FAILED" in made else "ok")


def make(function):
    """Makes a check, and says what has come of it."""
    sentence, began = function.__name__.replace("_", " "), time.monotonic()
    status = "ok"
    try:
        function()
    except Reboot:
        status = "reboot"
    except Exception as e:
        cause = str(e) if isinstance(e, Failed) else traceback.format_exc()
        print(f"FAILED {sentence}: {cause[:2000]}", flush=True)
        return "FAILED"
    print(f"ok {sentence} ({time.monotonic() - began:.1f} s)", flush=True)
    return status


if __name__ == "__main__":
    main()
