"""The hostile guest tries everything; its neighbours compute on, their memory
untouched, and the host is well.

Physical space below 4 GiB is tried in steps of 64 KiB, page by page only behind RAM's end
and among the chips: every page would take ten minutes. TEST_FULL=1 does that."""

import os
import re

import pytest

from harness import Machine, config, vm


@pytest.mark.parametrize("bed", ["qemu", "bochs", "intel"])
def test_hostile(bed):
    words = "" if os.environ.get("TEST_FULL") else "coarse"
    if bed != "qemu":
        words += " strict"
    text = config(vm("before", cpu=1, kernel="neighbour.elf"),
                  vm("hostile", cpu=2, cmdline=words),
                  vm("behind", cpu=3, kernel="neighbour.elf"))
    with Machine(text, ["neighbour.elf", "hostile.elf"], bed=bed, life=2400) as m:
        free = m.free_memory()
        m.command("start before")
        m.command("start hostile")
        m.command("start behind")
        with m.console("hostile") as c:
            c.expect(r"(PASS|FAILED) hostile[^\n]*\n", 1500 if os.environ.get("TEST_FULL") else 400)
            said = m.match.group(1)
        m.wait_state("hostile", "triple fault", 20)
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
        assert said == "PASS"
