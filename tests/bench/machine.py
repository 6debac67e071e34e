"""Runs QEMU with the counting plugin, and reads what it counted.

Everything is made in build/bench: the plugin, the Multiboot program that
starts the kernel (boot.c), the guest's /init, and each run's files.
"""

import collections
import os
import pathlib
import re
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BENCH = ROOT / "tests/bench"
BUILD = ROOT / "build"
OUT = BUILD / "bench"
GUESTS = BUILD / "guests"
PROMPT = "bulkhead> "
LIMIT = 240  # seconds of wall clock for one machine, on a busy computer

# what each kind of instruction is called in the table; objdump's AT&T syntax
SERIALISING = [
    ("wrmsr", r"wrmsr"),
    ("cr3", r"mov .*,%cr3"),
    ("vmload", r"vmload"),
    ("vmsave", r"vmsave"),
    ("tlb", r"invlpg|invpcid|mov .*,%cr4|invlpga"),
    ("gif", r"clgi|stgi"),
    ("other", r"cpuid|iret|lgdt|lidt|ltr|lldt|mov .*,%cr[08]|mov .*,%d[br]|xsetbv|wbinvd|"
              r"(in|out) .*%(al|eax|dx)"),
]


def run(*command, **more):
    return subprocess.run([str(c) for c in command], cwd=ROOT, check=True,
                          stdout=subprocess.PIPE, text=True, **more).stdout


def build():
    """All that a run needs."""
    run("make", "-s", "-j2", "all", "guests", "guests-bare")
    OUT.mkdir(parents=True, exist_ok=True)
    run("gcc", "-std=gnu17", "-O2", "-Wall", "-shared", "-fPIC", "-o", OUT / "count.so",
        BENCH / "count.c")
    run("gcc", "-std=gnu17", "-O2", "-Wall", "-static", "-nostdlib", "-fno-stack-protector",
        "-fno-asynchronous-unwind-tables", "-o", OUT / "init", BENCH / "init.c")
    run("/usr/bin/python3", "tools/mkinitrd.py", OUT / "initrd.img", "/bin/busybox", OUT / "init")
    flags = run("make", "-s", "show-GUEST_CFLAGS").split()
    objects = []
    for source in ("tests/bench/boot.c", "tests/guests/lib.c", "tests/guests/start.S",
                   "boot/ranges.c", "boot/paging.c", "boot/efi_switch.S"):
        objects.append(OUT / (source.replace("/", "_") + ".o"))
        run("gcc", *flags, "-Wno-missing-prototypes", "-c", "-o", objects[-1], source)
    run("ld", "-nostdlib", "-static", "-z", "noexecstack", "--no-warn-rwx-segments",
        "-T", "tests/guests/guest.ld", "-o", OUT / "boot.elf64", *objects)
    run("objcopy", "--strip-debug", "-O", "elf32-i386", OUT / "boot.elf64", OUT / "boot.elf")
    run("gcc", *flags, "-c", "-o", OUT / "compute.o", BENCH / "compute.c")
    run("ld", "-nostdlib", "-static", "-z", "noexecstack", "--no-warn-rwx-segments",
        "-T", "tests/guests/guest.ld", "-o", OUT / "compute.elf64", OUT / "compute.o",
        *(o for o in objects if "guests_" in o.name))
    run("objcopy", "--strip-debug", "-O", "elf32-i386", OUT / "compute.elf64", OUT / "compute.elf")


class Code:
    """The instructions of an ELF file: where, in which function, of which kind."""

    def __init__(self, elf):
        self.kind, self.function, self.text = {}, {}, {}
        name = "?"
        for line in run("objdump", "-d", "--no-show-raw-insn", elf).split("\n"):
            m = re.match(r"([0-9a-f]{16}) <(.*)>:$", line)
            if m:
                name = m[2]
                continue
            m = re.match(r" *([0-9a-f]+):\t(.*)$", line)
            if not m:
                continue
            address = int(m[1], 16)
            self.function[address] = name
            self.text[address] = m[2]
            for kind, pattern in SERIALISING:
                if re.match(pattern, m[2].split("#")[0].strip()):
                    self.kind[address] = kind
                    break
        self.low, self.high = min(self.function), max(self.function) + 16


def vendor_code():
    """[(first address, end)] of what is in arch/svm and arch/vmx, from the linker's map."""
    text = (BUILD / "kernel.elf.map").read_text()
    found = re.findall(r"(0xf\w{15})\s+(0x\w+) build/kernel/arch/(?:svm|vmx)/", text)
    return [(int(a, 16), int(a, 16) + int(size, 16)) for a, size in found]


class Mark:
    """Sums since QEMU's start; places: address -> count since the last tsc or mark."""

    def __init__(self, line):
        self.name, *numbers = line.split()
        self.guest, self.other, self.exits, self.kernel0, self.kernel1, self.monitor = map(
            int, numbers)
        self.places = collections.Counter()


def read_marks(path):
    marks = []
    for line in open(path):
        if line[0] != "+":
            marks.append(Mark(line))
        elif line.endswith("\n"):
            address, count = line[1:].split()
            marks[-1].places[int(address, 16)] += int(count)
    return marks


class Machine:
    """One QEMU, single-threaded, one instruction a nanosecond; COM1 on pipes."""

    cpu = ("EPYC,-rdseed,-sha-ni,-fxsr-opt,-misalignsse,-3dnowprefetch,-osvw,-topoext,"
           "-nrip-save,-xsavec,-rdrand")

    def __init__(self, name, args, cpus=1, memory=512, svm=True, plugin=None):
        self.counts = OUT / (name + ".counts")
        self.counts.unlink(missing_ok=True)
        command = [
            "timeout", "-k", "3", str(LIMIT), "qemu-system-x86_64", "-machine", "q35",
            "-accel", "tcg,thread=single", "-icount", "shift=0,sleep=off",
            "-cpu", self.cpu + (",+svm,+npt" if svm else ",-svm"), "-smp", str(cpus),
            "-m", str(memory), "-nodefaults", "-display", "none", "-no-reboot",
            "-rtc", "base=2024-01-01T00:00:00,clock=vm",
            "-chardev", "stdio,id=com1,signal=off", "-serial", "chardev:com1"]
        if plugin is not None:
            command += ["-plugin", ",".join([str(OUT / "count.so"), f"out={self.counts}"] + plugin)]
        self.text = ""
        self.errors = open(OUT / (name + ".errors"), "w+")
        self.process = subprocess.Popen([str(c) for c in command + args], cwd=ROOT,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=self.errors)
        os.set_blocking(self.process.stdout.fileno(), False)

    def poll(self):
        data = self.process.stdout.read()
        if data:
            self.text += data.decode(errors="replace").replace("\r", "")
        elif self.process.poll() is not None:
            self.errors.seek(0)
            raise RuntimeError("QEMU ended: " + (self.errors.read() or self.text)[-500:])
        else:
            time.sleep(0.02)

    def wait(self, pattern, start=0):
        while not (m := re.search(pattern, self.text[start:])):
            self.poll()
        return start + m.end()

    def wait_counts(self, pattern):
        while not (self.counts.exists() and re.search(pattern, self.counts.read_text(), re.M)):
            self.poll()

    def command(self, text):
        """Typed at the shell's prompt -> what it printed."""
        self.wait(re.escape(PROMPT))
        start = len(self.text)
        self.process.stdin.write(text.encode() + b"\r")
        self.process.stdin.flush()
        end = self.wait(re.escape(text) + r"\n[^\0]*?" + re.escape(PROMPT), start)
        return self.text[start:end]

    def console(self, name):
        """What the VM's console shows, from its scrollback."""
        start = len(self.text)
        self.process.stdin.write(f"console {name}\r".encode())
        self.process.stdin.flush()
        start = self.wait(r"\[console of [^\n]*\n", start)
        end = time.monotonic() + 2
        while time.monotonic() < end:
            self.poll()
        self.process.stdin.write(b"\x1d")
        self.process.stdin.flush()
        end = self.wait(re.escape(PROMPT), start)
        return self.text[start:end]

    def marks(self):
        return read_marks(self.counts)

    def close(self):
        if self.process.poll() is None:
            self.process.terminate()  # timeout(1) passes it on
        self.process.wait()
        self.errors.close()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()


def bulkhead(name, vm, files, kernel, monitor, guest=None, cpus=1):
    """Bulkhead with one VM called a: vm is its configuration, files {path: host file}."""
    toml = "[host]\nconsole = \"com1\"\n[[vm]]\nname = \"a\"\nautostart = true\n" + vm
    config = OUT / (name + ".toml")
    config.write_text(toml + "\0")
    modules = [BUILD / "kernel.stripped", BUILD / "monitor.stripped", BUILD / "kernel.sym", config]
    modules += [f"{host} {path}" for path, host in files.items()]
    plugin = [f"kernel={kernel.low:x}:{kernel.high:x}", f"monitor={monitor.low:x}:{monitor.high:x}",
              f"entry={kernel.low:x}", "linux=1000200"]
    plugin += [f"guest={guest}"] if guest else []
    return Machine(name, ["-kernel", OUT / "boot.elf", "-initrd", ",".join(map(str, modules))],
                   cpus=cpus, plugin=plugin)
