"""The hostile guests try everything; their neighbours compute on, their memory
untouched, and the host is well.

On QEMU memory below 4 GiB is tried page by page, and one page in 16 by a read and a
write of their own; on Bochs, where an exit takes ten times as long, every 256 KiB, and
page by page behind RAM's end and around the chips."""

import re

import pytest

from harness import Machine, config, vm


@pytest.mark.parametrize("bed", ["qemu", "bochs", "intel"])
def test_hostile(bed):
    bochs = bed != "qemu"
    names = ["neighbour.elf", "hostile.elf", "outside.elf", "badcr3.elf"]
    text = config(vm("before", cpu=1, kernel="neighbour.elf", cmdline="calm" if bochs else ""),
                  vm("hostile", cpu=2, cmdline="strict brief" if bochs else ""),
                  vm("outside", cpu=3, cmdline="coarse" if bochs else ""),
                  vm("behind", cpu=4, kernel="neighbour.elf", cmdline="calm"),
                  vm("badcr3", cpu=0))
    with Machine(text, names, bed=bed, cpus=5, life=1200) as m:
        free = m.free_memory()
        for name in ("before", "hostile", "outside", "behind"):
            m.command(f"start {name}")
        with m.console("hostile") as c:
            c.expect(r"(PASS|FAILED) hostile[^\n]*\n", 400)
            said = m.match.group(1)
        m.wait_state("hostile", "triple fault", 20)
        with m.console("outside") as c:
            c.expect(r"(PASS|FAILED) outside[^\n]*\n", 400)
            said += m.match.group(1)
        m.command("start badcr3")
        m.wait_state("badcr3", r"exit 0x10\b" if bochs else "refused its state", 30)
        for name in ("before", "behind"):
            assert m.state(name).startswith("running")
            with m.console(name) as c:
                c.expect(r"ok \d+", 30)
                c.send("q")
                c.expect(r"(PASS|FAILED) neighbour", 30)
                assert m.match.group(1) == "PASS"
            m.wait_state(name, "exit", 20)
        assert not re.search(r"panic", m.command("log"), re.I)
        assert m.free_memory() == free
        assert said == "PASSPASS"


@pytest.mark.long
@pytest.mark.parametrize("bed", ["bochs", "intel"])
def test_every_page(bed):
    """What the test above does by samples on Bochs: every page below 4 GiB."""
    text = config(vm("outside", cpu=1), vm("neighbour", cpu=2, cmdline="calm"))
    with Machine(text, ["outside.elf", "neighbour.elf"], bed=bed, cpus=3, life=3600) as m:
        m.command("start neighbour")
        m.command("start outside")
        with m.console("outside") as c:
            c.expect(r"(PASS|FAILED) outside[^\n]*\n", 800)
            assert m.match.group(1) == "PASS"
        with m.console("neighbour") as c:
            c.expect(r"ok \d+", 30)
            c.send("q")
            c.expect("PASS neighbour", 30)
