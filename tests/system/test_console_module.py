"""tools/bulkhead.py against a shell that this file plays: no emulator."""

import os
import pty
import socket
import subprocess
import sys
import threading
import time
import tty

import pytest

from harness import ROOT, bulkhead

ANSWERS = {
    "version": "Bulkhead 9.9\n",
    "list --json": '{"vms":[\n{"name":"a","state":"running"}]}\n[   1.0] a: noise\n',
    "list": "no JSON here\n",
    "text --json": "no such command\n",
    "guest": "\x1b[1mhe\x1b[0mllx\bo\n",
}


def play(fd):
    """Echoes and answers as kernel/shell.c does, until the other end is gone."""
    line, busy = b"", False

    def say(text):
        os.write(fd, text.replace("\n", "\r\n").encode())

    try:
        while data := os.read(fd, 1):
            if data == b"\x1d":
                busy = False
            elif data == b"\x03":
                say("^C\nbulkhead> ")
                line = b""
            elif data == b"\r":
                say("\n")
                text = line.decode()
                line = b""
                if text == "hang up":
                    os.close(fd)
                    return
                if text == "hang":
                    busy = True
                elif text.startswith("console"):
                    say("[console of a, running]\nlogin: ")
                    assert os.read(fd, 1) == b"\x1d"
                    say("\nbulkhead> ")
                else:
                    say(ANSWERS.get(text, f'no command "{text}"\n') + "bulkhead> ")
            elif not busy:
                line += data
                os.write(fd, data)
    except OSError:
        pass


def listening(family, address):
    server = socket.socket(family)
    server.bind(address)
    server.listen(1)
    threading.Thread(target=lambda: play(server.accept()[0].detach()), daemon=True).start()
    return server


@pytest.fixture(params=["unix", "tcp", "pty"])
def where(request, tmp_path):
    if request.param == "pty":
        master, slave = pty.openpty()
        tty.setraw(slave)
        threading.Thread(target=play, args=(master,), daemon=True).start()
        yield os.ttyname(slave)
        os.close(slave)
    elif request.param == "unix":
        with listening(socket.AF_UNIX, str(tmp_path / "s")):
            yield f"unix:{tmp_path / 's'}"
    else:
        with listening(socket.AF_INET, ("127.0.0.1", 0)) as s:
            yield f"127.0.0.1:{s.getsockname()[1]}"


def test_talk(where):
    with bulkhead.connect(where) as shell:
        assert shell.command("version") == "Bulkhead 9.9\n"
        assert shell.json("list") == {"vms": [{"name": "a", "state": "running"}]}
        with pytest.raises(ValueError, match="no such command"):
            shell.json("text")
        assert shell.command("guest") == "hello\n"
        with shell.console("a") as guest:
            guest.expect("login: ")
        assert shell.command("version") == "Bulkhead 9.9\n"


def test_patience_ends(where):
    with bulkhead.connect(where) as shell:
        started = time.monotonic()
        with pytest.raises(bulkhead.Timeout, match="(?s)never.*hang"):
            shell.send("hang\r")
            shell.expect("never", timeout=0.3)
        assert 0.3 <= time.monotonic() - started < 5
        assert shell.expect(["never", bulkhead.Timeout], timeout=0.1) == 1
        assert shell.expect(["never", "ang"], timeout=0.1) == 1  # nothing was lost


def test_end(tmp_path):
    with listening(socket.AF_UNIX, str(tmp_path / "s")):
        with bulkhead.connect(f"unix:{tmp_path / 's'}") as shell:
            shell.send("hang up\r")
            with pytest.raises(bulkhead.Closed):
                shell.wait_prompt()
            assert shell.expect(["never", bulkhead.Closed]) == 1
            assert shell.wire.expect_end() == "hang up\r\n"


def test_program(where):
    out = subprocess.run([sys.executable, ROOT / "tools/bulkhead.py", where, "version"],
                         check=True, capture_output=True, text=True, timeout=60).stdout
    assert out == "Bulkhead 9.9\n"
