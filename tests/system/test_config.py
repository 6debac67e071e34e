"""Wrong configurations: each complaint names line and column, the VMs that are
fine still start, and the shell comes up in any case."""

import re

import pytest

from harness import Machine, config, vm

GOOD = vm("good", cpu=3, kernel="hello.elf", autostart=True)

# name: (lines of a second VM, what is complained about); GOOD stands before it
BROKEN = {
    "unknown key": ('colour = "red"', r"unknown key 'colour'"),
    "near miss": ('kernal = "/x"', r"did you mean 'kernel'"),
    "bad type": ("memory = 64", r"'memory' must be"),
    "bad size": ('memory = "64 parsecs"', r"no amount of memory"),
    "odd size": ('memory = "3M"', r"multiple of 2M"),
    "no such cpu": ("cpus = [9]", r"no CPU 9.*0 to 3"),
    "cpu taken": ("cpus = [3]", r"CPU 3 belongs to VM good"),
    "two cpus": ("cpus = [1, 2]", r"exactly one"),
    "no cpu": ("cpus = []", r"empty"),
    "too much memory": ('memory = "64G"', r"64\d*M? ?.*left|wants"),
    "missing file": ('kernel = "/bulkhead/nothing.elf"', r"nothing\.elf"),
    "bad policy": ('on_crash = "explode"', r"'on_crash' must be"),
    "bad name": ('name = "no good"', r"is no name"),
    "name taken": ('name = "good"', r"is taken"),
    "bad bool": ('autostart = "yes"', r"true or false"),
    "twice": ('cmdline = "a"\ncmdline = "b"', r"stands in line \d+ already"),
    "unclosed text": ('cmdline = "a', r"not closed"),
    "no value": ("cmdline =", r"value is missing"),
}


def bad_vm(lines):
    keys = {"name": '"bad"', "cpus": "[1]", "memory": '"32M"',
            "kernel": '"/bulkhead/hello.elf"', "debug_exit": "true"}
    given = [line.split(" =")[0] for line in lines.split("\n")]
    return "[[vm]]\n" + "".join(f"{k} = {v}\n" for k, v in keys.items()
                                if k not in given) + lines + "\n"


@pytest.mark.parametrize("case", BROKEN)
def test_complaint(case):
    lines, complaint = BROKEN[case]
    text = config(GOOD) + bad_vm(lines)
    at = len(text.rstrip("\n").split("\n"))
    with Machine(text, ["hello.elf"]) as m:
        log = m.boot_log + m.command("log")
        found = re.search(rf"bulkhead\.toml:(\d+):(\d+): [^\n]*(?:{complaint})", log)
        assert found, log
        assert int(found[1]) == at and int(found[2]) >= 1, found[0]
        m.wait_state("good", "exit", 20)
        rows = m.vms()
        others = [n for n in rows if n != "good"]
        if others:
            answer = m.command(f"start {others[0]}")
            assert f"cannot start {others[0]}" in answer


def test_all_complaints_at_once():
    text = config(GOOD, host="colour = 1") + bad_vm('shape = 1\nmemory = "x"') + "[nonsense]\na = 1\n"
    with Machine(text, ["hello.elf"]) as m:
        log = m.boot_log + m.command("log")
        for what in ("colour", "shape", "amount of memory", "nonsense"):
            assert re.search(rf"bulkhead\.toml:\d+:\d+: [^\n]*{what}", log), what


def test_missing_config():
    with Machine(None) as m:
        assert re.search(r"bulkhead\.toml", m.boot_log + m.command("log"))
        assert "no VMs" in m.command("list")
        m.poweroff()


def test_empty_config():
    with Machine("") as m:
        assert "no VMs" in m.command("list")


def test_not_text():
    with Machine("", extra={"bulkhead/bulkhead.toml": bytes(range(256)) * 16}) as m:
        assert re.search(r"bulkhead\.toml:1:1", m.boot_log + m.command("log"))


@pytest.mark.parametrize("name, content", [("empty", b""), ("text", b"hello\n" * 100),
                                           ("cut", None)])
def test_bad_image(name, content):
    """A file that is no kernel: the VM stops with the reason, nothing else happens."""
    from harness import GUESTS
    if content is None:
        content = (GUESTS / "hello.elf").read_bytes()[:6000]
    text = config(GOOD, vm("bad", kernel="bad.bin", autostart=True))
    with Machine(text, ["hello.elf"], extra={"bulkhead/bad.bin": content}) as m:
        m.wait_state("good", "exit", 20)
        assert not m.state("bad").startswith("running")
        assert re.search(r"bad: |bad\.bin", m.boot_log + m.command("log"))
