"""Two Debian guests side by side, GNU Mach beside them; one crashes, reboots,
powers off, and the other never notices."""

import re

import pytest

from harness import LINUX_FILES, Machine, at_prompt, config, linux, vm


@pytest.fixture(scope="module")
def machine():
    mach = vm("mach", cpu=3, memory="64M", kernel="gnumach", cmdline="console=com0",
              debug_exit=False)
    text = config(linux("alpha", 1, "256M", on_reboot="restart"),
                  linux("beta", 2, "192M", on_reboot="stop"), mach)
    with Machine(text, LINUX_FILES + ["gnumach"], life=1500) as m:
        yield m


def wait_userspace(machine, name):
    with machine.console(name) as c:
        c.expect(rf"guest {name} up: (\d+) cpu\(s\), (\d+) MiB", 180)
        cpus, mib = map(int, machine.match.groups())
        at_prompt(c, rf"{name}:~# ", 180)
    return cpus, mib


@pytest.mark.parametrize("name, memory", [("alpha", 256), ("beta", 192)])
def test_userspace(machine, name, memory):
    cpus, mib = wait_userspace(machine, name)
    assert cpus == 1
    assert memory * 0.7 < mib <= memory


@pytest.mark.parametrize("name", ["alpha", "beta"])
def test_shell(machine, name):
    with machine.console(name) as c:
        at_prompt(c)
        assert c.run("hostname").strip() == name
        assert c.run("nproc").strip() == "1"
        assert c.run("expr 6 '*' 7").strip() == "42"
        assert "hypervisor" in c.run("grep -m1 flags /proc/cpuinfo")
        assert not re.search(r"\bsvm\b|\bvmx\b", c.run("grep -m1 flags /proc/cpuinfo"))


@pytest.mark.parametrize("name, memory", [("alpha", 256), ("beta", 192)])
def test_nothing_else_is_there(machine, name, memory):
    """One CPU, its own RAM, no device but the host bridge; behind its RAM is nothing."""
    with machine.console(name) as c:
        at_prompt(c)
        assert c.run("ls -d /sys/devices/system/cpu/cpu[0-9]*").split() == [
            "/sys/devices/system/cpu/cpu0"]
        assert c.run("ls /sys/bus/pci/devices").split() == ["0000:00:00.0"]
        ram = [[int(x, 16) for x in r] for r in re.findall(
            r"(\w+)-(\w+) : System RAM", c.run("grep 'System RAM' /proc/iomem"))]
        assert ram and memory - 2 < sum(end + 1 - start for start, end in ram) / 2**20 <= memory
        top = max(end for _, end in ram) + 1
        assert top <= memory << 20
        for at in (memory << 20, 320 << 20, 512 << 20, 2 << 30):  # others' RAM, were it the machine's
            assert c.run(f"devmem {at:#x}").strip() == "0xFFFFFFFF", hex(at)


def test_clock(machine):
    """KVM's clock is in use, and the date is today's."""
    import datetime
    with machine.console("alpha") as c:
        at_prompt(c)
        assert c.run("cat /sys/devices/system/clocksource/clocksource0/current_clocksource"
                     ).strip() == "kvm-clock"
        seconds = int(c.run("date -u +%s").strip())
    assert abs(seconds - datetime.datetime.now().timestamp()) < 120


def test_guests_sleep(machine):
    """Idle guests halt: a second's sleep is a second, and few exits."""
    with machine.console("alpha") as c:
        at_prompt(c)
        out = c.run("cut -d' ' -f1 /proc/uptime; sleep 2; cut -d' ' -f1 /proc/uptime").split()
        assert 1.9 < float(out[1]) - float(out[0]) < 10


def test_long_output(machine):
    with machine.console("alpha") as c:
        at_prompt(c)
        lines = c.run("seq 1 3000", timeout=120).split()
    assert lines[-1] == "3000" and len(lines) == 3000


def test_no_errors_in_the_kernels_log(machine):
    with machine.console("beta") as c:
        at_prompt(c)
        text = c.run("dmesg | grep -ciE 'BUG:|Call Trace|general protection|soft lockup|unchecked MSR' ")
    assert text.strip() == "0"


def test_gnumach(machine):
    machine.command("start mach")
    with machine.console("mach") as c:
        c.expect(r"GNU Mach", 60)
        c.expect(r"[Nn]o bootstrap", 60)


def test_crash_of_one(machine):
    before = int(machine.vms()["alpha"]["exits"])
    with machine.console("beta") as c:
        at_prompt(c)
        c.send("echo c > /proc/sysrq-trigger\r")
        c.expect(r"Kernel panic", 60)
    with machine.console("alpha") as c:
        at_prompt(c)
        assert c.run("echo alive").strip() == "alive"
    assert machine.state("alpha").startswith("running")
    assert int(machine.vms()["alpha"]["exits"]) >= before
    machine.command("reset beta")
    wait_userspace(machine, "beta")


def test_reboot_from_inside(machine):
    """on_reboot: alpha begins again, beta stays stopped."""
    with machine.console("alpha") as c:
        at_prompt(c)
        c.send("reboot -f\r")
        c.expect(r"guest alpha up", 180)
    with machine.console("beta") as c:
        at_prompt(c)
        c.send("reboot -f\r")
    machine.wait_state("beta", "stopped .*reset by the guest", 60)


def test_poweroff_from_inside(machine):
    with machine.console("alpha") as c:
        at_prompt(c)
        c.send("poweroff -f\r")
    machine.wait_state("alpha", "powered off", 60)
    machine.command("start alpha")
    wait_userspace(machine, "alpha")
