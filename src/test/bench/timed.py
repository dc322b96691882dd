"""Times commands where a user gives them: on the login side, as alice, without the time to get there.

Imported, it has `run`. It also is the program that does the timing there, where the checkout cannot be seen: its argument
is [[NAME, [WORD, ...], COUNT], ...] in JSON, its output a line of JSON for each event.
"""

import json
import random
import subprocess
import sys
import time


def run(commands, *within):
    """Runs all commands once, one after the other in random order, and yields their events as they come.

    `commands` are {name: (words, count)}: that many are started together. `within` is put before all, as `salloc` is. An event
    is (name, what, milliseconds since the start); what: "line" for the first line of the (first) command, if it writes
    any, and "end" when all have ended. A command that fails ends the benchmark.
    """
    import bench  # not needed, and not there, where this is the program

    order = [[name, *commands[name]] for name in random.sample(sorted(commands), len(commands))]
    with open(__file__) as source:
        words = [bench.CLUSTER, "as", "alice", *within, "python3", "-c", source.read(), json.dumps(order)]
    with subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as program:
        for line in program.stdout:
            yield json.loads(line)
    if program.returncode:
        bench.die(f"a command to be timed has failed, see above: {', '.join(commands)}")


def login(node, *options):
    """The words of a login that does nothing."""
    return ["ssh", "-o", "StrictHostKeyChecking=no", "-o", "LogLevel=ERROR", *options, node, "true"]


def run_in_job(commands, node, *container):
    """The same in one job on a node, with these options of the container, which its first step makes and is not counted."""
    with_container = ["sh", "-ec", f'srun -Q -n1 {" ".join(container)} true; exec "$@"', "sh"]
    yield from run(commands, "salloc", "-Q", "-w", node, "-c2", *with_container)


def _time(name, words, count):
    started = time.perf_counter()

    def say(what):
        print(json.dumps([name, what, 1000 * (time.perf_counter() - started)]), flush=True)

    programs = [subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) for _ in range(count)]
    if programs[0].stdout.readline():
        say("line")
    for program in programs:
        program.stdout.read()
    failed = [code for code in [program.wait() for program in programs] if code]
    if failed:
        sys.exit(f"{' '.join(words)} ended with {failed[0]}")
    say("end")


if __name__ == "__main__":
    for command in json.loads(sys.argv[1]):
        _time(*command)
