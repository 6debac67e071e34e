"""What takes long (make test-long): two Debian guests at once on VT-x, GNU Mach,
newer Intel processors with the bare guests; a kernel that is fetched for this alone."""

import re

import pytest

from harness import LINUX_FILES, Machine, at_prompt, config, linux, vm

pytestmark = pytest.mark.long

BARE = ["hello", "cpuid", "msrs", "fpu", "exceptions", "mmio", "interrupts", "pae"]


@pytest.fixture(scope="module", params=["intel"])
def machine(request):
    mach = vm("mach", cpu=3, memory="64M", kernel="gnumach", cmdline="console=com0",
              debug_exit=False)
    text = config(linux("alpha", 1, "128M"), linux("beta", 2, "128M"), mach)
    with Machine(text, LINUX_FILES + ["gnumach"], bed=request.param, life=3600) as m:
        yield m


def test_two_debians(machine):
    for name in ("alpha", "beta"):
        with machine.console(name) as c:
            c.expect(rf"guest {name} up", 600)
            at_prompt(c, rf"{name}:~# ", 60)
    for name in ("alpha", "beta"):
        with machine.console(name) as c:
            at_prompt(c)
            assert c.run("hostname").strip() == name
            assert c.run("seq 1 300 | wc -l").strip() == "300"


def test_crash_of_one(machine):
    with machine.console("beta") as c:
        at_prompt(c)
        c.send("echo c > /proc/sysrq-trigger\r")
        c.expect(r"Kernel panic", 60)
    with machine.console("alpha") as c:
        at_prompt(c)
        assert c.run("echo alive").strip() == "alive"


def test_gnumach(machine):
    """32-bit code with paging, segments and a TSS."""
    machine.command("start mach")
    with machine.console("mach") as c:
        c.expect(r"GNU Mach", 120)
        c.expect(r"[Nn]o bootstrap", 120)


def test_poweroff_from_inside(machine):
    with machine.console("alpha") as c:
        at_prompt(c)
        c.send("poweroff -f\r")
    machine.wait_state("alpha", "powered off", 60)


@pytest.fixture(scope="module")
def newer(request):
    vms = [vm(name, cpu=i + 1, memory="16M", cmdline="strict coarse")
           for i, name in enumerate(BARE)]
    with Machine(config(*vms), [f"{n}.elf" for n in BARE], bed="intel", model=request.param,
                 cpus=len(BARE) + 1, life=2400) as m:
        yield m


@pytest.mark.parametrize("newer", ["skylake_x", "icelake_u"], indirect=True,
                         ids=["intel-skylake_x", "intel-icelake_u"])
@pytest.mark.parametrize("name", BARE)
def test_newer(newer, name):
    newer.command(f"start {name}")
    row = newer.wait_state(name, r"^(stopped|failed) ", 150)
    if not re.search(r"exit 0x10\b", row["reason"]):
        with newer.console(name):
            newer.show_tail()
        pytest.fail(f"{name}: {row}")


def test_watchdog_of_a_stock_kernel():
    """Debian's generic kernel (the cloud kernel has no i6300esb) starts it and keeps it
    quiet; when its daemon is killed the VM starts again."""
    text = config(linux("alpha", 1, "256M", kernel="vmlinuz-generic",
                        initrd="initrd-generic.img", watchdog=True))
    with Machine(text, ["vmlinuz-generic", "initrd-generic.img"]) as m:
        with m.console("alpha") as c:
            c.expect("guest alpha up", 240)
            c.expect(r":~# ", 60)
            assert "insmod" not in c.run("insmod /lib/watchdog.ko; insmod /lib/i6300esb.ko heartbeat=6; ls /dev/watchdog*")
            assert "i6300ESB" in c.run("dmesg | grep i6300")
            c.run("watchdog -T 6 -t 1 /dev/watchdog")
            for _ in range(10):
                c.run("sleep 1")
            assert c.run("cat /sys/class/watchdog/watchdog0/timeout").strip() == "6"
        assert "restarted" not in m.state("alpha")
        with m.console("alpha") as c:
            c.send("kill -9 $(pidof watchdog)\r")
            c.expect("watchdog did not stop", 30)
            c.expect("guest alpha up", 240)
        assert m.command("crash alpha").startswith("its watchdog has expired\nat ")
        assert "restarted" in m.state("alpha")
