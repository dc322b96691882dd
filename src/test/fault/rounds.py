"""One round: what users do and what is done to them, all at once, and then whether everything is as it should be."""

import concurrent.futures
import itertools
import json
import os
import re
import shutil
import threading
import time

import actors
import cluster
import faults
import invariants
import judge
import plan as plans
import system as systems


class Injection(threading.Thread):
    """Carries a fault out, at its time, as soon as nothing else is done to the same thing, and undoes it."""

    def __init__(self, injected, system, began):
        super().__init__(name=injected.fault.kind)
        self.injected, self.system, self.round_began = injected, system, began
        injected.began = injected.ended = None
        injected.hit = injected.trouble = None

    def run(self):
        injected = self.injected
        time.sleep(max(0, self.round_began + injected.fault.at - time.time()))
        held = [self.system.lock(need) for need in sorted(injected.needs(), key=str)]
        for lock in held:
            lock.acquire()
        try:
            injected.began = time.time()
            injected.hit = injected.begin()
            if injected.hit:
                time.sleep(injected.fault.seconds)
        except Exception as e:
            injected.trouble = f"{injected.fault.kind}: {e}"
        try:
            injected.end()
        except Exception as e:
            injected.trouble = f"undoing of {injected.fault.kind}: {e}"
        injected.ended = time.time()
        for lock in held:
            lock.release()


class Round:
    def __init__(self, system, baseline, logs, seed, number, folder):
        self.system, self.baseline, self.logs = system, baseline, logs
        self.plan = plans.draw(seed, number, system.names)
        self.folder = folder
        self.sampler = systems.Sampler(system)
        self.injected, self.done, self.starts, self.outcomes = [], [], [], []
        self.wrong = []
        self.figures = {}

    def run(self):
        """What does not hold is in `wrong` then; a round that is broken off has its record, too."""
        os.makedirs(self.folder, exist_ok=True)
        with open(os.path.join(self.folder, "plan.json"), "w") as file:
            json.dump(self.plan.describe(), file, indent=1)
        try:
            for phase in (self._prepare, self._act, self._make_whole, self._judge, self._after):
                began = time.monotonic()
                phase()
                self.figures[phase.__name__.strip("_")] = round(time.monotonic() - began, 1)
        except cluster.Violation as e:
            self.wrong.append(str(e))
        self._write()

    def _prepare(self):
        self.system.prepare(self.plan)
        self.logs.new()

    def _act(self):
        self.sampler.start()
        began = time.time()
        home = self.system.home
        self.injections = [Injection(faults.KINDS[f.kind](f, self.system), self.system, began) for f in self.plan.faults]
        self.actors = [actors.Actor(a, self.system.library, home, began, self.plan.number) for a in self.plan.acts]
        for thread in [*self.actors, *self.injections]:
            thread.start()
        for thread in [*self.injections, *self.actors]:
            thread.join()
        self.injected = [i.injected for i in self.injections]
        self.wrong += [f"the campaign could not do what it wanted: {i.trouble}" for i in self.injected if i.trouble]
        self.done = [actor.done for actor in self.actors]
        for done in self.done:
            if done.code is None:
                if not self._was_never_begun(done):
                    self.wrong.append(f"{done.act.ident} ({done.act.kind}) has no end in {actors.ACT_SECONDS} s")
                cluster.as_user("root", f"scancel -n {done.act.ident}")

    def _was_never_begun(self, done):
        """A slurmd that ends with the order to begin a job unread does not get it again, and the job waits for ever."""
        lost = [i for i in self.injected if i.hit and i.part == "slurmd" and i.fault.node in done.act.nodes]
        return bool(lost) and not done.starts

    def _make_whole(self):
        try:
            self.system.make_whole()
        finally:
            self.sampler.stop()
        if self.sampler.threads > invariants.PEAK_THREADS:
            self.wrong.append(f"a launcher had {self.sampler.threads} threads, more than {invariants.PEAK_THREADS}")

    def _judge(self):
        hits = [i for i in self.injected if i.hit]
        verdict = judge.Judge(self.plan, self.system.library, hits)
        self.starts = [start for done in self.done for start in done.starts]
        for start in self.starts:
            wrong, outcome = verdict.start(start)
            self.wrong += wrong
            self.outcomes.append(outcome)
        for done in self.done:
            self.wrong += verdict.command(done)

    def _after(self):
        """With nothing disturbed any more: all works, what was pushed is whole, and nothing is left."""
        cluster.as_user("alice", "layercake share fault-lent --with project").text()
        self._probe("alice", "fault-small")
        self._probe("bob", "alice/fault-lent")
        self._prove_pushed()
        if self.plan.number % plans.QUIET == 0:
            # It finds no room where a launcher still thinks that another is in use.
            self.system.push_room()
            self._probe("alice", "fault-room")
        for user in cluster.USERS:
            shutil.rmtree(os.path.join(self.system.home, user, "campaign"), ignore_errors=True)
        self.system.age()
        began = time.monotonic()
        left, self.figures["last to settle"] = invariants.settled(
            self.system, self.baseline, patient=self.plan.number % plans.QUIET == 0
        )
        self.figures["settle"] = round(time.monotonic() - began, 1)
        self.wrong += left
        self.system.finish()
        self._read_logs()

    def _probe(self, user, image):
        """Once more when Ceph did not answer: a client that idled learns late where OSDs are that have come back."""
        for attempt in range(2):
            ident = f"r{self.plan.number}{user}{attempt}"
            starts, outcomes, wrong = probe(self.system, ident, user, image, tuple(self.system.names))
            if outcomes != ["failed with 75"]:
                break
        self.starts += starts
        self.outcomes += outcomes
        self.wrong += wrong

    def _prove_pushed(self):
        """What a push that succeeded has stored is whole; of one that failed there is a whole image or none."""
        with concurrent.futures.ThreadPoolExecutor(3) as threads:
            list(threads.map(self._prove, [a for a in self.actors if a.act.kind in ("push", "move")]))
        if any(i.hit and i.fault.kind == "command killed" for i in self.injected):
            for user in cluster.USERS:  # what a killed command has left goes with the user's next
                self.wrong += unproved(user, "fault-small", 0)

    def _prove(self, actor):
        act = actor.act
        name = actor.pushed_name() if act.kind == "push" else "fault-moving"
        damaged = unproved(act.user, name, actor.done.code)
        self.wrong += damaged
        if act.kind == "push":
            if actor.done.code == 0 and not damaged:
                self._run_pushed(act, name)
            cluster.as_user(act.user, f"layercake rm {name}")

    def _run_pushed(self, act, name):
        image = self.system.library.by_ident[f"fault-pushed-{act.ident}"]
        files = " ".join(map(str, range(image.files)))
        command = f"srun -Q -N1 --ch-image={name} sh -c 'cd /data; md5sum {files}'"
        result = cluster.as_user(act.user, command)
        if result.out.split()[::2] != [image.sum(n) for n in range(image.files)]:
            self.wrong.append(f"{act.user}'s {name} does not read as it was pushed: {result.out}{result.err}")

    def _read_logs(self):
        lines = self.logs.new()
        self.log_lines = lines
        if any(re.search(r"drain", line, re.IGNORECASE) for line in lines["slurmctld"]):
            self.wrong.append("a node was drained: " + " | ".join(l for l in lines["slurmctld"] if "drain" in l.lower())[:500])
        for name in self.system.names:
            hits = {i.fault.kind for i in self.injected if i.hit and i.fault.node == name}
            troubled = [line for line in lines[name] if invariants.TROUBLE.search(line)]
            if "image server killed" in hits:
                troubled = [line for line in troubled if "event=imageserver-died " not in line]
            if troubled and not hits & TROUBLES:
                self.wrong.append(f"{name}: the launcher's log tells of trouble: " + " | ".join(troubled[:4])[:1500])

    def _write(self):
        """The round's record: what was hit and what came of it."""
        with open(os.path.join(self.folder, "round.json"), "w") as file:
            json.dump(self.record(), file, indent=1)
        with open(os.path.join(self.folder, "starts.txt"), "w") as file:
            for start, outcome in itertools.zip_longest(self.starts, self.outcomes, fillvalue="not judged"):
                file.write(f"{start.ident} {start.step.way} {start.image} {start.step.nodes} {start.began:.2f}-{start.ended or 0:.2f} {outcome}\n")
                file.write("".join(f"    {line}\n" for line in (start.out + start.err).splitlines()[-12:]))
            for done in self.done:
                file.write(f"{done.act.ident} {done.act.kind} {done.act.user} {done.began:.2f}-{done.ended:.2f} code {done.code}\n    {done.said[-1000:]}\n")

    def record(self):
        took = [s.ended - s.began for s in self.starts if s.ended and s.code == 0]
        return {
            "seed": self.plan.seed,
            "round": self.plan.number,
            "seconds": self.figures,
            "starts": len(self.starts),
            "entered": sum(s.entered() for s in self.starts),
            "outcomes": self.outcomes,
            "faults": [
                {"kind": i.fault.kind, "node": i.fault.node, "hit": i.hit, "began": i.began, "ended": i.ended, "starts": self._met(i)}
                for i in self.injected
            ],
            "slowest start": max(took, default=0),
            "launcher MB": self.sampler.rss_mb,
            "launcher threads": self.sampler.threads,
            "launcher descriptors": self.sampler.descriptors,
            "wrong": self.wrong,
        }

    def _met(self, injected):
        """How many starts were under way where the fault could be felt."""
        if not injected.hit:
            return 0
        scope = injected.scope()
        return sum(
            s.began < injected.ended and (s.ended or injected.ended) > injected.began and (scope is None or scope in s.step.nodes)
            for s in self.starts
        )


def unproved(user, name, pushed):
    """Of an image whose push ended with a code: a sentence unless it is whole, or not there and was not pushed."""
    verified = cluster.as_user(user, f"layercake verify {name}")
    if verified.code and not (verified.code == 66 and pushed):
        return [f"{user}'s {name}, whose push ended with {pushed}, is not whole: {verified.err}"]
    return []


def probe(system, ident, user, image, nodes, files=(0, 1, 2)):
    """A step of a job of its own, which nothing may disturb: it, how it ended, and what was wrong with it."""
    step = plans.Step("p", "srun", nodes, len(nodes), image, (), files, 0, (), 0, False)
    act = plans.Act(ident, "single", user, 0, image, nodes, (step,))
    actor = actors.Actor(act, system.library, system.home, time.time(), 0)
    actor.run()
    if not actor.done.starts:
        return [], [], [f"{user} cannot start {image}: {actor.done.said[-500:]}"]
    strict = judge.Judge(plans.Round("", 0, (), (act,)), system.library, [])
    judged = [strict.start(start) for start in actor.done.starts]
    return actor.done.starts, [outcome for _, outcome in judged], [w for wrong, _ in judged for w in wrong]


# What makes a launcher say that an administrator has to act.
TROUBLES = {"cache full", "run directory full", "names gone"}
