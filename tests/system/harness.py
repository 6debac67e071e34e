"""Boots Bulkhead on an emulated machine and talks to it over its serial line.

Three beds: QEMU (TCG, the main one), and Bochs with its ryzen model (a second AMD-V,
with nRIP) or a Haswell (VT-x), both without ACPI tables. Every Machine works in a
folder of its own on copies of everything, ends only processes that it started, and
runs them under timeout(1), so that nothing survives a hung test.

    with Machine(config(vm("a", kernel="hello.elf")), ["hello.elf"]) as m:
        print(m.command("list"))

TEST_TIME_SCALE (a number, default 3: a test that passes does not wait for them) multiplies all
timeouts but those of listen(), which are nothing unusual; with TEST_KEEP=1 the folders
(/tmp/bulkhead-*: disk image, logs) stay.
"""

import contextlib
import os
import pathlib
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))
import bochs  # noqa: E402
import bulkhead  # noqa: E402
from bulkhead import ESCAPE, PROMPT, Closed, Console, Timeout, clean  # noqa: E402,F401

BUILD = ROOT / "build"
GUESTS = BUILD / "guests"
SCALE = float(os.environ.get("TEST_TIME_SCALE", "3"))
OVMF = "/usr/share/ovmf/OVMF.fd"
# what Machine(bed=) may be -> the emulator, its processor
BEDS = {"qemu": ("qemu", None), "bochs": ("bochs", bochs.AMD), "intel": ("bochs", bochs.INTEL)}

machines = []  # those alive, for conftest.py to show when a test fails


def seconds(n):
    """n seconds on a quiet machine."""
    return n * SCALE


def toml_value(value):
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(toml_value(v) for v in value) + "]"
    if isinstance(value, int):
        return str(value)
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def vm(name, cpu=1, memory="32M", kernel=None, autostart=False, debug_exit=True, **more):
    """One [[vm]] table. File names without a slash are in /bulkhead."""
    keys = {"name": name, "cpus": [cpu], "memory": memory, "kernel": kernel or name + ".elf",
            "autostart": autostart, "debug_exit": debug_exit, **more}
    for key in ("kernel", "initrd"):
        if isinstance(keys.get(key), str) and "/" not in keys[key]:
            keys[key] = "/bulkhead/" + keys[key]
    return "[[vm]]\n" + "".join(f"{k} = {toml_value(v)}\n" for k, v in keys.items())


def linux(name, cpu, memory="256M", autostart=True, **more):
    """A Debian guest as boot/bulkhead.toml has it."""
    keys = {"kernel": "vmlinuz", "initrd": "initrd.img", "debug_exit": False,
            "cmdline": f"console=ttyS0 quiet name={name}", "autostart": autostart, **more}
    return vm(name, cpu, memory, **keys)


LINUX_FILES = ["vmlinuz", "initrd.img"]


def config(*vms, host=""):
    return f'[host]\nconsole = "com1"\n{host}\n' + "\n".join(vms)


class Machine(bulkhead.Shell):
    """An emulated machine, and its shell: tools/bulkhead.py does the talking."""

    def __init__(self, text=None, files=(), bed="qemu", cpus=4, memory=2048, efi=None,
                 model=None, qemu_cpu="EPYC,+svm,+npt", qemu_args=(), life=900, wait=True,
                 extra=None, serial=("-serial", "chardev:com1"), before=None,
                 reboot=False):
        """text: bulkhead.toml, None: no such file. files: names in build/guests, put
        into /bulkhead. extra: {path on the ESP: content}. wait: for the first prompt.
        reboot: a reset begins anew (QEMU); else it ends the machine.
        before: called with the machine's folder before the emulator starts.
        serial: how QEMU attaches the chardev com1, which is what this class talks to.
        bed: a name in BEDS; model: Bochs' name of another processor than the bed's."""
        bed, bed_model = BEDS[bed]
        self.model = model or bed_model
        self.bed, self.cpus, self.memory, self.life = bed, cpus, memory, life
        self.qemu_cpu, self.qemu_args = qemu_cpu, list(qemu_args) + list(serial)
        self.qemu_args += [] if reboot else ["-no-reboot"]
        self.efi = pathlib.Path(efi or BUILD / "BOOTX64.EFI")
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="bulkhead-"))
        self.process = self.wire = None
        self.log = open(self.dir / "console.log", "w", encoding="utf-8", errors="replace")
        machines.append(self)
        try:
            self._make_image(text, files, extra or {})
            if before:
                before(self.dir)
            self.start()
            self.boot_log = ""
            if wait:
                self.boot_log = self.wait_prompt()
        except BaseException:
            self.show_tail()
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        if exc[0]:
            self.show_tail()
        self.close()

    # ------------------------------------------------------------ start, end

    def _make_image(self, text, files, extra):
        esp = self.dir / "esp"
        (esp / "EFI/BOOT").mkdir(parents=True)
        (esp / "bulkhead").mkdir()
        shutil.copy(self.efi, esp / "EFI/BOOT/BOOTX64.EFI")
        if text is not None:
            (esp / "bulkhead/bulkhead.toml").write_text(text)
        for name in dict.fromkeys(files):
            shutil.copy(GUESTS / name, esp / "bulkhead" / name)
        for path, content in extra.items():
            to = esp / path.lstrip("/")
            to.parent.mkdir(parents=True, exist_ok=True)
            to.write_bytes(content if isinstance(content, bytes) else content.encode())
        out = subprocess.run([ROOT / "tools/mkimage", esp, self.dir / "disk.img"], check=True,
                             capture_output=True, text=True).stdout
        self.cylinders = int(re.search(r"(\d+) cylinders", out).group(1))
        shutil.rmtree(esp)

    def start(self):
        command, address = self._qemu() if self.bed == "qemu" else self._bochs()
        command = ["timeout", "-k", "5", str(int(seconds(self.life)))] + command
        self.emulator_log = open(self.dir / "emulator.log", "wb")
        self.process = subprocess.Popen(command, cwd=self.dir, stdin=subprocess.PIPE,
                                        stdout=self.emulator_log, stderr=subprocess.STDOUT,
                                        start_new_session=True)
        self.socket = self._connect(address)
        self.wire = bulkhead.Line(self.socket.fileno(), self.log)

    def _connect(self, address):
        end = time.monotonic() + seconds(30)
        while True:
            family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
            s = socket.socket(family)
            try:
                s.connect(address)
                return s
            except OSError:
                s.close()
                if self.process.poll() is not None or time.monotonic() > end:
                    raise RuntimeError("the emulator did not start: " +
                                       (self.dir / "emulator.log").read_text()) from None
                time.sleep(0.05)

    def _qemu(self):
        path = str(self.dir / "com1")
        return ["qemu-system-x86_64", "-machine", "q35", "-accel", "tcg,thread=multi",
                "-cpu", self.qemu_cpu, "-smp", str(self.cpus), "-m", str(self.memory),
                "-bios", OVMF, "-nodefaults", "-display", "none",
                "-drive", "if=none,id=boot,format=raw,file=disk.img",
                "-device", "ide-hd,drive=boot,bus=ide.0",
                "-chardev", f"socket,id=com1,path={path},server=on,wait=on"
                ] + self.qemu_args, path

    def _bochs(self):
        port = bochs.free_port()
        bochs.configure(self.dir, self.cylinders, port, self.model, self.cpus,
                        min(self.memory, 1024), survive=self.model == bochs.AMD)
        return bochs.COMMAND, ("127.0.0.1", port)

    def debugger(self, *commands):
        """Halts Bochs for good and gives its debugger these -> what that says."""
        child = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        os.kill(int(child.read_text()), signal.SIGINT)
        self.process.stdin.write("\n".join([*commands, "q\n"]).encode())
        self.process.stdin.flush()
        self.process.wait(seconds(20))
        text = (self.dir / "emulator.log").read_text(errors="replace")
        return text[text.index("<bochs:"):]

    def close(self):
        if self in machines:
            machines.remove(self)
        if self.process and self.process.poll() is None:
            # the session of its own that start() made: timeout(1) and the emulator
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        if self.wire:
            self.socket.close()
        self.log.close()
        if not os.environ.get("TEST_KEEP"):
            shutil.rmtree(self.dir, ignore_errors=True)

    def tail(self, lines=60):
        with contextlib.suppress(Exception):
            self.wire.drain()  # what has come meanwhile
        self.log.flush()
        text = clean((self.dir / "console.log").read_text(encoding="utf-8", errors="replace"))
        text = "\n".join(text.split("\n")[-lines:])
        if self.process and self.process.poll() is not None:
            text += f"\n--- the emulator ended with {self.process.returncode}\n"
            for name in ("emulator.log", "bochs.log"):
                with contextlib.suppress(FileNotFoundError):
                    said = (self.dir / name).read_text(errors="replace").split("\n")
                    text += "\n".join(l for l in said[-200:] if re.match(
                        r"\d+p\[|qemu(?!.*TCG doesn't support)|.*(exiting|panic|PANIC)", l)) + "\n"
        return text

    def show_tail(self):
        print(f"--- the console's last lines ({self.bed}):\n{self.tail()}\n---")

    # ------------------------------------------------------------------ talk

    def pace(self, timeout):
        """Seconds on this bed."""
        return timeout * (4 if self.bed == "bochs" else 1)

    def patience(self, timeout):
        """The same, on a busy machine."""
        return seconds(self.pace(timeout))

    def expect(self, pattern, timeout=30, **more):
        return super().expect(pattern, self.patience(timeout), **more)

    def listen(self, pattern, timeout, **more):
        """expect() where it is nothing unusual that the time is up."""
        return super().expect(pattern, self.pace(timeout), **more)

    def wait_end(self, timeout=60):
        """Waits until the machine is off -> what it said until then."""
        text = clean(self.wire.expect_end(self.patience(timeout)))
        self.process.wait(seconds(timeout))
        return text

    def poweroff(self):
        self.send("poweroff\r")
        self.wait_end()

    # ------------------------------------------------------------- questions

    def vms(self):
        """The `list` table: {name: {state, reason, cpus, memory, uptime, exits}}."""
        return parse_list(self.command("list"))

    def state(self, name):
        row = self.vms()[name]
        return f"{row['state']} {row['reason']}"

    def wait_state(self, name, pattern, timeout=60):
        """Polls `list` until state and reason match -> the row."""
        end = time.monotonic() + self.patience(timeout)
        while True:
            row = self.vms()[name]
            if re.search(pattern, f"{row['state']} {row['reason']}"):
                return row
            assert time.monotonic() < end, f"{name} is {row}, not {pattern}"
            time.sleep(0.5)

    def written(self, name):
        """Bytes that a guest has written to its console, ever."""
        return int(re.search(r"(\d+) bytes written", self.command(f"info {name}"))[1])

    def wait_written(self, name, count, timeout=60):
        """Polls `info` until they are as many: unlike what the console shows, not what a run
        before this one has said."""
        end = time.monotonic() + self.patience(timeout)
        while self.written(name) < count:
            assert time.monotonic() < end, f"{name} does not write"
            time.sleep(0.1)

    def free_memory(self):
        """KiB in the pool, scrubbed or not."""
        text = self.command("mem")
        return sum(int(re.search(rf"pool: {w} +(\d+)", text).group(1))
                   for w in ("free", "waits for scrubbing"))


def at_prompt(console, prompt=r":~# ", timeout=30):
    """Waits until a guest's shell is at its prompt, and not where the scrollback shows one: it
    has answered a question that was never asked before, which is asked again if it got lost."""
    m, wait = console.shell, 5
    end = time.monotonic() + m.patience(timeout)
    while True:
        a, b = random.randrange(10**7), random.randrange(10**7)
        m.send(f"expr {a} + {b}\r")
        left = end - time.monotonic()
        wait, limit = wait * 2, min(m.pace(wait), left)
        if m.wire.expect([rf"\n{a + b}\r*\n", Timeout], limit) == 0:
            break
        assert left > limit, "no prompt, but:\n" + m.tail()
    m.expect(prompt, timeout)


def parse_list(text):
    """By the columns of the heading; a reason too long for its column follows in
    indented lines."""
    lines = [l for l in text.split("\n") if l.strip() and not l.startswith("[")]
    at = next(i for i, l in enumerate(lines) if l.startswith("NAME"))
    reason = lines[at].index("REASON")
    rows, name = {}, None
    for line in lines[at + 1:]:
        m = re.match(r"(\S*) +(\S+) +(.*?) +([\d,-]+) +(\d+[MG]) +(\S+) +(\d+)$", line)
        if m:
            name = m[1] or name
            rows[name] = dict(zip(("state", "reason", "cpus", "memory", "uptime", "exits"),
                                  m.groups()[1:]))
        elif line.startswith("    ") and name in rows:
            row = rows[name]
            row["reason"] = (row["reason"].replace("(see below)", "") + " " + line.strip()).strip()
        elif reason and re.match(r"\S+$", line):
            name = line.strip()  # a long name has a line of its own
    return rows
