"""QEMU's own view of the machine that it emulates, over its QMP socket.

    with Machine(text, files, qemu_args=QMP) as m:
        print(Qmp(m).registers())
"""

import json
import re
import socket
import time

from harness import seconds

QMP = ["-qmp", "unix:qmp,server=on,wait=off"]
ECAM = 0xb0000000  # where OVMF puts the q35's configuration space


class Qmp:
    def __init__(self, m):
        self.dir = m.dir
        self.s = socket.socket(socket.AF_UNIX)
        end = time.monotonic() + seconds(20)
        while True:
            try:
                self.s.connect(str(m.dir / "qmp"))
                break
            except OSError:  # QEMU is not that far yet
                assert time.monotonic() < end, "no QMP"
                time.sleep(0.05)
        self.f = self.s.makefile("rw")
        self.f.readline()
        self.execute("qmp_capabilities")

    def execute(self, command, **arguments):
        self.f.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
        self.f.flush()
        while True:
            answer = json.loads(self.f.readline())
            assert "error" not in answer, answer
            if "return" in answer:
                return answer["return"]

    def monitor(self, line):
        """A command of the human monitor -> what it printed."""
        return self.execute("human-monitor-command", **{"command-line": line})

    def registers(self):
        """(RIP, halted) of each processor."""
        return re.findall(r"RIP=(\w+).*?HLT=(\d)", self.monitor("info registers -a"), re.S)

    def memory(self, base, size):
        """The machine's physical memory, as bytes."""
        self.execute("pmemsave", val=base, size=size, filename="memory.bin")
        return (self.dir / "memory.bin").read_bytes()

    def pci(self):
        """{(bus, slot, function): (class, command register)} of all PCI functions."""
        found = {}

        def walk(devices, on):
            for d in devices:
                at = ECAM + (on << 20 | d["slot"] << 15 | d["function"] << 12)
                text = self.monitor(f"xp /1xw {at + 4:#x}")
                command = int(re.search(r": (0x\w+)", text)[1], 16) & 0xffff
                found[on, d["slot"], d["function"]] = d["class_info"]["class"], command
                below = d.get("pci_bridge", {})
                if below:
                    walk(below.get("devices", []), below["bus"]["secondary"])

        for bus in self.execute("query-pci"):
            walk(bus["devices"], bus["bus"])
        return found
