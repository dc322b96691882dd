"""What happens in a round: drawn from seed and round alone, so that a round can be drawn again, whatever ran before it."""

import collections
import random
from dataclasses import asdict, dataclass, field, replace

import faults

QUIET = 10  # each tenth round is without faults: then nothing may fail
ACTS_SECONDS = 9.0
FAULTS_SECONDS = 13.0
KINDS = {"job": 10, "batch": 5, "single": 4, "push": 1.8, "move": 0.8, "share": 1, "pull": 0.6, "gc": 0.9, "gc-all": 0.5}
SMALL_FILES, LARGE_FILES = 3, 60


@dataclass(frozen=True)
class Step:
    """One way into a container: a step or an ssh session, that reads files, waits and reads others."""

    ident: str
    way: str  # srun, ssh or batch: the job's own script
    nodes: tuple
    tasks: int
    image: str  # of the step alone; the job's when empty
    options: tuple
    first: tuple
    dwell: float
    second: tuple
    pause: float
    overlapping: bool


@dataclass(frozen=True)
class Act:
    """What a user does: a job with steps, or a command of layercake."""

    ident: str
    kind: str
    user: str
    at: float
    image: str
    nodes: tuple = ()
    steps: tuple = ()


@dataclass(frozen=True)
class Round:
    seed: str
    number: int
    cold: tuple  # nodes whose cache is emptied before
    acts: tuple
    faults: tuple = field(default=())

    def describe(self):
        return asdict(self)


class Draw:
    def __init__(self, seed, number, nodes):
        self.random = random.Random(f"{seed}/{number}")
        self.seed, self.number, self.nodes = seed, number, nodes

    def round(self):
        acts = self._lonely_sessions([self._act(i) for i in range(self.random.randint(12, 15))])
        cold = tuple(node for node in self.nodes if self.random.random() < 0.45)
        hit = () if self.number % QUIET == 0 else self._faults()
        return Round(self.seed, self.number, cold, acts, hit)

    def _act(self, index):
        kind = self.random.choices(list(KINDS), KINDS.values())[0]
        ident = f"r{self.number}a{index}"
        user = "alice" if kind in ("move", "share") else self.random.choice(["alice", "bob"])
        at = round(self.random.uniform(0, ACTS_SECONDS), 2)
        if kind not in ("job", "batch", "single"):
            return Act(ident, kind, user, at, self._image(user))
        nodes = tuple(sorted(self.random.sample(self.nodes, 1 if kind == "single" else self.random.choice([1, 1, 2]))))
        image = self._image(user)
        count = 1 if kind == "single" else self.random.randint(4, 8)
        steps = [self._step(f"s{i}", kind, user, image, nodes) for i in range(count)]
        if kind == "batch" and self.random.random() < 0.4:
            steps.insert(0, self._reading("s", "batch", nodes[:1], 1, "", (), image, False))
        return Act(ident, kind, user, at, image, nodes, tuple(steps))

    def _lonely_sessions(self, acts):
        """From the login side a session goes to any of the user's jobs on the node: such are only where there is one."""
        users = collections.Counter((act.user, node) for act in acts for node in act.nodes)
        return tuple(
            replace(act, steps=tuple(
                replace(step, way="srun") if step.way == "ssh" and act.kind == "job" and users[act.user, step.nodes[0]] > 1 else step
                for step in act.steps
            ))
            for act in acts
        )

    def _image(self, user):
        names = {"fault-small": 4, "fault-large": 4, "alice/fault-lent": 1.5}
        if user == "alice":
            names["fault-moving"] = 1.5
        return self.random.choices(list(names), names.values())[0]

    def _step(self, ident, kind, user, image, nodes):
        if kind != "single" and self.random.random() < 0.35:
            return self._reading(ident, "ssh", (self.random.choice(nodes),), 1, "", (), image, self.random.random() < 0.3)
        on = nodes if self.random.random() < 0.4 else (self.random.choice(nodes),)
        other = self._image(user) if kind == "single" or self.random.random() < 0.15 else ""
        options = self.random.choices([(), ("--ch-mount=/scratch",), ("--ch-root",)], [6, 1, 1])[0]
        tasks = len(on) * self.random.choice([1, 1, 2])
        return self._reading(ident, "srun", on, tasks, other, options, other or image, self.random.random() < 0.3)

    def _reading(self, ident, way, nodes, tasks, other, options, image, overlapping):
        files = LARGE_FILES if image.endswith("large") else SMALL_FILES
        chosen = self.random.sample(range(files), min(files, self.random.randint(2, 8)))
        cut = self.random.randint(1, len(chosen))
        dwell = round(self.random.choice([0, 0, self.random.uniform(0.2, 2.5)]), 2)
        pause = round(self.random.choice([0, 0, self.random.uniform(0.1, 1)]), 2)
        return Step(ident, way, nodes, tasks, other, options, tuple(chosen[:cut]), dwell, tuple(chosen[cut:]), pause, overlapping)

    def _faults(self):
        count = self.random.randint(11, 14)
        return tuple(faults.draw(self.random, self.nodes, FAULTS_SECONDS) for _ in range(count))


def draw(seed, number, nodes):
    return Draw(seed, number, nodes).round()
