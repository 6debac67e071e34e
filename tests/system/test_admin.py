"""Every command of the shell, right and wrong, and the line editor."""

import time

import pytest

from harness import ESCAPE, PROMPT, Machine, clean, config, vm

COMMANDS = ["help", "list", "console", "start", "stop", "kill", "reset", "stats", "mem", "log", "version",
            "reboot", "poweroff"]


@pytest.fixture(scope="module")
def machine():
    vms = [vm("one", cpu=1, kernel="neighbour.elf"), vm("two", cpu=2, kernel="neighbour.elf"),
           vm("hlt", cpu=3, kernel="hltoff.elf")]
    with Machine(config(*vms), ["neighbour.elf", "hltoff.elf"]) as m:
        yield m


def test_help(machine):
    text = machine.command("help")
    for name in COMMANDS:
        assert f"\n{name} " in "\n" + text


def test_unknown_command(machine):
    text = machine.command("frobnicate")
    assert '"frobnicate"' in text and "poweroff" in text
    assert len(text.strip().split("\n")) == 1


def test_empty_line(machine):
    machine.send("\r")
    assert machine.wait_prompt().strip() == ""


@pytest.mark.parametrize("name", ["console", "start", "stop", "kill", "reset", "stats"])
def test_wrong_vm(machine, name):
    text = machine.command(f"{name} nobody")
    assert '"nobody"' in text and "one, two, hlt" in text
    assert "one, two, hlt" in machine.command(name)
    assert "too much" in machine.command(f"{name} one two")


def test_start_and_stop(machine):
    assert machine.state("one").startswith("stopped")
    assert "one started" in machine.command("start one")
    assert machine.state("one").startswith("running")
    assert "cannot start one" in machine.command("start one")
    with machine.console("one") as c:
        c.expect(r"ok \d+")
    assert "one stopped" in machine.command("stop one")
    assert "stopped by the administrator" in machine.state("one")
    assert "cannot stop one" in machine.command("stop one")
    assert "cannot reset one" in machine.command("reset one")


def test_reset(machine):
    machine.command("start two")
    with machine.console("two") as c:
        c.expect(r"ok \d+")
    assert "two reset" in machine.command("reset two")
    machine.wait_state("two", "running")
    with machine.console("two") as c:
        c.expect("READY neighbour")
    machine.command("stop two")


def test_stats(machine):
    machine.command("start one")
    time.sleep(1)
    text = machine.command("stats one")
    for word in ("running", "exits by reason", "guest", "kernel", "monitor"):
        assert word in text
    machine.command("stop one")
    assert "last run" in machine.command("stats one")


def test_halted_for_ever(machine):
    machine.command("start hlt")
    machine.wait_state("hlt", "halted")


def test_console_and_escape(machine):
    """Ctrl-] leaves; twice sends one; output while away is kept, and not mixed in."""
    machine.command("start one")
    machine.command("start two")
    with machine.console("one") as c:
        c.expect(r"ok \d+\r*\n")
        first = machine.wire.after
    time.sleep(2)  # both guests write meanwhile
    assert "ok" not in machine.command("version")
    with machine.console("two") as c:
        c.expect("READY neighbour")
        c.expect(r"ok \d+")
    with machine.console("one") as c:
        c.expect("READY neighbour")  # the scrollback from its beginning
        c.expect(first.strip())
        c.send(ESCAPE + ESCAPE)  # goes to the guest, which does not care
        c.expect(r"ok \d+")
        c.send("q")
        c.expect("PASS neighbour")
    machine.wait_state("one", "exit", 20)
    machine.command("stop two")


def test_console_of_a_stopped_vm(machine):
    with machine.console("one") as c:
        c.expect("PASS neighbour")


def test_backspace(machine):
    machine.send("versX\x7fionYY\b\b\r")
    assert "Bulkhead" in machine.wait_prompt()


def test_cursor_keys(machine):
    machine.send("ersion\x1b[Hv\r")  # Home
    assert "Bulkhead" in machine.wait_prompt()
    machine.send("verson\x1b[D\x1b[Di\x1b[C\x1b[C\r")
    assert "Bulkhead" in machine.wait_prompt()


def test_history(machine):
    machine.command("stats nobody")
    machine.command("version")
    machine.send("\x1b[A\x1b[A\r")
    assert '"nobody"' in machine.wait_prompt()
    machine.send("\x10\x10\x0e\r")  # Ctrl-P twice, Ctrl-N
    assert '"nobody"' in machine.wait_prompt()


def test_ctrl_c_drops_the_line(machine):
    machine.send("poweroff\x03")
    machine.wait_prompt()
    assert "Bulkhead" in machine.command("version")


def test_long_line(machine):
    machine.send("x" * 1000 + "\r")
    assert "too long" in machine.wait_prompt()


def test_paste(machine):
    """Many commands at once: none is lost."""
    machine.send("version\r" * 20)
    for _ in range(20):
        assert "Bulkhead" in machine.wait_prompt()


def test_binary_noise(machine):
    machine.wire.send("".join(chr(c) for c in range(1, 256) if c not in (3, 10, 13, 0x1d)))
    machine.send("\x03")
    machine.wait_prompt()
    machine.send("\r")
    machine.wait_prompt()
    assert "Bulkhead" in machine.command("version")


def test_log(machine):
    text = machine.command("log")
    assert "one: started" in text and "halted" in text


def test_under_load(machine):
    """The shell answers while guests compute on all CPUs."""
    machine.command("start one")
    machine.command("start two")
    for _ in range(10):
        started = time.monotonic()
        machine.command("list")
        assert time.monotonic() - started < 5
    machine.command("stop one")
    machine.command("stop two")
    assert clean(PROMPT) == "bulkhead> "
