"""Faults of LayerCake's own processes, and of what users run."""

import signal

import cluster
from fault import Hung, Injected, Killed


# --- LayerCake's own ------------------------------------------------------------------------------------------------


class LauncherKilled(Injected):
    weight, part, lasts = 3, "launcher", (0.1, 6.0)
    may = {69, "session"}
    number = signal.SIGKILL

    def begin(self):
        launcher = self.node.launcher()
        if launcher is None or not launcher.signal(self.number):
            return None
        cluster.require(f"{launcher} has ended", lambda: not launcher.runs(), 40)
        return str(launcher)[:60]

    def end(self):
        if self.node.pid() is not None:
            self.system.start_launcher(self.fault.node)


class LauncherStopped(LauncherKilled):
    weight, number = 2, signal.SIGTERM


class LauncherHung(Hung):
    weight, part, lasts = 2, "launcher", (0.5, 8.0)
    may = {69, "session"}

    def targets(self):
        return [p for p in [self.node.launcher()] if p]


class ImageServerKilled(Killed):
    weight, part = 2.5, "imageserver"
    may = {"read"}

    def targets(self):
        return [p for p in self.node.processes() if p.comm == "imageserver"]


class ImageServerHung(Hung):
    weight, part, lasts = 1.5, "imageserver", (0.5, 8.0)
    may = {"read"}
    targets = ImageServerKilled.targets


class HolderKilled(Killed):
    """A holder that is being made, or one that keeps a container."""

    weight, part = 2.5, "holder"
    comms = {"holder", "ch-run", "layercake-pause", "pause"}

    def targets(self):
        return [p for p in self.node.processes() if p.comm in self.comms]


class HolderHung(Hung):
    weight, part, lasts = 1, "holder", (0.5, 8.0)
    comms = HolderKilled.comms
    targets = HolderKilled.targets


# --- jobs and users -------------------------------------------------------------------------------------------------


class TaskKilled(Killed):
    """A program of a user, in a container or on its way there."""

    weight, part = 1.5, "task"
    may = {"ended", "session"}

    def targets(self):
        users = cluster.USERS.values()
        # A slurmstepd is the user only for moments; Slurm does not get over its end.
        others = HolderKilled.comms | {"sshd", "slurmstepd"}
        return [p for p in self.node.processes() if p.uid in users and p.comm not in others]


class SessionKilled(Killed):
    """sshd's process of a session."""

    weight, part = 1.5, "session"
    may = {"ended", "session"}

    def targets(self):
        return [p for p in self.node.processes() if p.comm == "sshd" and "[listener]" not in p.args]


class JobCancelled(Injected):
    weight, part, of_node = 2.5, "jobs", False
    may = {69, 77, "ended", "slurm", "session"}
    cancel = "scancel"

    def begin(self):
        jobs = self._await(lambda: cluster.as_user("root", "squeue -h -t R -o %i").out.split())
        if not jobs:
            return None
        job = self.dice.choice(sorted(jobs))
        # One that has ended in between is no fault.
        return f"job {job}" if cluster.as_user("root", f"{self.cancel} {job}").code == 0 else None

    def scope(self):
        return None


class CommandKilled(Killed):
    """A user's layercake on the login side."""

    weight, part, of_node = 1, "commands", False
    may = {"ended"}
    comms = {"java"}

    def targets(self):
        return [p for p in cluster.login_processes() if p.comm in self.comms]


class ClientKilled(CommandKilled):
    """A user's srun, salloc, sbatch or ssh on the login side. An allocation goes on without its salloc: it is given back then."""

    may = {"ended", "slurm", "session"}
    comms = {"srun", "salloc", "sbatch", "ssh"}
