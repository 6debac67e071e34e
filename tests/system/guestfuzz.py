#!/usr/bin/python3
"""Runs programs of the guest fuzzer (tests/guests/fuzz.c) beside a neighbour that checks
its own answers.

Usage: tests/system/guestfuzz.py [--bed qemu|bochs|intel] [--seed N] [--programs N]

A program may end or hang the fuzzed VM: it is started again behind that program. What
must not happen: the host says anything bad, the shell stops answering, the neighbour
computes wrongly or stands still, a page is lost. The seeds that ended or hung the VM are
printed; `--seed N --programs 1` does the same again.
"""

import argparse
import re
import signal
import sys
import time

from harness import Machine, Timeout, config, vm

EVERY = 16  # how many programs between two signs of life
BAD = r"(?i)panic|watchdog|ASSERT|monitor fault|monitor failed|stuck"


class Findings:
    def __init__(self):
        self.ended = {}  # reason -> seeds
        self.hung = []
        self.programs = 0

    def __str__(self):
        text = [f"{self.programs} programs, {len(self.hung)} hung the VM"]
        text += [f"  {len(seeds)} ended it: {why}, e.g. seed {seeds[0]}"
                 for why, seeds in sorted(self.ended.items())]
        text += [f"  hung: {self.hung[:10]}"] if self.hung else []
        return "\n".join(text)


def run_some(m, seed, count, every, patience):
    """-> (seed to go on with, how it ended: "done", "hung" or "ended")."""
    last, first, waited = seed, True, 0
    while True:
        with m.console("fuzz") as c:
            if first:
                c.send(f"{seed} {count} {every}\r")
                first = False
            while True:
                try:
                    c.expect(r"seed (\d+)\r*\n|done (\d+):[^\n]*\n", 3)
                except Timeout:
                    waited += 3
                    break
                if m.match.group(2):
                    return int(m.match.group(2)), "done"
                if int(m.match.group(1)) > last:  # else shown once more
                    last, waited = int(m.match.group(1)), 0
        if not m.state("fuzz").startswith("running"):
            return last, "ended"
        if waited >= patience:
            return last, "hung"


def restart(m):
    m.command("stop fuzz")
    m.command("start fuzz")
    with m.console("fuzz") as c:
        c.expect("READY fuzz", 30)


def fuzz(bed="qemu", seed=1, programs=1000, patience=9, progress=lambda text: None):
    found = Findings()
    text = config(vm("fuzz", cpu=1, memory="16M", on_reboot="stop"),
                  vm("neighbour", cpu=2, memory="16M"))
    with Machine(text, ["fuzz.elf", "neighbour.elf"], bed=bed, cpus=3, life=36000) as m:
        free = m.free_memory()
        m.command("start neighbour")
        m.command("start fuzz")
        end = seed + programs
        every, stop_at = EVERY, end
        while seed < end:
            before = seed
            seed, how = run_some(m, seed, stop_at - seed, every, patience)
            found.programs += seed - before
            if how == "done":
                every, stop_at = EVERY, end
                progress(f"{found.programs} programs, {sum(map(len, found.ended.values()))} ends")
                continue
            row = m.vms()["fuzz"]
            if every > 1:  # again, one by one, to know which it was
                every, stop_at = 1, min(seed + EVERY, end)
            else:
                if how == "hung":
                    found.hung.append(seed)
                    progress(f"seed {seed} hangs:\n{m.command('stats fuzz')}")
                else:
                    said = re.findall(r"\] fuzz: (.*)", m.command("log"))
                    why = re.sub(r"[0-9a-f]{3,}", "N", " / ".join(said[-2:]))
                    found.ended.setdefault(re.sub(r"code:.*?/", "code /", why), []).append(seed)
                seed += 1
                found.programs += 1
                every, stop_at = EVERY, end
            restart(m)
            log = m.command("log")
            assert not re.search(BAD, log), log
        with m.console("neighbour") as c:
            c.expect(r"ok \d+", 60)
            c.send("q")
            c.expect(r"(PASS|FAILED) neighbour", 60)
            assert m.match.group(1) == "PASS"
        m.wait_state("neighbour", "exit", 20)
        m.command("stop fuzz")
        assert not re.search(BAD, m.command("log"))
        assert m.free_memory() == free
    return found


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--bed", default="qemu")
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--programs", type=int, default=1000)
    a = p.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # the emulator ends with us
    began = time.monotonic()
    print(fuzz(a.bed, a.seed, a.programs, progress=lambda text: print(text, flush=True)))
    print(f"{time.monotonic() - began:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
