"""What one guest leaves on its CPU, the next does not find; and a guest that gives no
cause for an exit has none."""

import re
import time

import pytest

from harness import Machine, config, vm


@pytest.fixture(scope="module",
                params=["qemu", "bochs", pytest.param("intel", marks=pytest.mark.long)])
def machine(request):
    text = config(vm("leaver", cpu=1, kernel="leftover.elf", memory="8M"),
                  vm("stayer", cpu=2, kernel="leftover.elf", memory="8M", cmdline="stay"),
                  vm("first", cpu=0, kernel="leftover.elf", memory="8M"),
                  vm("busy", cpu=3, kernel="quiet.elf", memory="8M",
                     cmdline="open" if request.param != "qemu" else ""),
                  vm("asleep", cpu=4, kernel="quiet.elf", memory="8M", cmdline="halt"))
    with Machine(text, ["leftover.elf", "quiet.elf"], bed=request.param, cpus=5) as m:
        yield m


@pytest.mark.parametrize("name", ["leaver", "first"])
def test_registers_are_clean_after_another_guest(machine, name):
    """first: on the CPU that has the shell, and after the hypervisor itself."""
    for _ in range(3):
        machine.command(f"start {name}")
        row = machine.wait_state(name, r"^(stopped|failed) ", 30)
        if "exit 0x10" not in row["reason"]:
            with machine.console(name):
                machine.show_tail()
            pytest.fail(str(row))


def test_registers_are_clean_after_one_that_was_stopped(machine):
    for runs in range(1, 4):
        machine.command("start stayer")
        with machine.console("stayer") as c:
            for _ in range(runs):  # those before are in the scrollback
                c.expect(r"(PASS|FAILED) leftover", 30)
                assert machine.match.group(1) == "PASS", machine.tail()
        machine.command("stop stayer")


def test_no_exits_without_a_cause(machine):
    """A guest that computes with interrupts off (on Bochs: on), and one that sleeps for good:
    while others start, stop and the shell is used, neither leaves its CPU once."""
    names = ("busy", "asleep")
    for name in names:
        machine.command(f"start {name}")
        with machine.console(name) as c:
            c.expect("READY quiet", 20)
    time.sleep(1)
    before = {n: machine.command(f"stats {n}").split("exits by reason")[1] for n in names}
    counts = {n: machine.vms()[n]["exits"] for n in names}
    assert all(int(c) > 0 for c in counts.values())
    for _ in range(3):
        machine.command("start leaver")
        machine.wait_state("leaver", "exit 0x10", 30)
        machine.command("mem")
        machine.command("help")
        time.sleep(1)
    assert {n: machine.vms()[n]["exits"] for n in names} == counts, before
    for name in names:
        assert machine.state(name).startswith("running")
        machine.command(f"stop {name}")
