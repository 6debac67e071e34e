"""The shell in the terminal programs that administrators use, as pyte, a terminal of 80
by 24, shows it: what is edited on the screen is what the shell then does. And the shell
at 9600 baud, on the bed whose UART has a bit rate."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import threading
import time

import pyte
import pytest

from harness import PROMPT, Machine, config, seconds, vm

LEFT, UP, HOME, END = "\x1b[D", "\x1b[A", "\x1b[H", "\x1b[F"
VMS = [vm(name, cpu=cpu, kernel="neighbour.elf", memory="8M")
       for cpu, name in enumerate(["one", "two"], 1)]


class Terminal:
    """A program that has LINE, a serial device, to talk to, on a terminal of its own."""

    def __init__(self, folder, command):
        self.screen = pyte.Screen(80, 24)
        self.stream = pyte.ByteStream(self.screen)
        self.fd, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("4H", 24, 80, 0, 0))
        env = {**os.environ, "TERM": "linux", "HOME": str(folder), "SCREENDIR": str(folder / "screen"),
               "LC_ALL": "C.UTF-8"}
        self.process = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, env=env,
                                        cwd=folder, start_new_session=True,
                                        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        os.close(slave)

    def send(self, text):
        data = text.encode()
        while data:
            self.read(0)
            data = data[os.write(self.fd, data[:64]):]

    def read(self, wait):
        if not select.select([self.fd], [], [], wait)[0]:
            return False
        try:
            self.stream.feed(os.read(self.fd, 65536))
        except OSError:  # the program has ended
            return False
        return True

    def lines(self):
        return [line.rstrip() for line in self.screen.display]

    def row(self):
        """The line in which the cursor is, and where it is in it."""
        return self.lines()[self.screen.cursor.y], self.screen.cursor.x

    def until(self, what, condition, timeout=20):
        end = time.monotonic() + seconds(timeout)
        while not condition():
            assert time.monotonic() < end, what + ", but:\n" + "\n".join(self.lines())
            self.read(0.2)

    def shows(self, text, column=None):
        """Waits until the cursor's line is the prompt and this text."""
        want = (PROMPT + text).rstrip()
        at = len(PROMPT + text) if column is None else len(PROMPT) + column
        self.until(f"{want!r}, cursor at {at}", lambda: self.row() == (want, at))

    def close(self):
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        os.close(self.fd)


def relay(a, b, stop):
    """Bytes from each to the other."""
    while not stop.is_set():
        for fd in select.select([a, b], [], [], 0.1)[0]:
            try:
                data = os.read(fd, 4096)
                while data:
                    data = data[os.write(b if fd == a else a, data):]
            except BlockingIOError:
                continue
            except OSError:
                return


@pytest.fixture(scope="module")
def machine():
    with Machine(config(*VMS), ["neighbour.elf"]) as m:
        yield m


@pytest.fixture
def device(machine):
    """The machine's serial line as a device."""
    master, slave = pty.openpty()
    mode = termios.tcgetattr(slave)
    mode[0] = mode[1] = mode[3] = 0
    termios.tcsetattr(slave, termios.TCSANOW, mode)
    stop = threading.Event()
    thread = threading.Thread(target=relay, args=(machine.socket.fileno(), master, stop))
    thread.start()
    yield os.ttyname(slave)
    stop.set()
    thread.join()
    os.close(master)
    os.close(slave)


def picocom(device, folder):
    return ["picocom", "-q", "-b", "115200", device], "\x01"


def minicom(device, folder):
    (folder / ".minirc.dfl").write_text(
        f"pu port {device}\npu baudrate 115200\npu rtscts No\npu minit\npu mreset\n")
    return ["minicom", "-o", "-D", device, "-b", "115200"], "\x01"


def screen(device, folder):
    (folder / "screen").mkdir(mode=0o700)
    return ["screen", device, "115200"], "\x01a"


@pytest.mark.parametrize("program", [picocom, minicom, screen])
def test_terminal(machine, device, tmp_path, program):
    command, control_a = program(device, tmp_path)
    t = Terminal(tmp_path, command)
    try:
        # until Ctrl-C does not end it but is read; what it says itself comes with the rest
        t.until("raw mode", lambda: not termios.tcgetattr(t.fd)[3] & termios.ICANON)
        time.sleep(0.3)
        t.send("\x03")
        t.shows("")
        # editing in the middle, by arrows and by Ctrl keys, with what is behind moving along
        t.send("stat one" + LEFT * 4)
        t.shows("stat one", 4)
        t.send("s")
        t.shows("stats one", 5)
        t.send(HOME + "\x0b")
        t.shows("")
        t.send("list  --jsn" + LEFT + "o\x05")
        t.shows("list  --json")
        t.send("\x17")
        t.shows("list  ")
        t.send("\x15hel\t")
        t.shows("help ")
        t.send("\r")
        t.until("help", lambda: any(line.startswith("poweroff") for line in t.lines()))
        t.shows("")
        t.send(UP)
        t.shows("help ")
        t.send("\x12li")  # search; nothing has it
        t.until("the search", lambda: '[search "' in t.row()[0])
        t.send("\x07")
        t.shows("help ")
        t.send("\x15s\t\t")  # all that begins so, then the line again
        t.until("the list", lambda: any(re.match(r"start +stop +", line) or "stats" in line
                                        for line in t.lines()))
        t.shows("s")
        # a line longer than the screen: all rows above stay
        t.send("\x15")
        t.shows("")
        above = t.lines()[:t.screen.cursor.y]
        t.send("x" * 200 + HOME)
        t.shows("x" * 68, 0)
        assert t.lines()[:t.screen.cursor.y] == above
        t.send("\x0bversion" + END + "\r")
        t.until("version", lambda: any(line.startswith("Bulkhead ") for line in t.lines()))
        t.shows("")
        # top fits, is drawn in place and leaves on a key
        t.send("top\r")
        t.until("top", lambda: sum(line.startswith("one ") for line in t.lines()) == 1)
        for _ in range(6):
            t.read(0.5)
        assert sum(line.startswith("one ") for line in t.lines()) == 1
        t.send("q")
        t.shows("")
    finally:
        t.close()


def uptime(m):
    return m.json("list")["uptime_ns"] / 1e9


@pytest.mark.long
def test_slow_line_bochs():
    """9600 baud: nothing of a paste is lost, and it takes as long as it must."""
    with Machine(config(*VMS, host="baud = 9600"), ["neighbour.elf"], bed="bochs", cpus=3) as m:
        before = uptime(m)
        m.send("stats two\r" * 20)
        said = 0
        for _ in range(20):
            text = m.wait_prompt()
            assert text.lstrip().startswith("stats two") and "two" in text[9:]
            said += len(text) + len(PROMPT)
        assert uptime(m) - before > said / 960
        m.send("start on\x01\x1b[C\x1b[C\x1b[C\x1b[C\x1b[C\x05e\r")
        assert "one started" in m.wait_prompt()
        with m.console("one") as c:
            c.expect(r"ok \d+", 60)
        m.send("top\r")
        for _ in range(3):
            m.expect("NAME")
        m.send("q")
        m.wait_prompt()
        assert "one stopped" in m.command("stop one")
