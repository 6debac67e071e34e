"""Rounds of starting and stopping in random order lose nothing: no page, no timer, no ASID
or VPID (`mem` and `cpus` say so), and every VM can still do its work.

A round is a run of a VM, from `start` (or `reset`, or its restart after a crash) to its end,
by whichever way it ends. The order is that of a seed. Commands are typed some at a time
without waiting for the answers, so that one VM's job meets the others'."""

import collections
import random
import re

import pytest

from harness import LINUX_FILES, Machine, config, linux, vm

# name -> CPU, command line, more
CHURN = {"zero": (0, "", {}), "one": (1, "", {}),
         "dies": (2, "die", {"on_crash": "restart"}), "kept": (3, "die", {"on_crash": "pause"}),
         "loops": (4, "again", {"on_reboot": "restart"}), "busy": (5, "busy", {})}
STEADY = ("zero", "one", "busy")  # they end when they are told to
BATCH = 8  # commands typed ahead


def commands(m, texts):
    """Types them all, then reads the answers."""
    m.send("".join(t + "\r" for t in texts))
    answers = []
    for text in texts:
        m.expect(re.escape(text) + r"\r*\n", 120)
        answers.append(m.wait_prompt(120))
    return answers


def handed_out(m):
    """What `cpus` says -> {cpu: (timers, identifiers ever given)}"""
    table = m.command("cpus").split("TIMERS")[1].split("\n")[1:]
    rows = [[int(n) for n in line.split()] for line in table if re.match(r" *\d", line)]
    assert all(given <= of for _, _, given, of, _ in rows), table
    return {cpu: (timers, max(generation - 1, 0) * of + given)
            for cpu, timers, given, of, generation in rows}


def settled_timers(m, wanted):
    """CPU 0 has a timer of its own now and then: until they are as many as wanted."""
    for _ in range(50):
        timers = {cpu: t for cpu, (t, _) in handed_out(m).items()}
        if timers == wanted:
            break
    return timers


def identifiers_of_a_run(m, name, end):
    """How many identifiers a run of a guest takes that always does the same."""
    cpu = int(m.vms()[name]["cpus"])
    before = handed_out(m)[cpu][1]
    m.command(f"start {name}")
    m.wait_state(name, end, 30)
    m.command(f"kill {name}")
    return handed_out(m)[cpu][1] - before


class Rounds:
    """Random commands, with a model of those VMs that do only what they are told."""

    def __init__(self, m, names, seed):
        self.m, self.random = m, random.Random(seed)
        self.names = [n for n in names for _ in range(2 if n in STEADY else 1)]
        self.state = dict.fromkeys(STEADY, "off")
        self.said = collections.Counter()
        self.ended = 0

    def choose(self):
        """-> a command, and what the answer must match (None: that depends)."""
        name = self.random.choice(self.names)
        if name not in STEADY:
            verb = self.random.choice(["start", "start", "reset", "kill", "pause", "resume",
                                       "nmi"])
            return f"{verb} {name}", None
        state = self.state[name]
        if state == "off":
            verb, new, answer = "start", "on", "started"
        elif state == "on":
            verb, new, answer = self.random.choice(
                [("stop", "off", "stopped"), ("kill", "off", "killed"), ("reset", "on", "reset"),
                 ("pause", "paused", "paused")])
        else:
            verb, new, answer = self.random.choice(
                [("resume", "on", "resumed"), ("resume", "on", "resumed"),
                 ("kill", "off", "killed"), ("stop", "off", "stopped"), ("reset", "on", "reset"),
                 ("start", state, None)])
        self.state[name] = new
        return f"{verb} {name}", answer and rf"(^|\n){name} {answer}"

    def batch(self):
        chosen = [self.choose() for _ in range(BATCH)]
        for (text, wanted), answer in zip(chosen, commands(self.m, [c[0] for c in chosen])):
            verb = text.split()[0]
            done = "cannot" not in answer
            assert done or not wanted, f"{text}: {answer}"
            assert not wanted or re.search(wanted, answer), f"{text}: {answer}"
            assert "still being" not in answer, f"{text}: {answer}"
            self.said[verb] += done
            self.ended += done and verb in ("stop", "kill", "reset")

    def crashes(self):
        """The VMs that have crashed, from the log, which is printed as it comes."""
        text = (self.m.dir / "console.log").read_text(errors="replace")
        return len(re.findall(r"\] error: (?:dies|kept): triple fault", text))


def stop_all(m, names):
    for name in names:
        m.command(f"kill {name}")
    for name in names:
        m.wait_state(name, "^(stopped|failed)", 30)


def check_rounds(bed, count, seed=1):
    # On Bochs CPUs take turns, and each byte takes its time on the line.
    names = [n for n in CHURN if bed == "qemu" or n != "busy"]
    vms = [vm(name, cpu=CHURN[name][0], memory="4M", kernel="churn.elf", cmdline=CHURN[name][1],
              stop_timeout=2, **CHURN[name][2]) for name in names]
    with Machine(config(*vms), ["churn.elf"], bed=bed, cpus=len(names), life=3600) as m:
        if bed != "qemu":
            m.command("set log_level error")
        free, before = m.free_memory(), m.command("mem")
        timers = {cpu: t for cpu, (t, _) in handed_out(m).items()}
        assert all(t == 0 for cpu, t in timers.items() if cpu), timers
        taken = identifiers_of_a_run(m, "kept", "crashed")
        assert taken > 0
        rounds, next_look = Rounds(m, names, seed), count / 4
        while rounds.ended < count:
            rounds.batch()
            if rounds.ended >= next_look or rounds.ended >= count:
                next_look += count / 4
                stop_all(m, names)
                rounds.state = dict.fromkeys(STEADY, "off")
                assert m.free_memory() == free, f"after {rounds.ended} rounds"
                assert settled_timers(m, timers) == timers, f"after {rounds.ended} rounds"
        assert m.command("mem").split("MACHINE")[0] == before.split("MACHINE")[0]
        assert identifiers_of_a_run(m, "kept", "crashed") == taken
        for name in names:  # each still does its work
            m.command(f"start {name}")
            with m.console(name) as c:
                c.expect("READY churn", 30)
                c.expect("alive", 30)
        given = {cpu: n for cpu, (_, n) in handed_out(m).items()}
        print(f"{bed}: {rounds.ended} rounds by command {dict(rounds.said)}, "
              f"{rounds.crashes()} crashes, identifiers given {given}, "
              f"{taken} of them each run")
        stop_all(m, names)
        assert m.free_memory() == free
        assert settled_timers(m, timers) == timers


def test_rounds():
    check_rounds("qemu", 60)


@pytest.mark.long
@pytest.mark.parametrize("bed", ["qemu", "bochs", "intel"])
def test_a_thousand_rounds(bed):
    check_rounds(bed, 1000, seed=1000)


def test_twenty_rounds():
    text = config(vm("one", cpu=1, memory="64M", kernel="neighbour.elf"),
                  vm("two", cpu=2, memory="32M", kernel="hello.elf"),
                  linux("three", 3, "128M", autostart=False))
    with Machine(text, LINUX_FILES + ["neighbour.elf", "hello.elf"]) as m:
        free = m.free_memory()
        before = m.command("mem")
        for i in range(20):
            m.command("start one")
            m.command("start three")
            m.command("start two")
            m.wait_state("two", "exit", 20)
            m.command("reset one")
            m.command("stop one")
            m.command("stop three")
            assert m.free_memory() == free, f"round {i}"
        assert m.command("mem").split("MACHINE")[0] == before.split("MACHINE")[0]
