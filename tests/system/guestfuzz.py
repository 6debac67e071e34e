#!/usr/bin/python3
"""Runs programs of the guest fuzzer (tests/guests/fuzz.c) beside a neighbour that checks
its own answers.

Usage: tests/system/guestfuzz.py [--bed qemu|bochs|intel] [--seed N] [--programs N]
       [--again N] [--seconds N]

A program may end the fuzzed VM: it is started again behind that program. An operation that
hangs is ended by the VM's watchdog, a program by this script. What must not happen: the host
says anything bad, the shell stops answering, the neighbour computes wrongly or stands still,
the processor refuses a state, a monitor fails, a page is lost. Every Nth seed (--again) that
has ended the VM runs once more, alone in a fresh VM, to see that it does the same again;
`--seed N --programs 1` does that by hand. --seconds: no program begins after that time.
"""

import argparse
import collections
import re
import signal
import sys
import time

from harness import Closed, Machine, Timeout, bochs, config, vm

BAD = r"(?i)panic|\bassert|double fault|stuck"  # of the host
SUSPECT = r"refused its state|unexpected exit|monitor"  # ends that no guest may cause
END = (r"\] fuzz: ((?:triple fault|halted|debug exit|reset by|powered off|cannot be emulated|"
       r"event \d+ was|task switch|the processor|unexpected|its monitor|killed|stopped)"
       r"[^\r\n]*)\r*\n")
RUN = 150  # programs for which a VM is started: more might exhaust its share of the log
DONE = "debug exit 0x10"
# what the guest's numbers mean
OPERATIONS = ("instruction", "instruction", "memory", "memory", "port", "MSR", "system",
              "hypercall", "CPUID", "page table", "interrupt")
SILENCE = 3  # seconds of the bed without news, after which they are asked for


class Stuck(AssertionError):
    """The VM cannot be ended."""


class Findings:
    def __init__(self):
        self.programs = 0
        self.ended = collections.defaultdict(list)  # reason -> seeds
        self.rescued = {}  # seeds with an operation that the watchdog ended -> which
        self.traps, self.exits = collections.Counter(), collections.Counter()
        self.same, self.other = 0, []  # of the seeds that ran again
        self.emulator = []  # seeds of which the emulator itself died, or lost an interrupt
        self.seconds = 0

    def ends(self):
        return sum(map(len, self.ended.values()))

    def __str__(self):
        text = [f"{self.programs} programs in {self.seconds:.0f} s, {self.ends()} ended the VM, "
                f"{len(self.rescued)} had to be rescued from a hang"]
        for why, seeds in sorted(self.ended.items(), key=lambda e: -len(e[1])):
            text.append(f"  {len(seeds)} ended it: {why}, e.g. seeds {seeds[:4]}")
        hung = collections.Counter(self.rescued.values())
        text.append("  rescued, by operation: " + counts(hung) +
                    f"; e.g. seeds {list(self.rescued)[:4]}")
        text.append(f"  run again: {self.same} did the same, {len(self.other)} did not: "
                    f"{self.other[:4]}")
        if self.emulator:
            text.append(f"  {len(self.emulator)} were the emulator's own failure: {self.emulator}")
        text += ["  traps: " + counts(self.traps), "  exits of a part: " + counts(self.exits)]
        return "\n".join(text)


def counts(counter):
    return ", ".join(f"{name} {n}" for name, n in counter.most_common() if n)


class Driver:
    """Runs the fuzzed VM. Its console has the line only while there is something to read or
    to type, so that the host's log is seen at once."""

    def __init__(self, m, found):
        self.m, self.found = m, found
        # Bochs' time is that of its instructions, QEMU's goes on while its host is busy
        self.how = "50000 4" if m.bed == "qemu" else "16000 4"
        # Bochs' VT-x: interrupts_lost() below
        self.how = "16000 0" if m.model == bochs.INTEL else self.how
        self.pings = self.starts = self.traps_seen = 0
        self.span = range(0)  # the seeds of this run
        self.last = None  # the one that was begun last

    def _log(self, text):
        assert not re.search(BAD, text), text
        return text

    def _guest_said(self, text):
        """Console output; some of it has been seen before, and a program may have written
        among it, too."""
        for word, seed, rest in re.findall(r"(seed|rescued|traps) (\d+)([^\r\n]*)\r*\n", text):
            seed = int(seed)
            if seed not in self.span:
                continue
            if word == "seed" and not rest:
                self.last = seed
            elif word == "rescued" and (m := re.fullmatch(r" operation (\d|10)", rest)):
                self.found.rescued[seed] = OPERATIONS[int(m.group(1))]
            elif word == "traps" and seed > self.traps_seen:
                self.traps_seen = seed
                # what a program may have written over is left out
                for name, n in re.findall(r"(#\d+|interrupts)=(\d{1,5})\b", rest):
                    self.found.traps[name] += int(n)

    def _attach(self):
        self.m.send("console fuzz\r")
        self.m.expect(r"\[console of [^\n]*\n")
        self._log(self.m.before)

    def leave(self):
        self.m.send("\x1d\r")  # a second key: it need not wait for another Ctrl-]
        self._guest_said(self.m.wait_prompt())
        self.told = self._log(self.m.wait_prompt())

    def _ping(self):
        """What the guest's UART gets before the guest runs is lost: until it answers. What
        comes before the answer is older than this run."""
        self.pings += 1
        text = ""
        for _ in range(1200):
            self.m.send(f"p{self.pings}\r")
            try:
                self.m.listen(rf"pong {self.pings}\r*\n", 0.05)
                self._guest_said(text + self.m.before)
                return
            except Timeout:
                pass
        raise AssertionError("the guest does not answer: " + self.m.tail())

    def boot(self):
        """Starts the VM -> the last seed that it began before that."""
        for _ in range(200):
            if "fuzz started" in self._log(self.m.command("start fuzz")):
                break
            time.sleep(0.01)
        else:
            raise Stuck("it does not start: " + self.m.tail())
        self.starts += 1
        self._attach()
        self._ping()
        return self.last

    def go(self, seed, count):
        """Lets the VM that has just been started run these programs -> how it ends."""
        self.m.send(f"r{seed} {count} {self.how}\r")
        self.m.expect(rf"seed {seed}\r*\n")
        self.span, self.last = range(seed, seed + count), seed
        self.leave()
        why = self._wait()
        if self.starts % 4 == 1:
            self.found.exits.update(self.m.json("stats fuzz")["exits_by_reason"])
        return why

    def _why(self, text):
        """How the VM has ended, by the log; None: it has not."""
        end = re.search(END, text)
        told = re.findall(r"page table (?:in device memory|outside RAM)|no progress", text)
        return end and short(told[-1] if told and "emulated" in end.group(1) else end.group(1))

    def _wait(self):
        silent = 0
        while True:
            if why := self._why(self.told):
                return why
            try:
                self.m.listen(END, SILENCE)
                return self._why(self.told + self._log(self.m.before) + self.m.match.group())
            except Timeout:
                before = self.last
                self._attach()
                time.sleep(0.1)
                self.leave()
                silent = silent + 1 if self.last == before else 0
                row = self.m.vms()["fuzz"]
                if row["state"] != "running":
                    return short(row["reason"])
            if silent == 3:
                self._log(self.m.command("kill fuzz"))
                return "killed: it hangs"


def short(why):
    return re.sub(r" code.*", "", re.sub(r"\b[0-9a-f]{3,}\b", "N", why))


class Run:
    """Programs one after the other, the VM started anew whenever it has ended."""

    def __init__(self, seed, programs, again, until, progress):
        self.found, self.seed, self.end = Findings(), seed, seed + programs
        self.again, self.until, self.progress = again, until, progress
        self.careful = 0  # up to this seed each in a VM of its own: one kills the emulator
        self.shown = time.monotonic()

    def more(self):
        return self.seed < self.end and time.monotonic() < self.until

    def go(self, d):
        d.boot()
        while self.more():
            count = min(self.end - self.seed, 1 if self.seed < self.careful else RUN)
            why = d.go(self.seed, count)
            last = d.boot()
            self.found.programs += last + 1 - self.seed
            self.seed = last + 1
            if why != DONE:
                self._ended(d, last, why)
            if time.monotonic() > self.shown + 10:
                self.shown = time.monotonic()
                self.progress(f"next seed {self.seed}, {self.found.programs} programs, "
                              f"{self.found.ends()} ends")
        d.leave()
        d.m.command("kill fuzz")

    def _ended(self, d, seed, why):
        self.found.ended[why].append(seed)
        if not self.again or self.found.ends() % self.again:
            return
        how = d.go(seed, 1)
        if how == why:
            self.found.same += 1
        else:
            self.found.other.append((seed, why, how))
        d.boot()

    def emulator_lost_it(self, seed):
        self.found.emulator.append(seed)
        self.found.programs += seed + 1 - self.seed
        self.seed = seed + 1

    def emulator_died(self):
        """Somewhere in the last run of programs."""
        if self.seed < self.careful:
            self.found.emulator.append(self.seed)
            self.found.programs += 1
            self.seed += 1
        else:
            self.careful = self.seed + RUN


def interrupts_lost(m):
    """Whether Bochs 2.7 is why the CPU of the fuzzed VM answers no more. Its VM entry into a
    guest with IF = 0 leaves interrupts masked if the host has masked them (by the STI and CLI
    in which it takes one): the second one never ends a loop without exits."""
    if m.model != bochs.INTEL:
        return False
    text = m.debugger("set $cpu=1", "r")
    flags = re.search(r"eflags \w+: (.*)", text).group(1).split()
    rip = re.search(r"rip: (\w+)", text).group(1)
    return "if" in flags and int(rip.replace("_", ""), 16) < 4 << 20  # in the guest's memory


def on_machine(r, bed):
    qemu = bed == "qemu"  # Bochs has one thread for all CPUs: few, and with little else to do
    text = config(vm("fuzz", cpu=1, memory="4M", on_reboot="stop", watchdog=True,
                     on_watchdog="nmi"),
                  vm("neighbour", cpu=2 if qemu else 0, memory="16M",
                     cmdline="calm" if qemu else "lazy"))
    with Machine(text, ["fuzz.elf", "neighbour.elf"], bed=bed, cpus=3 if qemu else 2,
                 memory=256, life=36000) as m:
        free = m.free_memory()
        m.command("start neighbour")
        d = Driver(m, r.found)
        try:
            r.go(d)
        except (Closed, BrokenPipeError):
            if m.process.wait(10) not in (-signal.SIGSEGV, -signal.SIGABRT):
                raise
            r.emulator_died()
            return
        except Stuck:
            if not interrupts_lost(m):
                raise
            r.emulator_lost_it(d.last)
            return
        with m.console("neighbour") as c:
            c.expect(r"ok \d+", 60)
            c.send("q")
            c.expect(r"(PASS|FAILED) neighbour", 60)
            assert m.match.group(1) == "PASS"
        m.wait_state("neighbour", "exit", 20)
        assert not re.search(BAD, m.command("log"))
        assert m.free_memory() == free


def fuzz(bed="qemu", seed=1, programs=1000, again=20, limit=36000, progress=lambda text: None):
    began = time.monotonic()
    r = Run(seed, programs, again, began + limit, progress)
    try:
        while r.more():
            on_machine(r, bed)
    finally:
        r.found.seconds = time.monotonic() - began
        progress(str(r.found))
    suspect = [why for why in r.found.ended if re.search(SUSPECT, why)]
    assert not suspect, r.found
    return r.found


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--bed", default="qemu")
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--programs", type=int, default=1000)
    p.add_argument("--again", type=int, default=20)
    p.add_argument("--seconds", type=int, default=36000)
    a = p.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # the emulator ends with us
    fuzz(a.bed, a.seed, a.programs, a.again, a.seconds, lambda text: print(text, flush=True))
    return 0


if __name__ == "__main__":
    sys.exit(main())
