"""Whether what became of starts and commands was right, given what was done to the system meanwhile."""

import re

SUM = re.compile(r"^sum (\d+) ([0-9a-f]{32})  (\d+)$")
IN = re.compile(r"^in (\d+) (\S+) (\S+)$")
HOST = re.compile(r"^host ", re.MULTILINE)
OURS = re.compile(r"^(?:slurmstepd: error: )?layercake: (?!looking up|waiting for|fetching|starting the container|this session is in)", re.MULTILINE)
# What says why, of Slurm, ssh, sshd's modules, the shell inside and the kernel.
OTHERS = re.compile(
    r"srun: |salloc: |sbatch: |slurmstepd: |ssh: |Connection|client_loop|kex_exchange|ssh_exchange|Access denied|Permission denied"
    r"|Input/output error|not connected|Bus error|Killed|Terminated|Broken pipe|cancelled|CANCELLED|Timeout|No such file|not found|reset by"
)
# With these Slurm lets a step or a job that was cut off end with 0.
LOST = re.compile(r"srun: error: Timed out waiting for job step|srun: error: task .* launch failed: Slurmd|CANCELLED AT")
LAYERCAKES = range(64, 79)  # its exit codes, see docs/user-guide.md
# Of the script in the container, of its shell, and of Slurm and the kernel where the image's programs cannot be read.
UNREAD = {40, 41, 126, 127, 2, 128 + 7, 128 + 11}


def failure(start):
    """What a start that failed came to, in the words of faults.py, or LayerCake's exit code."""
    if start.code in LAYERCAKES and OURS.search(start.err):
        return start.code
    if start.step.way == "ssh" and start.code == 255:
        return "session"
    if start.code in UNREAD:
        return "read"
    if start.code is None or start.code >= 128:
        return "ended"
    return "slurm"


class Judge:
    """Of one round. `injected` are the faults that hit something."""

    def __init__(self, plan, library, injected):
        self.plan, self.library, self.injected = plan, library, injected
        self.unshared = any(act.kind == "share" for act in plan.acts)

    def start(self, start):
        """What is wrong with a start: a list of sentences, and in one word how it ended."""
        wrong = list(self._printed(start))
        if start.code == 0 and LOST.search(start.err):
            start.code = None
        if start.code == 0:
            return wrong + list(self._whole(start)), "ran"
        outcome = "cut off" if start.code is None else f"failed with {start.code}"
        if self._is_refusal(start):
            return wrong, outcome
        became = failure(start)
        felt = [i for i in self.injected if self._felt(i, start)]
        if not any(became in i.may for i in felt):
            wrong.append(f"{start.ident} {outcome}, and no fault explains it ({became}; {[i.fault.kind for i in felt]}): {_last(start)}")
        elif became in ("slurm", "read") and not OURS.search(start.err) and not OTHERS.search(start.err + start.out):
            wrong.append(f"{start.ident} {outcome} without a word: {_last(start)}")
        return wrong, outcome

    def _printed(self, start):
        """Whatever came out was of the container and right."""
        if HOST.search(start.out):
            yield f"{start.ident} ran on the host: {start.out[:300]}"
        idents = {}
        for line in start.out.splitlines():
            entered, read = IN.match(line), SUM.match(line)
            if entered:
                idents[entered[1]] = entered[3]
                if entered[3] != "?" and entered[3] not in self._idents(start) and not self._strayed(start):
                    yield f"{start.ident} is in {entered[3]} instead of {start.image}"
            elif read and self.library.wrong(idents.get(read[1]), int(read[3]), read[2]):
                yield f"{start.ident} read wrong bytes: {line}, image {idents.get(read[1])}, file {read[3]}"

    def _strayed(self, start):
        """A slurmd that does not answer cannot say which job a session comes from: pam_slurm_adopt takes the user's newest."""
        return start.step.way == "ssh" and any(i.part == "slurmd" and self._felt(i, start) for i in self.injected)

    def _idents(self, start):
        if start.image == "fault-moving":
            return {"fault-moving-0", "fault-moving-1"}
        owner, _, name = start.image.rpartition("/")
        return {f"{name}-{owner or start.user}"}

    def _whole(self, start):
        """Who says that all is well has read all, in each task."""
        step = start.step
        read = sorted((int(m[1]), int(m[3])) for m in map(SUM.match, start.out.splitlines()) if m)
        wanted = sorted((task, f) for task in range(step.tasks) for f in step.first + step.second)
        if read != wanted or len(re.findall(r"^end ", start.out, re.MULTILINE)) != step.tasks:
            yield f"{start.ident} ended with 0 but has not read all: {start.out[-300:]} {_last(start)}"

    def _is_refusal(self, start):
        """What is no failure: an image of another's that is not shared just then."""
        return self.unshared and start.image.startswith("alice/") and start.user != "alice" and start.code in (77, 255)

    def _felt(self, injected, start):
        if start.ended is not None and injected.began > start.ended:
            return False
        scope = injected.scope()
        return scope is None or scope in start.step.nodes or scope in self._nodes_of_act(start)

    def _nodes_of_act(self, start):
        # A job ends on all its nodes when it loses one.
        return next(a.nodes for a in self.plan.acts if a.ident == start.ident.partition(".")[0])

    def command(self, done):
        """The same of a command of layercake, and of what srun, salloc and sbatch say themselves."""
        act = done.act
        if done.code == 0:
            return []
        if act.kind in ("job", "batch", "single"):
            if done.code is None and not self.injected:
                return [f"{act.ident} ({act.kind}) has no end: {done.said[-500:]}"]
            if not done.starts and not self.injected:
                return [f"{act.ident} ({act.kind}) failed with {done.code} and no fault explains it: {done.said[-500:]}"]
            return []
        raced = done.code == 75 and any(a.kind == act.kind and a != act for a in self.plan.acts)
        if raced:
            return []
        general = [i for i in self.injected if i.scope() is None]
        if not general:
            return [f"{act.ident} ({act.kind}) failed with {done.code} and no fault explains it: {done.said[-500:]}"]
        killed = any(i.fault.kind == "command killed" for i in general)
        if done.code in (73, 74, 75) or (killed and done.code in (137, -9)):
            return []
        return [f"{act.ident} ({act.kind}) failed with {done.code}: {done.said[-500:]}"]


def _last(start):
    text = (start.err.strip() or start.out.strip()).splitlines()
    return " | ".join(text[-3:])[:500]
