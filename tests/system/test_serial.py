"""Serial ports other than COM1 by its interrupt: other ports, no interrupt, the wrong one,
nothing there, and one that never takes a byte. The VMs start in any case. And what is
pasted into a guest, faster than it reads."""

import fcntl
import os
import re
import time

import pytest

from harness import Machine, config, seconds, vm
from qmp import QMP, Qmp

VMS = [vm("one", cpu=1, kernel="neighbour.elf", memory="8M", autostart=True)]
MEMORY = 256


def start(console, device, **more):
    text = config(*VMS).replace('"com1"', f'"{console}"')
    return Machine(text, ["neighbour.elf"], memory=MEMORY, cpus=2,
                   serial=["-device", f"isa-serial,chardev=com1,{device}"] if device else
                   ["-serial", "chardev:com1"], **more)


@pytest.mark.parametrize("console, device, polled", [
    ("com2", "index=1", False),
    ("com3", "index=2", False),
    ("com4", "index=3", False),
    ("io:0x2f8", "index=1", False),
    ("io:0x5e0", "iobase=0x5e0,irq=5", True),
    ("com1", "iobase=0x3f8,irq=5", True),  # its interrupt goes where nobody looks
], ids=["com2", "com3", "com4", "port", "no irq", "wrong irq"])
def test_console(console, device, polled):
    with start(console, device) as m:
        assert ("serial: no interrupt, polled" in m.command("log")) == polled
        m.wait_state("one", "running", 20)
        with m.console("one") as c:
            c.expect(r"ok \d+", 20)
            c.send("q")
            c.expect("PASS neighbour", 20)
        # much of it both ways, at once
        m.send("version\r" * 20)
        for _ in range(20):
            assert "Bulkhead" in m.wait_prompt()


def test_paste_into_slow_guest():
    """The sender has to wait; nothing is lost."""
    text = "".join(chr(ord("!") + i % 93) for i in range(10000))
    a = b = 0
    for c in text:
        a = (a + ord(c)) % 65521
        b = (b + a) % 65521
    reader = vm("one", cpu=1, kernel="reader.elf", memory="8M", autostart=True)
    with Machine(config(reader), ["reader.elf"], memory=MEMORY, cpus=2) as m:
        with m.console("one") as c:
            c.expect("READY reader", 20)
            c.send(text + "\n")
            c.expect(r"(\d+) bytes, sums (\d+) (\d+)\r", 60)
            assert tuple(map(int, m.match.groups())) == (len(text), a, b)


def guest_output(m):
    """What VM one has said, out of the machine's memory: in its scrollback."""
    found = [re.sub(rb"\r", b"", t) for t in
             re.findall(rb"READY neighbour\r?\n(?:ok \d+\r?\n)+", m.qmp.memory(0, MEMORY << 20))]
    return max(found, key=len, default=b"")


def lives(m):
    """VM one starts and goes on, though no console can say so."""
    m.qmp = Qmp(m)
    end = time.monotonic() + seconds(90)
    while not (first := guest_output(m)):
        assert time.monotonic() < end, "VM one has not started"
        time.sleep(0.5)
    while not len(guest_output(m)) > len(first):
        assert time.monotonic() < end, "VM one does not go on"
        time.sleep(0.5)


def test_no_uart():
    with start("com3", None, wait=False, qemu_args=QMP) as m:
        lives(m)


def test_uart_that_takes_nothing():
    """Its FIFO never empties: what QEMU writes to is a pipe that is full already."""
    full = []

    def fill(folder):
        os.mkfifo(folder / "pipe.in")
        os.mkfifo(folder / "pipe.out")
        fd = os.open(folder / "pipe.out", os.O_RDWR | os.O_NONBLOCK)
        full.append(fd)
        fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, 4096)
        with pytest.raises(BlockingIOError):
            while True:
                os.write(fd, b"x")

    args = ["-chardev", "pipe,id=dead,path=pipe",
            "-device", "isa-serial,chardev=dead,iobase=0x2e8,irq=3"]
    try:
        with start("com4", None, wait=False, qemu_args=QMP + args, before=fill) as m:
            lives(m)
            assert os.read(full[0], 65536).strip(b"x") == b""
    finally:
        for fd in full:
            os.close(fd)
