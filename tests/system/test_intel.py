"""VT-x, on Bochs: a Debian guest to its shell, two guests at once, the way out by a reboot,
and what is said where VT-x will not do. What is longer is in test_long.py.

The bare guests and the hostile one are in test_guests.py and test_hostile.py, all beds."""

import re

import pytest

from harness import BUILD, LINUX_FILES, Machine, at_prompt, config, linux, vm

LOCKER = BUILD / "tests/lockvmx.efi"
FIRMWARE = r"Shell>|UEFI Interactive Shell|BdsDxe|failed to start|Boot Manager"


@pytest.fixture(scope="module", params=["intel"])
def machine(request):
    text = config(linux("alpha", 1, "128M"), vm("left", cpu=2, kernel="neighbour.elf"),
                  vm("right", cpu=3, kernel="neighbour.elf"), vm("tasks", cpu=4))
    files = LINUX_FILES + ["neighbour.elf", "tasks.elf"]
    with Machine(text, files, bed=request.param, cpus=5, life=2400) as m:
        yield m


def test_boot_log(machine):
    log = machine.boot_log + machine.command("log")
    for what in ("VT-x with EPT, VPID", "5 CPUs: Intel", "no ACPI tables", r"TSC 50 MHz"):
        assert re.search(what, log), what


def test_debian(machine):
    with machine.console("alpha") as c:
        c.expect(r"guest alpha up: 1 cpu\(s\), (\d+) MiB", 300)
        assert 90 < int(machine.match[1]) <= 128
        at_prompt(c, r"alpha:~# ", 60)


def test_its_shell(machine):
    with machine.console("alpha") as c:
        at_prompt(c)
        assert c.run("expr 6 '*' 7").strip() == "42"
        assert c.run("grep -c GenuineIntel /proc/cpuinfo").strip() == "1"
        flags = c.run("grep -m1 flags /proc/cpuinfo")
        assert "hypervisor" in flags and not re.search(r"\b(vmx|svm)\b", flags)
        # the TSC is invariant on this processor, so that Linux prefers it to KVM's clock
        assert c.run("cat /sys/devices/system/clocksource/clocksource0/current_clocksource"
                     ).strip() == "tsc"
        wrong = "BUG:|Call Trace|general protection|unchecked MSR|unstable"
        assert c.run(f"dmesg | grep -ciE '{wrong}'").strip() == "0"


def test_two_at_once(machine):
    """On two CPUs, beside Debian: both go on, and each finds its memory as it left it."""
    machine.command("start left")
    machine.command("start right")
    for _ in range(2):
        for name in ("left", "right"):
            with machine.console(name) as c:
                c.expect(r"ok \d+", 30)
    rows = machine.vms()
    assert [rows[n]["state"] for n in ("left", "right")] == ["running", "running"]
    assert [rows[n]["cpus"] for n in ("left", "right")] == ["2", "3"]
    for name in ("left", "right"):
        with machine.console(name) as c:
            c.send("q")
            c.expect(r"(PASS|FAILED) neighbour", 30)
            assert machine.match[1] == "PASS"
        machine.wait_state(name, r"exit 0x10", 20)


def test_task_switches(machine):
    """VT-x has none in guests, and nothing emulates them: the VM ends, and says why."""
    machine.command("start tasks")
    machine.wait_state("tasks", r"failed .*task switch by hardware", 60)
    assert "tasks: task switch by hardware at" in machine.command("log")


def test_reboot(machine):
    """With VMX on in five CPUs and a guest running: the firmware starts again, and Bulkhead."""
    assert re.match("running|halted", machine.state("alpha"))
    machine.send("reboot\r")
    machine.expect("rebooting", 30)
    machine.expect("Leaving firmware: 5 CPUs", 120)
    machine.expect("VT-x with EPT", 30)
    machine.wait_prompt()
    machine.poweroff()
    said = (machine.dir / "bochs.log").read_text(errors="replace")
    # Bochs' way to power off is the one panic that there may be
    assert re.findall(r">>PANIC<< (.*)", said) == ["Shutdown port: shutdown requested"]


def refused(why, **more):
    """Bulkhead says why, and the firmware goes on."""
    with Machine(config(), bed="intel", cpus=1, memory=256, wait=False, **more) as m:
        m.expect(why, 60)
        m.expect(FIRMWARE, 60)


def test_locked_off_intel():
    refused(r"switched VT-x off and locked it; look for \"Intel Virtualization Technology\"",
            efi=LOCKER, extra={"/bulkhead/next.efi": (BUILD / "BOOTX64.EFI").read_bytes()})


def test_no_ept_intel():
    refused(r"no extended page tables \(EPT\)", model="core2_penryn_t9600")
