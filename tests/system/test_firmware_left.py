"""What the loader must have seen to when firmware is gone: no device writes to memory any
more, the page that started the other CPUs is scrubbed. Looked at from outside, by QEMU."""

import re
import subprocess

import pytest

from harness import BUILD, LINUX_FILES, Machine, config, vm
from qmp import QMP, Qmp

BUS_MASTER = 4
# One of each kind that firmware drives, on the root bus and behind a bridge.
DEVICES = ["-device", "pcie-root-port,id=rp,chassis=1,addr=4",
           "-device", "e1000e,romfile=,netdev=n1,bus=rp", "-netdev", "user,id=n1",
           "-device", "e1000e,romfile=,netdev=n2,addr=5", "-netdev", "user,id=n2",
           "-device", "nvme,drive=d1,serial=1,addr=6", "-drive", "if=none,id=d1,format=raw,file=disk2",
           "-device", "qemu-xhci,addr=7", "-device", "ahci,addr=8"]


def is_bridge_of_cpu(of_class):
    """Host and ISA bridges keep the bit; PCI bridges do not."""
    return of_class >> 8 == 6 and of_class != 0x604


def masters(qmp):
    return {at: c for at, (c, command) in qmp.pci().items()
            if command & BUS_MASTER and not is_bridge_of_cpu(c)}


@pytest.fixture(scope="module")
def machine():
    # files to load, so that the loader is at work for a while
    text = config(vm("one", kernel="neighbour.elf", autostart=True),
                  vm("two", cpu=2, kernel="vmlinuz", initrd="initrd.img"))
    extra = {"bulkhead/large": bytes(32 << 20)}
    text += vm("three", cpu=3, kernel="large")
    with Machine(text, LINUX_FILES + ["neighbour.elf"], qemu_args=QMP + DEVICES, wait=False,
                 extra=extra, memory=512, before=lambda d: (d / "disk2").write_bytes(
                     bytes(1 << 20))) as m:
        m.qmp = Qmp(m)
        m.expect(r"Press any key now", 60)
        m.qmp.execute("stop")
        m.early = masters(m.qmp)
        m.qmp.execute("cont")
        m.wait_prompt()
        m.wait_state("one", "running")
        yield m


def test_bus_masters_are_stopped(machine):
    """Firmware had them on when the loader began."""
    classes = set(machine.early.values())
    assert {0x106, 0x604} <= classes and len(machine.early) >= 4, machine.early
    now = machine.qmp.pci()
    assert set(machine.early) <= set(now)
    assert {0x106, 0x108, 0x200, 0x604, 0xc03} <= {c for c, _ in now.values()}, now
    assert masters(machine.qmp) == {}


def test_trampoline_is_scrubbed(machine):
    """Its code is in the kernel's image, and nowhere below 1 MiB."""
    symbols = subprocess.run(["nm", BUILD / "kernel.elf"], check=True, capture_output=True,
                             text=True).stdout
    at = {name: int(value, 16) for value, name in
          re.findall(r"^(\w+) \w (trampoline_start|trampoline_end)$", symbols, re.M)}
    subprocess.run(["objcopy", "-O", "binary", "-j", ".rodata", BUILD / "kernel.elf",
                    machine.dir / "rodata"], check=True)
    headers = subprocess.run(["objdump", "-h", BUILD / "kernel.elf"], check=True,
                             capture_output=True, text=True).stdout
    base = int(re.search(r" \.rodata +\w+ +(\w+)", headers)[1], 16)
    code = (machine.dir / "rodata").read_bytes()[at["trampoline_start"] - base:][:32]
    assert len(set(code)) > 8
    all_memory = machine.qmp.memory(0, 512 << 20)
    assert all_memory.find(code, 1 << 20) > 0
    assert code not in all_memory[:1 << 20]
