"""The bare guests of tests/guests, each to its PASS: on QEMU and on Bochs' ryzen.

One boot per bed; each guest is a VM on a CPU of its own, started by its test.
"""

import re

import pytest

from harness import Machine, config, vm

PASSING = ["hello", "cpuid", "msrs", "fpu", "exceptions", "mmio", "memory", "interrupts",
           "timers", "ports"]
# How each of these ends, as `list` says it.
ENDING = {
    "triplefault": "triple fault",
    "hltoff": "halted",
    "reset8042": "reset by the guest",
    "resetcf9": "reset by the guest",
    "acpioff": "powered off",
}
ALL = PASSING + list(ENDING)
MORE = {"hello": {"cmdline": "one two"}}


@pytest.fixture(scope="module", params=["qemu", "bochs"])
def machine(request):
    vms = [vm(name, cpu=i + 1, memory="16M", on_reboot="stop", **MORE.get(name, {}))
           for i, name in enumerate(ALL)]
    with Machine(config(*vms), [f"{n}.elf" for n in ALL], bed=request.param, cpus=len(ALL) + 1,
                 life=1200) as m:
        yield m


@pytest.mark.parametrize("name", PASSING)
def test_passes(machine, name):
    machine.command(f"start {name}")
    with machine.console(name) as c:
        c.expect(rf"(PASS {name}\r*\n|FAILED {name}[^\n]*\n)", 120)
        said = machine.match.group(1)
    assert said.startswith("PASS"), said
    row = machine.wait_state(name, r"^stopped .*exit", 20)
    assert re.search(r"\b(16|0x10)\b", row["reason"]), row


@pytest.mark.parametrize("name", ENDING)
def test_ends(machine, name):
    machine.command(f"start {name}")
    machine.wait_state(name, ENDING[name], 30)
    with machine.console(name) as c:
        c.expect(f"READY {name}", 5)
    log = machine.command("log")
    assert re.search(rf"{name}: .*{ENDING[name]}", log)
    # It can be started again, and the others are as they were.
    machine.command(f"start {name}")
    machine.wait_state(name, ENDING[name], 30)


def test_memory_is_clean_after_another_guest(machine):
    """What `memory` wrote all over its RAM, the next VM must not find."""
    for _ in range(2):
        machine.command("start memory")
        machine.wait_state("memory", r"exit.*(16|0x10)\b", 60)
