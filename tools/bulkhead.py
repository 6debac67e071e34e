#!/usr/bin/python3
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
As a program: bulkhead.py [--baud N] [--timeout SECONDS] LINE COMMAND... prints the
command's output. It ends with 0; with 1 if the shell refused (see refused()), with 2
if there was no line, no answer in time, or nothing to be done with such a command.
"""

import argparse
import codecs
import contextlib
import json
import os
import re
import secrets
import select
import socket
import sys
import termios
import time
import tty

BAUDS = sorted(int(n[1:]) for n in dir(termios) if re.fullmatch(r"B[1-9]\d*", n))
PROMPT = "bulkhead> "
ESCAPE = "\x1d"  # Ctrl-]
# a command that waits for guests, and for how long it may
WAITS = r"(?:and has|at most) (\d+) s; Ctrl-C: [^\n]*\n"
# the end of the machine: no prompt comes
ENDS = re.compile(r"^(?:powering off|rebooting)$", re.M)
# how an answer begins that says what is wrong with the command, or with doing it now
REFUSALS = re.compile(
    r'cannot (?:start|stop|kill|reset|pause|resume|send an NMI to|dump|trace) \S+: '
    r'|no (?:command|VM|level) "|nothing is called "|that line is too long|trace what\?'
    r'|"[^"]*" is too much; usage: |\S+ needs (?:a VM; |more; usage: )'
    r'|\S+ has no (?:console: |trace; )')


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


def refused(answer):
    """Did the shell refuse that command? The answer's first line says so; that of poweroff
    and reboot a later one."""
    return bool(REFUSALS.match(answer) or
                ENDS.search(answer) and re.search("^cannot (?:power off|reboot): ", answer, re.M))


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

    def expect(self, pattern, timeout=30, quiet=False):
        """Waits for a regular expression, or the first that matches of a list -> its
        number. The earliest place where one matches counts. Timeout and Closed may stand
        in the list, too: then they are answers and not raised. quiet: the time counts
        from the last byte that came."""
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
            if self._read(left):
                end = time.monotonic() + timeout if quiet else end
            elif left <= 0:
                if Timeout in pattern:
                    return pattern.index(Timeout)
                raise Timeout(f"{pattern!r} did not come in {timeout} s, but:\n{self._tail()}")

    def expect_end(self, timeout=60):
        """Waits until the other side hangs up -> what it said until then."""
        end = time.monotonic() + timeout
        while not self.closed:
            if not self._read(end - time.monotonic()) and time.monotonic() > end:
                raise Timeout(f"the line did not end in {timeout} s, but:\n{self._tail()}")
        return self.take()

    def take(self):
        """What has come and was not expected yet: it will not be."""
        self.before, self._text = self._text, ""
        return self.before

    def drain(self, seconds=0.1):
        """Reads, into log, what comes within that time; it can still be expected."""
        end = time.monotonic() + seconds
        while self._read(end - time.monotonic()):
            pass

    def coming(self):
        """What has come and was not expected yet, as a terminal would show it."""
        return clean(self._text)

    def _tail(self):
        return self.coming()[-2000:]

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

    def expect(self, pattern, timeout=30, **more):
        return self.wire.expect(pattern, timeout, **more)

    def wait_prompt(self, timeout=60):
        self.expect(re.escape(PROMPT), timeout)
        return clean(self.before)

    def attach(self, timeout=10):
        """To the prompt, whatever the line shows: out of a console, of a half line, and of a
        stop, poweroff or reboot that is being waited for, as by Ctrl-C."""
        self.send(ESCAPE)
        self.wire.drain(0.5)  # longer than the shell waits for a second Ctrl-]
        self.wire.take()
        self.send("\x03")
        self.expect(r"\^C\r*\n.*?" + re.escape(PROMPT), timeout)  # the log may come between
        return self

    def command(self, text, timeout=30):
        """Types a command at the prompt -> its output, up to the next prompt. Log lines
        that came meanwhile are in it too. timeout: seconds in which nothing comes; beside
        those for which the command says itself that it may wait. Of poweroff and reboot
        the output ends with the line, or with that silence."""
        self.send(text + "\r")
        self.expect(re.escape(text[-30:]) + r"\r*\n", timeout)  # of a long line a part is shown
        prompt, said = re.escape(PROMPT), ""
        try:
            if self.expect([prompt, WAITS], timeout, quiet=True) == 1:
                said = self.before + self.wire.after
                self.expect(prompt, timeout + int(self.match.group(1)), quiet=True)
            return clean(said + self.before)
        except (Closed, Timeout):
            if not ENDS.search(self.wire.coming()):
                raise
            return clean(said + self.wire.take())

    def json(self, text, timeout=30):
        """A command with --json -> its value."""
        out = self.command(text + " --json", timeout)
        start = re.search(r"[\[{]", out)
        if not start:
            raise ValueError(out.strip())
        return json.JSONDecoder().raw_decode(out[start.start():])[0]

    @contextlib.contextmanager
    def console(self, name, timeout=30):
        """The VM's console (scrollback first); Ctrl-] at the end. ValueError: there is none."""
        self.send(f"console {name}\r")
        self.expect(re.escape(name) + r"\r*\n", timeout)
        said = r"\[console of [^\n]*(?:\n    [^\n]*)?\]\r*\n"  # of a long name, two lines
        if self.expect([re.escape(PROMPT), said], timeout) == 0:
            raise ValueError(clean(self.before).strip())
        try:
            yield Console(self)
        finally:  # who fails inside must not take the next ones along
            self._leave(timeout)

    def _leave(self, timeout):
        """Out of a console. The guest may print prompts and answers, too: only what comes
        behind a word that it cannot know is the shell's. Ctrl-C: that was no command."""
        word = secrets.token_hex(4)
        self.send(ESCAPE + word + "\x03")
        self.expect(word + r".*?\^C\r*\n.*?" + re.escape(PROMPT), timeout)


def open_line(where, baud=115200, log=None):
    """A Line to a device's path, "unix:PATH" or "HOST:PORT". OSError or ValueError:
    there is none."""
    if where.startswith("unix:"):
        s = socket.socket(socket.AF_UNIX)
        s.connect(where[5:])
        return Line(s.detach(), log)
    if re.fullmatch(r"[^/]*:\d+", where):
        host, port = where.rsplit(":", 1)
        if int(port) > 65535:
            raise ValueError(f"there is no port {port}")
        return Line(socket.create_connection((host or "localhost", int(port))).detach(), log)
    if baud not in BAUDS:
        raise ValueError(f"there is no baud rate {baud}")
    fd = os.open(where, os.O_RDWR | os.O_NOCTTY)
    try:
        tty.setraw(fd)
        mode = termios.tcgetattr(fd)
        mode[4] = mode[5] = getattr(termios, f"B{baud}")
        termios.tcsetattr(fd, termios.TCSANOW, mode)
    except termios.error as e:  # which is no OSError
        os.close(fd)
        raise OSError(*e.args, where) from None
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
    p.add_argument("--baud", type=int, default=115200, choices=BAUDS, metavar="N")
    p.add_argument("--timeout", type=float, default=30, metavar="SECONDS",
                   help="how long nothing may come before the prompt does (default: 30)")
    p.add_argument("where", help="serial device, pty, unix:PATH or HOST:PORT")
    p.add_argument("command", nargs=argparse.REMAINDER)
    a = p.parse_args(argv[1:])
    if a.command[:1] in (["console"], ["top"]):
        p.error(f"{a.command[0]} does not end by itself: it needs a terminal")
    try:
        with connect(a.where, a.baud) as shell:
            answer = shell.command(" ".join(a.command), a.timeout)
    except (Closed, Timeout, OSError, ValueError) as e:
        print(f"{p.prog}: {e}", file=sys.stderr)
        return 2
    print(answer, end="")
    return 1 if refused(answer) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
