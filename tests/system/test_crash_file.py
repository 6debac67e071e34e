"""The record of a panic on the boot volume, where an older one lies already: the new one takes
its place, but not if the volume is full."""

import re
import subprocess

import pytest

from harness import BUILD, Machine, config, vm

VARIANT = BUILD / "test/BOOTX64.EFI"
OLD = "an older record\n" * 2000


def mtools(command, folder, *args):
    return subprocess.run([command, "-i", f"{folder / 'disk.img'}@@1048576", *args], check=True,
                          capture_output=True, text=True).stdout


def fill(folder):
    free = re.search(r"([\d ]+) bytes free", mtools("mdir", folder, "::/"))[1].replace(" ", "")
    (folder / "filler").write_bytes(b"x" * int(free))
    mtools("mcopy", folder, str(folder / "filler"), "::/filler")


@pytest.mark.parametrize("full", [False, True], ids=["room", "full"])
def test_older_record(full):
    text = config(vm("one", kernel="neighbour.elf", memory="8M"), host='on_panic = "reboot"')
    with Machine(text, ["neighbour.elf"], efi=VARIANT, memory=512, reboot=True,
                 extra={"bulkhead/crash.txt": OLD}, before=fill if full else None) as m:
        m.send("panic null 1\r")
        m.expect("rebooting", 20)
        boot = m.wait_prompt(120)
        assert ("crash.txt cannot be written: the volume is full" in boot) == full
        record = m.command("crash")
        assert "*** PANIC on CPU 1" in record
        m.poweroff()
        left = mtools("mcopy", m.dir, "::/bulkhead/crash.txt", "-")
        assert left == OLD if full else left.strip() in record and "*** PANIC" in left
        assert "crash.new" not in mtools("mdir", m.dir, "-b", "::/bulkhead").lower()
