"""How a VM's life goes on after it ended: restart policies with their back-off, a crashed
VM that is kept. On the test variant, whose waits are shorter (tests/variant/kernel/budget.h)."""

import re

import pytest

from harness import BUILD, Machine, config, vm

VARIANT = BUILD / "test/BOOTX64.EFI"


@pytest.fixture(scope="module", params=["qemu", "intel"])
def machine(request):
    text = config(vm("crash", cpu=1, kernel="triplefault.elf", memory="8M", on_crash="restart"),
                  vm("loop", cpu=2, kernel="resetcf9.elf", memory="8M"),
                  vm("kept", cpu=3, kernel="triplefault.elf", memory="8M", on_crash="pause"))
    with Machine(text, ["triplefault.elf", "resetcf9.elf"], efi=VARIANT, memory=512,
                 bed=request.param) as m:
        m.free = m.free_memory()
        yield m


def test_a_vm_that_dies_at_once_is_given_up(machine):
    machine.command("start crash")
    row = machine.wait_state("crash", "given up", 60)
    assert row["state"] == "failed"
    assert re.match(r"triple fault at \w+; given up after 3 restarts$", row["reason"])
    log = machine.command("log")
    waits = re.findall(r"crash: restart (\d) in ([\d.]+) s", log)
    assert waits == [("1", "0.5"), ("2", "1.0"), ("3", "1.0")]
    assert len(re.findall(r"crash: started", log)) == 4
    assert machine.free_memory() == machine.free
    # the administrator may try again
    assert "crash started" in machine.command("start crash")
    machine.wait_state("crash", "given up", 60)


def test_a_guest_that_resets_in_a_loop_is_slowed_down(machine):
    machine.command("start loop")
    row = machine.wait_state("loop", r"waiting .*; restart \d+ in \d+ s", 60)
    assert row["reason"].startswith("reset by the guest")
    machine.expect(r"loop: restart [3-9] in 1\.0 s", 60)
    machine.send("\r")
    machine.wait_prompt()
    assert "loop stopped" in machine.command("stop loop")
    assert machine.state("loop").startswith("stopped")


def test_a_crashed_vm_is_kept(machine):
    machine.command("start kept")
    row = machine.wait_state("kept", "^crashed", 60)
    assert row["reason"].startswith("triple fault at")
    assert machine.free - machine.free_memory() >= 8 << 10
    assert "stop or reset it first" in machine.command("start kept")
    with machine.console("kept") as c:
        c.expect("READY triplefault")
    machine.command("reset kept")
    machine.wait_state("kept", "^crashed", 60)
    assert "kept stopped" in machine.command("stop kept")
    assert machine.state("kept").startswith("failed triple fault at")
    assert machine.free_memory() == machine.free
