"""What a fault is: something that is done to the system, and undone.

A fault knows where it can be felt (`scope`: a node, or None for the whole cluster), what it needs alone (`needs`: two faults
on one thing take turns), and what may become of starts because of it (`may`): exit codes of LayerCake, or

  ended    its processes were ended
  read     its image could not be read, or not be executed
  slurm    Slurm refused or lost it
  session  ssh or sshd did
"""

import random
import signal
from dataclasses import dataclass

import cluster

ALL = frozenset({69, 75, 77, "ended", "read", "slurm", "session"})
TARGET_SECONDS = 6.0  # how long a fault waits for something it can hit


@dataclass(frozen=True)
class Fault:
    """What was drawn."""

    kind: str
    node: str  # "" where it is not of a node
    at: float
    seconds: float
    dice: int


class Injected:
    """A fault that is carried out. `begin` says what it hit, or nothing when there was nothing to hit."""

    weight = 1.0
    lasts = (0.3, 3.0)
    of_node = True
    may = frozenset()

    def __init__(self, fault, system):
        self.fault, self.system = fault, system
        self.node = system.nodes.get(fault.node)
        self.dice = random.Random(fault.dice)

    def scope(self):
        return self.fault.node or None

    def needs(self):
        return [(self.fault.node, self.part)] if self.fault.node else [(None, self.part)]

    def begin(self):
        raise NotImplementedError

    def end(self):
        """Undoes it; may be called when `begin` hit nothing, or broke in the middle."""

    def _await(self, find):
        """The first of what `find` gives, once it gives something."""
        found = []

        def there():
            found[:] = find()
            return bool(found)

        cluster.wait_for("a target", there, TARGET_SECONDS)
        return found

    def _pick(self, find):
        found = self._await(find)
        return self.dice.choice(sorted(found, key=lambda p: p.pid)) if found else None


class Killed(Injected):
    """Ends a process that nobody starts again."""

    def begin(self):
        target = self._pick(self.targets)
        return str(target) if target and target.signal(signal.SIGKILL) else None


class Hung(Injected):
    """Stops a process for a while."""

    stopped = None

    def begin(self):
        self.stopped = self._pick(self.targets)
        return str(self.stopped) if self.stopped and self.stopped.signal(signal.SIGSTOP) else None

    def end(self):
        if self.stopped:
            self.stopped.signal(signal.SIGCONT)
