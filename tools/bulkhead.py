"""Drives Bulkhead's shell over its serial line; needs nothing but Python.

    import bulkhead
    with bulkhead.connect("/dev/ttyUSB0") as shell:     # or "unix:/path", "host:port"
        print(shell.command("list"))
        for vm in shell.json("list")["vms"]:
            print(vm["name"], vm["state"])
        with shell.console("alpha") as guest:
            guest.expect("login: ")

connect() takes a serial device or pty (115200 8N1 unless baud= says otherwise), a
Unix socket, or a TCP port such as that of a terminal server. A pattern that does not
come in time raises Timeout, a line that ends raises Closed; both show what did come.
As a program: bulkhead.py [--baud N] LINE COMMAND..., prints the command's output.
"""

import argparse
import codecs
import contextlib
import json
import os
import re
import select
import socket
import sys
import termios
import time
import tty

PROMPT = "bulkhead> "
ESCAPE = "\x1d"  # Ctrl-]


class Timeout(Exception):
    pass


class Closed(Exception):
    pass


def clean(text):
    """What a terminal would show: no escape sequences, no carriage returns, backspaces done."""
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text).replace("\r", "")
    while "\b" in text:
        text = re.sub(r"[^\x08\n]?\x08", "", text, count=1)
    return text


class Line:
    """Bytes to and from a file descriptor, and waiting for patterns in them. before,
    after and match are of the last pattern that came; log gets all that arrives."""

    def __init__(self, fd, log=None):
        self.fd, self.log = fd, log
        self.before, self.after, self.match = "", "", None
        self.closed = False
        self._text = ""
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def send(self, text):
        data = text.encode() if isinstance(text, str) else text
        while data:
            select.select([], [self.fd], [], 10)
            data = data[os.write(self.fd, data):]

    def _read(self, seconds):
        """What has come within that time, added to _text; False: nothing."""
        if self.closed or not select.select([self.fd], [], [], max(seconds, 0))[0]:
            return False
        try:
            data = os.read(self.fd, 65536)
        except BlockingIOError:
            return False
        except OSError:  # a pty's other end is gone
            data = b""
        self.closed = not data
        text = self._decoder.decode(data, self.closed)
        if self.log:
            self.log.write(text)
        self._text += text
        return True

    def expect(self, pattern, timeout=30):
        """Waits for a regular expression, or the first that matches of a list -> its
        number. The earliest place where one matches counts. Timeout and Closed may stand
        in the list, too: then they are answers and not raised."""
        pattern = [pattern] if isinstance(pattern, str) else list(pattern)
        patterns = [re.compile(p, re.S) if isinstance(p, str) else None for p in pattern]
        end = time.monotonic() + timeout
        while True:
            found = [(m.start(), i, m) for i, p in enumerate(patterns)
                     if p and (m := p.search(self._text))]
            if found:
                _, number, self.match = min(found, key=lambda f: f[:2])
                self.before = self._text[:self.match.start()]
                self.after = self.match.group()
                self._text = self._text[self.match.end():]
                return number
            if self.closed:
                if Closed in pattern:
                    return pattern.index(Closed)
                raise Closed(f"the line ended before {pattern!r} came, after:\n{self._tail()}")
            left = end - time.monotonic()
            if not self._read(left) and left <= 0:
                if Timeout in pattern:
                    return pattern.index(Timeout)
                raise Timeout(f"{pattern!r} did not come in {timeout} s, but:\n{self._tail()}")

    def expect_end(self, timeout=60):
        """Waits until the other side hangs up -> what it said until then."""
        end = time.monotonic() + timeout
        while not self.closed:
            if not self._read(end - time.monotonic()) and time.monotonic() > end:
                raise Timeout(f"the line did not end in {timeout} s, but:\n{self._tail()}")
        self.before, self._text = self._text, ""
        return self.before

    def drain(self, seconds=0.1):
        """Reads, into log, what comes within that time; it can still be expected."""
        end = time.monotonic() + seconds
        while self._read(end - time.monotonic()):
            pass

    def _tail(self):
        return clean(self._text)[-2000:]

    def close(self):
        os.close(self.fd)


class Console:
    """A guest's console while it has the focus; see Shell.console()."""

    def __init__(self, shell):
        self.shell = shell

    def expect(self, pattern, timeout=30):
        return self.shell.expect(pattern, timeout)

    def send(self, text):
        self.shell.send(text)

    def run(self, command, prompt=r":~# ", timeout=60):
        """A command in a guest's shell -> its output, without the echo."""
        self.send(command + "\r")
        # the line editor of the guest wraps a long line anywhere
        echo = r"(?:\x1b\[[0-9;]*[A-Za-z]|[\r\n])*".join(map(re.escape, command[-20:]))
        self.expect(echo + r"\r*\n", timeout)
        self.expect(prompt, timeout)
        return clean(self.shell.before).rpartition("\n")[0]


class Shell:
    """Bulkhead's shell on a Line."""

    wire = None  # the Line

    def __init__(self, wire):
        self.wire = wire

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def close(self):
        self.wire.close()

    @property
    def before(self):
        return self.wire.before

    @property
    def match(self):
        return self.wire.match

    def send(self, text):
        self.wire.send(text)

    def expect(self, pattern, timeout=30):
        return self.wire.expect(pattern, timeout)

    def wait_prompt(self, timeout=60):
        self.expect(re.escape(PROMPT), timeout)
        return clean(self.before)

    def attach(self, timeout=10):
        """To the prompt, whatever the line shows: out of a console and of a half line."""
        self.send(ESCAPE)
        time.sleep(0.5)  # longer than the shell waits for a second Ctrl-]
        self.send("\x03")
        self.expect(r"\^C\r*\n" + re.escape(PROMPT), timeout)
        return self

    def command(self, text, timeout=30):
        """Types a command at the prompt -> its output, up to the next prompt. Log lines
        that came meanwhile are in it too."""
        self.send(text + "\r")
        self.expect(re.escape(text[-30:]) + r"\r*\n", timeout)  # of a long line a part is shown
        return self.wait_prompt(timeout)

    def json(self, text, timeout=30):
        """A command with --json -> its value."""
        out = self.command(text + " --json", timeout)
        start = out.find("{")
        if start < 0:
            raise ValueError(out.strip())
        return json.JSONDecoder().raw_decode(out[start:])[0]

    @contextlib.contextmanager
    def console(self, name, timeout=30):
        """The VM's console (scrollback first); Ctrl-] at the end."""
        self.send(f"console {name}\r")
        self.expect(r"\[console of [^\n]*\n", timeout)
        try:
            yield Console(self)
        finally:  # who fails inside must not take the next ones along
            self.send(ESCAPE)
            self.wait_prompt(timeout)


def open_line(where, baud=115200, log=None):
    """A Line to a device's path, "unix:PATH" or "HOST:PORT"."""
    if where.startswith("unix:"):
        s = socket.socket(socket.AF_UNIX)
        s.connect(where[5:])
        return Line(s.detach(), log)
    if re.fullmatch(r"[^/]*:\d+", where):
        host, port = where.rsplit(":", 1)
        return Line(socket.create_connection((host or "localhost", int(port))).detach(), log)
    fd = os.open(where, os.O_RDWR | os.O_NOCTTY)
    tty.setraw(fd)
    mode = termios.tcgetattr(fd)
    mode[4] = mode[5] = getattr(termios, f"B{baud}")
    termios.tcsetattr(fd, termios.TCSANOW, mode)
    return Line(fd, log)


def connect(where, baud=115200, log=None):
    """A Shell at its prompt."""
    shell = Shell(open_line(where, baud, log))
    try:
        return shell.attach()
    except BaseException:
        shell.close()
        raise


def main(argv):
    p = argparse.ArgumentParser(description="Runs one command at Bulkhead's console.")
    p.add_argument("--baud", type=int, default=115200)
    p.add_argument("where", help="serial device, pty, unix:PATH or HOST:PORT")
    p.add_argument("command", nargs=argparse.REMAINDER)
    a = p.parse_args(argv[1:])
    with connect(a.where, a.baud) as shell:
        print(shell.command(" ".join(a.command)), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
