"""The bare guests of tests/guests, each to its PASS: on QEMU, and on Bochs' ryzen and Haswell.

Several to a boot; each guest is a VM on a CPU of its own, started by its test.
"""

import re

import pytest

from harness import Machine, config, vm

PASSING = ["hello", "cpuid", "msrs", "fpu", "exceptions", "mmio", "memory", "interrupts",
           "timers", "ports", "pae"]
# How each of these ends, as `list` says it.
ENDING = {
    "triplefault": "triple fault",
    "hltoff": "halted",
    "reset8042": "reset by the guest",
    "resetcf9": "reset by the guest",
    "acpioff": "powered off",
}
ALL = PASSING + list(ENDING)


# Each boot: its bed and its guests. Few CPUs on QEMU, or the host's two cannot keep the guests'
# clocks even. Bochs 2.7 has timers for no more than about ten CPUs.
BOOTS = [("qemu", (ALL + ["tasks"])[i:i + 4]) for i in range(0, len(ALL) + 1, 4)]
BOOTS += [(bed, names) for bed in ("bochs", "intel") for names in (ALL[:8], ALL[8:])]
# "strict": the processor model does what the manual says; QEMU's does not. Bochs does, but for
# DR6 on AMD. It is slow: "coarse".
WORDS = {"qemu": "", "bochs": "strict nodr6 coarse", "intel": "strict coarse"}


def guests_of(chosen):
    """(boot, guest) for every guest in chosen; the boot makes the fixture's machine. It is
    a number because pytest keeps a fixture only for the very same object; and only if
    the parametrization says scope="module" too. conftest.py brings a boot's tests together."""
    return [pytest.param(i, name, id=f"{bed}-{name}")
            for i, (bed, names) in enumerate(BOOTS) for name in names if name in chosen]


@pytest.fixture(scope="module")
def machine(request):
    bed, names = BOOTS[request.param]
    # CPU 0 shows the consoles meanwhile: a guest there may be away for milliseconds
    vms = [vm(name, cpu=i + 1, memory="16M", on_reboot="stop",
              cmdline=WORDS[bed])
           for i, name in enumerate(names)]
    with Machine(config(*vms), [f"{n}.elf" for n in names], bed=bed,
                 cpus=len(names) + 1,
                 life=1200) as m:
        yield m


@pytest.mark.parametrize("machine, name", guests_of(PASSING), indirect=["machine"],
                         scope="module")
def test_passes(machine, name):
    # A loaded host may hold a vCPU back between setting a timer and cancelling it: what it
    # does right once in three times is right. Everything else has one try.
    for _ in range(3 if name == "timers" else 1):
        machine.command(f"start {name}")
        row = machine.wait_state(name, r"^(stopped|failed) ", 150)
        if re.search(r"exit 0x10\b", row["reason"]):
            return
    with machine.console(name):
        machine.show_tail()
    pytest.fail(f"{name}: {row}")


@pytest.mark.parametrize("machine, name", guests_of(["tasks"]), indirect=["machine"],
                         scope="module")
def test_task_switches(machine, name):
    """Left to the processor on AMD-V; on VT-x see test_intel.py."""
    machine.command(f"start {name}")
    machine.wait_state(name, r"exit 0x10\b", 60)


@pytest.mark.parametrize("machine, name", guests_of(ENDING), indirect=["machine"],
                         scope="module")
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


@pytest.mark.parametrize("machine, name", guests_of(["memory"]), indirect=["machine"],
                         scope="module")
def test_memory_is_clean_after_another_guest(machine, name):
    """What `memory` wrote all over its RAM, the next VM must not find."""
    for _ in range(2):
        machine.command(f"start {name}")
        machine.wait_state(name, r"exit.*(16|0x10)\b", 60)


OLD = ["hello", "cpuid", "msrs", "fpu"]


def test_a_processor_of_2008():
    """Without XSAVE, SMEP, SMAP, PCID and much else."""
    vms = [vm(name, cpu=i + 1, memory="16M", on_reboot="stop") for i, name in enumerate(OLD)]
    with Machine(config(*vms), [f"{n}.elf" for n in OLD], qemu_cpu="Opteron_G3,+svm,+npt",
                 cpus=len(OLD) + 1) as m:
        for name in OLD:
            m.command(f"start {name}")
            m.wait_state(name, r"^stopped debug exit 0x10\b", 60)
