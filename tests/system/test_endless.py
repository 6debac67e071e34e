"""Guests that raise an exception for ever by its own delivery, on the host's CPU 0 and on one
of their own: the shell answers, `stop` stops them, a neighbour computes on.

On Bochs a breakpoint on #DB's own handler, and #AC by an unaligned stack. QEMU's TCG has no #AC and
does not arm a guest's breakpoints: a handler that single-steps itself stands in for both."""

import time

import pytest

from harness import Machine, config, vm

# Each bed's loops, by the CPU that they run on.
LOOPS = {"qemu": {0: "step", 1: "step"}, "bochs": {1: "db", 3: "ac"},
         "intel": {1: "db", 3: "ac"}}


@pytest.mark.parametrize("bed", list(LOOPS))
def test_endless(bed):
    loops = {f"{loop}{cpu}": (cpu, loop) for cpu, loop in LOOPS[bed].items()}
    names = list(loops)
    vms = [vm(name, cpu=cpu, memory="16M", kernel="endless.elf", cmdline=loop)
           for name, (cpu, loop) in loops.items()]
    text = config(vm("neighbour", cpu=2), *vms)
    with Machine(text, ["neighbour.elf", "endless.elf"], bed=bed, cpus=4, life=600) as m:
        free = m.free_memory()
        m.command("start neighbour")
        for name in names:
            m.command(f"start {name}")
            with m.console(name) as c:
                c.expect("READY endless", 30)
        time.sleep(1)
        before = m.vms()
        time.sleep(1)
        after = m.vms()
        for name in names:
            assert after[name]["state"] == "running", after[name]
            # it loops through the kernel
            assert int(after[name]["exits"]) > int(before[name]["exits"]) + 100
            m.command(f"stop {name}")
            m.wait_state(name, "stopped|powered off", 20)
        with m.console("neighbour") as c:
            c.expect(r"ok \d+", 30)
            c.send("q")
            c.expect("PASS neighbour", 30)
        m.wait_state("neighbour", "exit 0x10", 20)
        assert m.free_memory() == free
