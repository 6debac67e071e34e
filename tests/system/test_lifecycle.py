"""How a VM's life ends and goes on: restart policies with their back-off, a crashed VM that
is kept (on the test variant, whose waits are shorter: tests/variant/kernel/budget.h), the
power button and what follows it."""

import re
import subprocess

import pytest

from harness import BUILD, LINUX_FILES, Machine, config, linux, vm
from test_protection import QMP, Qmp

VARIANT = BUILD / "test/BOOTX64.EFI"


# On Bochs these would take a third of the time that make test has for it.
BEDS = ["qemu", pytest.param("intel", marks=pytest.mark.long)]


@pytest.fixture(scope="module", params=BEDS)
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
    for _ in range(50):  # it may be starting just now
        told = machine.json("list")["vms"][1]
        if told["restart_in_ns"]:
            break
    assert (told["name"], told["state"]) == ("loop", "waiting")
    assert told["restarts"] >= 3 and 0 < told["restart_in_ns"] <= 10**9
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
    text = machine.command("crash kept")
    assert re.match(r"triple fault at \w+\nat [\d.]+ s, [\d.]+ s after its start\n"
                    r"vCPU 0 on CPU 3: rip \w{16}", text), text
    assert re.search(r"\n  exit \w+ +at ", text)
    assert "kept" in machine.command("crash").split("VMs that have crashed: ")[1]
    assert "loop has not crashed" in machine.command("crash loop")
    machine.command("reset kept")
    machine.wait_state("kept", "^crashed", 60)
    assert "kept stopped" in machine.command("stop kept")
    assert machine.state("kept").startswith("failed triple fault at")
    assert machine.free_memory() == machine.free


@pytest.fixture(scope="module", params=BEDS)
def buttons(request):
    text = config(vm("off", cpu=1, kernel="powerbutton.elf", memory="8M"),
                  vm("off0", cpu=0, kernel="powerbutton.elf", memory="8M"),
                  vm("deaf", cpu=2, kernel="powerbutton.elf", memory="8M", cmdline="deaf",
                     stop_timeout=4, on_crash="restart"),
                  vm("bare", cpu=3, kernel="neighbour.elf", memory="8M"))
    with Machine(text, ["powerbutton.elf", "neighbour.elf"], memory=512, bed=request.param) as m:
        yield m


def ready(m, name):
    before = m.written(name)
    m.command(f"start {name}")
    m.wait_written(name, before + len("READY neighbour"))


def test_the_power_button(buttons):
    m = buttons
    for name in ("off", "off0"):
        ready(m, name)
        text = m.command(f"stop {name}", 60)
        assert f"{name} is asked to power off and has 10 s" in text
        assert f"{name} stopped: powered off" in text
        assert m.state(name) == "stopped powered off"
        with m.console(name) as c:
            c.expect("PRESSED, 1 interrupt\r*\n")


def test_a_paused_guest_is_asked_too(buttons):
    m = buttons
    for name in ("off", "off0"):
        ready(m, name)
        assert f"{name} paused" in m.command(f"pause {name}")
        text = m.command(f"stop {name}", 60)
        assert f"{name} is asked to power off and has 10 s" in text
        assert f"{name} stopped: powered off" in text


def test_a_guest_that_does_not_power_off(buttons):
    m = buttons
    ready(m, "deaf")
    text = m.command("stop deaf", 60)
    assert "deaf stopped: it did not power off in time" in text
    assert "did not power off within 4 s: stopped" in text
    assert m.state("deaf") == "stopped stopped by the administrator"


def test_nobody_need_wait(buttons):
    """Ctrl-C gives the prompt back; the time-out goes on, the others run."""
    m = buttons
    ready(m, "deaf")
    ready(m, "bare")
    m.send("stop deaf\r")
    m.expect("Ctrl-C: do not wait", 20)
    m.send("\x03")
    assert re.search(r"deaf has \d s left", m.wait_prompt())
    assert "asked to power off" in m.state("deaf")
    assert "cannot pause deaf: it is asked to power off" in m.command("pause deaf")
    with m.console("bare") as c:
        c.expect(r"ok \d+")
        c.expect(r"ok \d+")
    m.wait_state("deaf", "stopped by the administrator", 30)
    ready(m, "deaf")
    assert "deaf killed" in m.command("kill deaf")
    assert "it is not running" in m.command("kill deaf")


def test_a_guest_without_a_power_button(buttons):
    m = buttons
    if not m.state("bare").startswith("running"):
        ready(m, "bare")
    assert "bare stopped: it does not listen to the power button" in m.command("stop bare")
    assert m.state("bare") == "stopped stopped by the administrator"


def test_the_machine_waits_for_its_guests(buttons):
    m = buttons
    for name in ("off", "deaf", "bare"):
        ready(m, name)
    m.send("poweroff\r")
    m.expect("asked to power off, at most 10 s; Ctrl-C: no power off", 20)
    m.expect("powering off", 20)
    m.attach()  # by Ctrl-C, which is answered here, too
    assert "no power off; the VMs go on" in m.match.group()
    m.wait_state("deaf", "^stopped", 30)
    assert m.state("off") == "stopped powered off"
    for name in ("off", "deaf"):
        ready(m, name)
    text = m.command("poweroff")  # without a prompt
    assert m.wait_end(60) == ""
    assert "off: powered off" in text and "deaf: it did not power off within 4 s" in text


def test_a_reboot_waits_for_its_guests():
    vms = [vm("off", cpu=1, kernel="powerbutton.elf", memory="8M"),
           vm("deaf", cpu=2, kernel="powerbutton.elf", memory="8M", cmdline="deaf",
              stop_timeout=2)]
    with Machine(config(*vms), ["powerbutton.elf"], memory=512) as m:
        for name in ("off", "deaf"):
            ready(m, name)
        text = m.command("reboot")  # without a prompt
        m.wait_end(60)  # the harness runs QEMU with -no-reboot
        assert "off: powered off" in text and "deaf: it did not power off within 2 s" in text


WATCHDOGS = {"stop": "failed its watchdog has expired", "pause": "crashed its watchdog has expired",
             "reset": r"its watchdog has expired; restart 1 in|restarted \d time",
             "nmi": r"exit 0x10\b", "ping": r"exit 0x10\b"}


@pytest.fixture(scope="module", params=BEDS)
def watchdogs(request):
    text = config(*[vm(name, cpu=i, kernel="watchdog.elf", memory="8M", cmdline=name,
                       watchdog=True, on_watchdog=name if name != "ping" else "stop")
                    for i, name in enumerate(WATCHDOGS)])
    with Machine(text, ["watchdog.elf"], memory=512, cpus=5, bed=request.param) as m:
        yield m


@pytest.mark.parametrize("name", WATCHDOGS)
def test_the_watchdog(watchdogs, name):
    m = watchdogs
    m.command(f"start {name}")
    m.wait_state(name, WATCHDOGS[name], 60)
    if name in ("stop", "pause", "reset"):
        assert m.command(f"crash {name}").startswith("its watchdog has expired\nat ")
    if name == "nmi":
        assert "nmi: the watchdog has expired: NMI" in m.command("log")
    if name in ("pause", "reset"):
        m.command(f"kill {name}")


@pytest.fixture(scope="module")
def debian():
    with Machine(config(linux("alpha", 1, "192M", stop_timeout=30)), LINUX_FILES,
                 memory=768, qemu_args=QMP) as m:
        with m.console("alpha") as c:
            c.expect(r"guest alpha up", 120)
            c.expect(r":~# ", 60)
        yield m


def test_a_break_reaches_sysrq(debian):
    qmp = Qmp(debian)

    def send_break():
        qmp.execute("human-monitor-command", **{"command-line": "chardev-send-break com1"})

    with debian.console("alpha") as c:
        c.run("echo x")  # and its prompt: what is typed before that is echoed twice
        send_break()
        c.send("h")
        c.expect("sysrq: HELP", 20)
        assert "alpha" in c.run("hostname")
    send_break()  # the shell does not care, and the guest does not get it later
    assert "Bulkhead" in debian.command("version")
    with debian.console("alpha") as c:
        assert "HELP" not in c.run("echo h")


def test_debian_powers_off(debian):
    text = debian.command("stop alpha", 60)
    assert "alpha stopped: powered off" in text
    with debian.console("alpha") as c:
        c.expect("guest alpha: power button, powering off")


def test_a_panics_record_survives_the_reset():
    """Shown at the next boot, and on the ESP; not at the one after that."""
    text = config(vm("one", kernel="neighbour.elf", memory="8M"), host='on_panic = "reboot"')
    with Machine(text, ["neighbour.elf"], efi=VARIANT, memory=512, reboot=True) as m:
        assert "no record of a panic" in m.command("crash")
        assert "ended in a panic" not in m.boot_log
        m.send("panic null 1\r")
        m.expect(r"\*\*\* PANIC on CPU 1: ([^\r\n]*)", 20)
        what = m.match.group(1)
        m.expect("rebooting", 20)
        boot = m.wait_prompt(120)
        assert "The last run ended in a panic: see /bulkhead/crash.txt" in boot
        assert 'the run before this one ended in a panic: "crash" shows it' in boot
        record = m.command("crash")
        assert f"*** PANIC on CPU 1: {what}" in record
        for wanted in (r"rip [0-9a-f]{16} bug_null\+", r"\nrax [0-9a-f]{16}", r"last log lines:\n",
                       r"Bulkhead \d", r"rebooting\n"):
            assert re.search(wanted, record), (wanted, record)
        m.send("reboot\r")
        m.expect("rebooting", 20)
        boot = m.wait_prompt(120)
        assert "ended in a panic" not in boot
        assert "no record of a panic" in m.command("crash")
        m.poweroff()
        file = subprocess.run(["mcopy", "-i", f"{m.dir / 'disk.img'}@@1048576",
                               "::/bulkhead/crash.txt", "-"], check=True,
                              capture_output=True).stdout.decode()
        assert file.strip() and file.strip() in record
