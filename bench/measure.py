"""CPU and memory of a server with all its processes."""

import os
import time


def _parents():
    parents = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat") as file:
                    fields = file.read().rsplit(")", 1)[1].split()
                parents[int(name)] = (int(fields[1]), fields)
            except OSError:
                continue
    return parents


def tree(*roots):
    """The pids of `roots` and everything below them."""
    parents = _parents()
    found = set(roots)
    grown = True
    while grown:
        grown = False
        for pid, (parent, _) in parents.items():
            if parent in found and pid not in found:
                found.add(pid)
                grown = True
    return found & set(parents)


def named(roots, name):
    """The pids of the trees whose program has this name."""
    found = []
    for pid in tree(*roots):
        try:
            with open(f"/proc/{pid}/comm") as file:
                if file.read().strip() == name:
                    found.append(pid)
        except OSError:
            continue
    return found


def cpu_milliseconds(*roots):
    """User and system time of the trees, with that of children that have ended."""
    tick = 1000 / os.sysconf("SC_CLK_TCK")
    parents = _parents()
    return sum(sum(int(parents[pid][1][i]) for i in (11, 12, 13, 14)) * tick
               for pid in tree(*roots) if pid in parents)


def rest(*roots):
    """Waits, for a minute at most, until the trees have done what they put off: three seconds with less
    than a twentieth of one core."""
    quiet = 0
    before = cpu_milliseconds(*roots)
    for _ in range(120):
        time.sleep(0.5)
        now = cpu_milliseconds(*roots)
        quiet = quiet + 1 if now - before < 25 else 0
        if quiet == 6:
            return
        before = now


def memory_kib(*roots, alone=False):
    """Proportional set size of the trees: shared pages are counted once. `alone`: of these processes
    only, without what is below them."""
    total = 0
    for pid in roots if alone else tree(*roots):
        try:
            with open(f"/proc/{pid}/smaps_rollup") as file:
                for line in file:
                    if line.startswith("Pss:"):
                        total += int(line.split()[1])
        except OSError:
            continue
    return total


def settled_memory_kib(*roots, alone=False):
    """memory_kib once it has stopped falling: allocators give back only after a while what earlier
    work has left."""
    memory = memory_kib(*roots, alone=alone)
    for _ in range(20):
        time.sleep(3)
        before, memory = memory, memory_kib(*roots, alone=alone)
        if memory > before * 0.995:
            break
    return memory
