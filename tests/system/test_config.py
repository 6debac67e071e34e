"""Wrong configurations: each complaint names line and column, the VMs that are
fine still start, and the shell comes up in any case."""

import re

import pytest

from harness import GUESTS, Machine, config, vm

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


# What the machine must be asked for, and what spoils the whole file; all the others share a boot.
OF_THE_MACHINE = ["no such cpu", "cpu taken", "too much memory", "missing file"]
OF_THE_FILE = ["twice", "unclosed text", "no value"]
BOOTS = [[c for c in BROKEN if c not in OF_THE_MACHINE + OF_THE_FILE], OF_THE_MACHINE,
         *([c] for c in OF_THE_FILE)]


def bad_vm(lines, name="bad", cpu=1):
    keys = {"name": f'"{name}"', "cpus": f"[{cpu}]", "memory": '"32M"',
            "kernel": '"/bulkhead/hello.elf"', "debug_exit": "true"}
    given = [line.split(" =")[0] for line in lines.split("\n")]
    return "[[vm]]\n" + "".join(f"{k} = {v}\n" for k, v in keys.items()
                                if k not in given) + lines + "\n"


@pytest.fixture(scope="module")
def machine(request):
    """A machine whose second VM, third and so on have a broken line each: the last."""
    text, lines = config(GOOD), {}
    for i, case in enumerate(BOOTS[request.param]):
        # of CPUs the three that are left: a claim of the same one would be a complaint too
        text += bad_vm(BROKEN[case][0], f"bad{i}", i % 3)
        lines[case] = len(text.rstrip("\n").split("\n"))
    with Machine(text, ["hello.elf"]) as m:
        m.lines = lines
        m.log_text = m.boot_log + m.command("log")
        m.wait_state("good", "exit", 20)
        names = list(m.vms())
        assert names.count("good") == 1
        for name in names:  # that one alone can be started
            if name != "good":
                assert f"cannot start {name}" in m.command(f"start {name}")
        yield m


@pytest.mark.parametrize("machine, case", [pytest.param(i, case, id=case)
                                          for i, cases in enumerate(BOOTS) for case in cases],
                         indirect=["machine"], scope="module")
def test_complaint(machine, case):
    found = re.findall(rf"bulkhead\.toml:(\d+):(\d+): [^\n]*(?:{BROKEN[case][1]})",
                       machine.log_text)
    assert machine.lines[case] in [int(line) for line, _ in found], machine.log_text
    assert all(int(column) >= 1 for _, column in found)


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


def test_more_files_than_are_loaded():
    """Those beyond the 64th are refused with the reason, by name; the other VMs start."""
    names = [f"/bulkhead/m{i}" for i in range(75)]
    vms = [vm(f"vm{i}", cpu=4 + i, kernel="hello.elf", initrd=names[i * 15:i * 15 + 15])
           for i in range(5)]
    with Machine(config(GOOD, *vms), ["hello.elf"], cpus=9,
                 extra={name: "x" for name in names}) as m:
        m.wait_state("good", "exit", 20)
        log = m.boot_log + m.command("log")
        refused = re.findall(
            r': VM (\w+): initrd "([^"]*)": more than 64 files are named: name fewer', log)
        # hello.elf is the first
        assert set(refused) == {("vm4", name) for name in names[63:]}
        assert m.state("vm4").startswith("invalid") and m.state("vm3").startswith("stopped")
        files = m.command("files")
        assert "/bulkhead/m62\n" in files and "/bulkhead/m63\n" not in files


def test_bad_images():
    """Files that are no kernels: their VMs stop with the reason, nothing else happens."""
    contents = {"empty": b"", "text": b"hello\n" * 100,
                "cut": (GUESTS / "hello.elf").read_bytes()[:6000]}
    text = config(GOOD, *(vm(name, cpu=i, memory="16M", kernel=f"{name}.bin", autostart=True)
                          for i, name in enumerate(contents)))
    with Machine(text, ["hello.elf"],
                 extra={f"bulkhead/{n}.bin": c for n, c in contents.items()}) as m:
        m.wait_state("good", "exit", 20)
        for name in contents:
            m.wait_state(name, "refused", 20)
        log = m.boot_log + m.command("log")
        for name in contents:
            assert re.search(rf"{name}: |{name}\.bin", log)
