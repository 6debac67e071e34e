"""What a user sees first: the boot log, the prompt, and the machine as it is."""

import re

import pytest

from harness import Machine, Timeout, config, vm


@pytest.fixture(scope="module")
def machine():
    with Machine(config(vm("hello", autostart=True)), ["hello.elf"]) as m:
        yield m


def test_boot_log(machine):
    log = machine.boot_log + machine.command("log")
    for what in (r"Bulkhead", r"EDK|firmware", r"AMD", r"AMD-V", r"MiB", r"4 CPUs", r"hello"):
        assert re.search(what, log), what


def test_autostart(machine):
    machine.wait_state("hello", "exit")
    with machine.console("hello") as c:
        c.expect("PASS hello", 10)


def test_version(machine):
    assert re.search(r"^Bulkhead \d+\.\d+\S*; AMD-V with NPT", machine.command("version"), re.M)


def test_footprint(machine):
    """The hypervisor's own figures add up to the machine's."""
    text = machine.command("mem")
    rows = dict(re.findall(r"^( *[A-Za-z][\w ,:]*?) +(\d+)$", text, re.M))
    rows = {k.strip(): int(v) for k, v in rows.items()}
    parts = ("kept by firmware", "pool: free", "pool: waits for scrubbing", "too small to use",
             "guest images", "guest RAM", "hypervisor")
    assert rows["RAM in all"] > 1900 * 1024
    assert abs(rows["RAM in all"] - sum(rows[p] for p in parts)) <= 64, rows


def test_poweroff(machine):
    machine.poweroff()
    assert machine.process.returncode == 0


def test_reboot():
    with Machine(config(), ) as m:
        m.send("reboot\r")
        m.wait_end()  # -no-reboot: QEMU ends where a machine would begin again
        assert m.process.returncode == 0


def test_two_cpus_and_little_memory():
    with Machine(config(vm("hello", autostart=True)), ["hello.elf"], cpus=2, memory=512) as m:
        m.wait_state("hello", "exit")


def test_one_cpu():
    """CPU 0 is the shell's, and a VM may use it too."""
    with Machine(config(vm("hello", cpu=0, autostart=True)), ["hello.elf"], cpus=1) as m:
        m.wait_state("hello", "exit")
        m.command("start hello")
        m.wait_state("hello", "exit")


def test_memory_above_4_gib():
    """A guest's RAM in two parts; it reaches for what is behind each."""
    with Machine(config(vm("outside", memory="3584M", cmdline="coarse", autostart=True)),
                 ["outside.elf"], memory=6144) as m:
        m.wait_state("outside", r"exit 0x10\b", 60)
        with m.console("outside") as c:
            c.expect(r"RAM ends at c0000000 and 120000000", 10)


def test_key_at_boot_starts_nothing():
    with Machine(config(vm("hello", autostart=True)), ["hello.elf"], wait=False) as m:
        for _ in range(900):
            m.send(" ")
            if m.wire.expect([r"bulkhead> ", Timeout], timeout=0.1) == 0:
                break
        assert "not started" in m.state("hello")
