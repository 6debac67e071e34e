"""The shell's commands that look closer, and pause, resume and nmi."""

import re
import sys
import time

import pytest

from harness import ROOT, Machine, config, vm

sys.path.insert(0, str(ROOT / "tools"))
import trace as trace_tool  # noqa: E402

VMS = [vm("one", cpu=1, kernel="ticker.elf", cmdline="a=1 b=2"),
       vm("zero", cpu=0, kernel="ticker.elf"),
       vm("idle", cpu=3, kernel="hltoff.elf", memory="64M")]


# On Bochs these would take a third of the time that make test has for it.
BEDS = ["qemu", pytest.param("intel", marks=pytest.mark.long)]


@pytest.fixture(scope="module", params=BEDS)
def machine(request):
    with Machine(config(*VMS), ["ticker.elf", "hltoff.elf"], bed=request.param) as m:
        yield m


def ticks(machine, name, n=2):
    """Waits for n ticks of a guest -> the longest time that it missed until now, us."""
    # with READY before them, or there is one more
    machine.wait_written(name, machine.written(name) + n * 30)
    with machine.console(name) as c:
        machine.wire.drain(0.3)
        machine.wire.take()  # the scrollback
        c.expect(r"tick \d+ longest (\d+) us")
        return int(machine.match.group(1))


@pytest.mark.parametrize("name", ["one", "zero"])
def test_pause(machine, name):
    machine.command(f"start {name}")
    ticks(machine, name)
    assert f"{name} paused" in machine.command(f"pause {name}")
    assert machine.state(name).startswith("paused")
    before = machine.vms()[name]
    time.sleep(2)
    after = machine.vms()[name]
    assert (after["exits"], after["uptime"]) == (before["exits"], before["uptime"])
    with machine.console(name) as c:
        c.expect(r"tick \d+")  # what it said before can be read
        c.send("x")
    assert f"cannot pause {name}: it is paused" in machine.command(f"pause {name}")
    assert f"cannot start {name}" in machine.command(f"start {name}")
    assert f"{name} resumed" in machine.command(f"resume {name}")
    assert machine.state(name).startswith("running")
    assert f"cannot resume {name}: it is not paused" in machine.command(f"resume {name}")
    with machine.console(name) as c:
        c.expect("typed x")  # what was typed meanwhile arrives
    assert ticks(machine, name) < 1000000  # its clock stood still
    machine.command(f"pause {name}")
    assert f"{name} reset" in machine.command(f"reset {name}")
    assert machine.state(name).startswith("running")
    ticks(machine, name)
    machine.command(f"pause {name}")
    assert f"{name} stopped" in machine.command(f"stop {name}")
    assert "stopped by the administrator" in machine.state(name)
    assert "cannot pause" in machine.command(f"pause {name}")
    assert "cannot resume" in machine.command(f"resume {name}")


def test_nmi(machine):
    assert "cannot send an NMI to one: it is not running" in machine.command("nmi one")
    machine.command("start one")
    ticks(machine, "one")
    machine.command("nmi one")
    with machine.console("one") as c:
        c.expect("NMI 1")
    machine.command("pause one")
    machine.command("nmi one")
    machine.command("resume one")
    with machine.console("one") as c:
        c.expect("NMI 2")
    machine.command("stop one")


def test_info(machine):
    text = machine.command("info one")
    assert re.search(r"^one: stopped", text, re.M)
    assert re.search(r"^  kernel +/bulkhead/ticker.elf \(\d+ bytes\)", text, re.M)
    assert re.search(r"^  cmdline +a=1 b=2$", text, re.M)
    assert re.search("^  vCPUs +none$", text, re.M)
    machine.command("start one")
    ticks(machine, "one")
    text = machine.command("info one")
    assert re.search(r"^one: running, up \d", text, re.M)
    m = re.search(r"vCPU 0 +CPU 1 \(APIC id \d+\), .*, (\d+) exits, (\d+) upcalls", text)
    assert int(m[1]) >= int(m[2]) > 0
    m = re.search(r"guest time +([\d.]+) s", text)
    assert 0 < float(m[1]) < 600
    assert all(len(line) < 80 for line in text.split("\n"))
    machine.command("stop one")


def test_cpus(machine):
    machine.command("start one")
    ticks(machine, "one")
    rows = {int(line.split()[0]): line.split()[1:]
            for line in machine.command("cpus").split("TIMERS")[0].split("\n")
            if re.match(r" *\d+ ", line)}
    assert len(rows) == 4
    assert [rows[i][1] for i in range(4)] == ["zero", "one", "-", "idle"]
    assert rows[1][2] == "guest" and rows[2][2] in ("idle", "busy")
    assert rows[0][-2:] == ["and", "console"]
    machine.command("stop one")
    assert not re.search(r" one +guest ", machine.command("cpus"))


def test_files(machine):
    text = machine.command("files")
    assert re.search(r"ticker.elf\n +\d+ bytes; for one, zero\n", text)
    assert re.search(r"hltoff.elf\n +\d+ bytes; for idle\n", text)


def test_set_log_level(machine):
    assert "log_level warn, was info" in machine.command("set log_level warn")
    machine.command("start one")
    machine.command("stop one")
    before = machine.command("log").count("one: started")
    assert "log_level info, was warn" in machine.command("set log_level info")
    machine.command("start one")
    machine.command("stop one")
    assert machine.command("log").count("one: started") == before + 1
    assert "no level" in machine.command("set log_level loud")
    machine.send("set l\ti\t\r")
    assert "log_level info, was info" in machine.wait_prompt()


def test_history(machine):
    machine.command("version")
    machine.command("frobnicate 1 2")
    text = machine.command("history")
    assert re.search(r"\d+  version\n *\d+  frobnicate 1 2\n *\d+  history\n$", text)


def test_json(machine):
    """What scripts read agrees with what people read."""
    machine.command("start one")
    ticks(machine, "one")
    machine.command("pause one")  # so that nothing moves
    told, table = machine.json("list"), machine.vms()
    assert [v["name"] for v in told["vms"]] == list(table)
    one = told["vms"][0]
    assert (one["state"], one["cpus"], one["memory_bytes"]) == ("paused", [1], 32 << 20)
    assert one["exits"] == int(table["one"]["exits"])
    stats = machine.json("stats one")
    assert {k: stats[k] for k in one} == one
    assert sum(stats["exits_by_reason"].values()) == stats["exits"]
    assert stats["guest_ns"] + stats["kernel_ns"] + stats["monitor_ns"] == \
        pytest.approx(stats["busy_ns"], abs=10)
    assert 0 < stats["busy_ns"] <= told["uptime_ns"]
    assert [(v["cpu"], v["state"], v["exits"]) for v in stats["vcpus"]] == \
        [(1, "paused", stats["exits"])]
    assert "is too much" in machine.command("list --xml")
    machine.command("stop one")
    assert machine.json("stats one")["vcpus"] == []


def test_top(machine):
    machine.command("start one")
    ticks(machine, "one")
    machine.send("top\r")
    machine.expect(r"any key ends")
    shares = []
    started = time.monotonic()
    for _ in range(3):
        machine.expect(r"\x1b\[H[^J]*\none +running +([\d.]+)% [^J]*\x1b\[J")
        shares.append(float(machine.match.group(1)))
    assert 1 < time.monotonic() - started < 60
    assert min(shares) > 20  # it computes all the time, if the host lets it
    machine.send("q")
    machine.wait_prompt()
    assert "Bulkhead" in machine.command("version")
    machine.command("stop one")


@pytest.mark.parametrize("name", ["one", "zero"])
def test_dump(machine, name):
    """Registers and stack of a running and of a paused VM: the marks that the guest keeps there."""
    machine.command(f"start {name}")
    ticks(machine, name)
    for state in ("running", "paused"):
        for _ in range(20):  # it is in watch() nearly all the time
            text = machine.command(f"dump {name}")
            if re.search(r"r12 5ca1ab1e00000000", text) and "5ca1ab1e00000007" in text:
                break
        assert "r13 5ca1ab1e00000000  r14 5ca1ab1e00000000" in text
        sp = int(re.search(r"rsp ([0-9a-f]{16})", text)[1], 16)
        first = int(re.search(r"^stack\n +([0-9a-f]{16}):", text, re.M)[1], 16)
        assert first == sp
        marks = re.findall(r"5ca1ab1e0000000([0-7])", text.split("\nstack\n")[1])
        assert sorted(marks)[:8] == [str(i) for i in range(8)] or len(marks) >= 8
        assert re.search(r"^  (PIO|INTR) +rip [0-9a-f]{16}  ", text, re.M)
        assert re.search(r"^  cs [0-9a-f]{4} base 0+ limit ffffffff", text, re.M)
        assert all(len(line) < 80 for line in text.split("\n"))
        assert machine.state(name).startswith(state)
        if state == "running":
            machine.command(f"pause {name}")
    machine.command(f"resume {name}")
    assert ticks(machine, name) < 1000000
    machine.command(f"stop {name}")
    assert f"cannot dump {name}: it is not running" in machine.command(f"dump {name}")


def test_trace(machine):
    assert "cannot trace one" in machine.command("trace one on")
    machine.command("start one")
    assert "has no trace" in machine.command("trace one show")
    assert "trace of one: on" in machine.command("trace one on")
    ticks(machine, "one", 3)
    assert "trace of one: off" in machine.command("trace one off")
    text = machine.command("trace one show", 120)
    assert all(len(line) < 80 for line in text.split("\n"))
    assert text == machine.command("trace one show", 120)  # off: nothing is added
    (t,) = trace_tool.parse(text.split("\n"))
    assert (t.vm, t.cpu) == ("one", 1) and 400 < len(t.exits) <= t.total
    assert all(e.gap > 0 for e in t.exits[1:])
    assert any(trace_tool.describe(e).startswith("in 608/4 ACPI+8") for e in t.exits)
    machine.command("stop one")
    assert "has no trace" in machine.command("trace one show")
