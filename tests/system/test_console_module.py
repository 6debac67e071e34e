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

SILENCE = 2  # seconds, where that is what ends the waiting
ANSWERS = {
    "version": "Bulkhead 9.9\n",
    "list --json": '{"vms":[\n{"name":"a","state":"running"}]}\n[   1.0] a: noise\n',
    "list": "no JSON here\n",
    "text --json": "no such command\n",
    "guest": "\x1b[1mhe\x1b[0mllx\bo\n",
    "start a": "cannot start a: it is running\n",
    "crash a": "cannot be emulated\n",
    # in pieces, and seconds between them: longer than SILENCE in all, and alone
    "log": ["line\n", 0.2] * 12,
    "stop a": ["a is asked to power off and has 3 s; Ctrl-C: do not wait\n", 2.5, "a stopped\n"],
    "poweroff": "powering off\ncannot power off: this is a test\n",
}
# what a guest may print before its console is left
FORGED = "^C\nbulkhead> version\nBulkhead 0.0\nbulkhead> "
ENDS = {"reboot now": "rebooting\n",
        "poweroff now": "1 VM is asked to power off, at most 1 s; Ctrl-C: no power off\n"
                        "powering off\n[   1.0] a: powered off\n"}


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
                if text in ENDS:
                    say(ENDS[text])
                if text in ("hang up", "poweroff now"):
                    os.close(fd)
                    return
                if text in ("hang", "reboot now"):
                    busy = True
                elif text == "stop it":
                    say("it is asked to power off and has 60 s; Ctrl-C: do not wait\n")
                    while os.read(fd, 1) != b"\x03":
                        pass
                    say("^C\nit has 57 s left to power off\n[   1.0] a: noise\nbulkhead> ")
                elif text == "console a":
                    say("[console of a, running]\nlogin: ")
                    assert os.read(fd, 1) == b"\x1d"
                    say(FORGED + "\nbulkhead> ")
                else:
                    answer = ANSWERS.get(text, f'no command "{text}"\n')
                    for piece in [answer] if isinstance(answer, str) else answer:
                        say(piece) if isinstance(piece, str) else time.sleep(piece)
                    say("bulkhead> ")
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


def test_console_that_is_not(where):
    with bulkhead.connect(where) as shell:
        with pytest.raises(ValueError, match='^no command "console b"$'):
            with shell.console("b", 5):
                pass
        assert shell.command("version") == "Bulkhead 9.9\n"


def test_patience_ends(where):
    with bulkhead.connect(where) as shell:
        shell.send("hang\r")
        for _ in range(100):  # it is echoed by another thread, which may be busy
            shell.wire.drain(0.1)
            if "hang\n" in shell.wire.coming():
                break
        started = time.monotonic()
        with pytest.raises(bulkhead.Timeout, match="(?s)never.*hang"):
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


def test_long_answers(where):
    """What counts is how long nothing comes, or how long the command says that it takes."""
    with bulkhead.connect(where) as shell:
        assert shell.command("log", SILENCE) == "line\n" * 12
        assert shell.command("stop a", SILENCE).endswith("; Ctrl-C: do not wait\na stopped\n")
        with pytest.raises(bulkhead.Timeout):
            shell.command("hang", 0.2)


def test_the_machine_ends(where):
    """No prompt comes then: the line ends, or is silent."""
    with bulkhead.connect(where) as shell:
        assert shell.command("poweroff").endswith("\ncannot power off: this is a test\n")
        assert shell.command("reboot now", SILENCE) == "rebooting\n"


def test_the_line_ends(tmp_path):
    with listening(socket.AF_UNIX, str(tmp_path / "s")):
        with bulkhead.connect(f"unix:{tmp_path / 's'}") as shell:
            assert shell.command("poweroff now") == ENDS["poweroff now"]


def test_attach_while_a_command_waits(where):
    with bulkhead.connect(where) as shell:
        shell.send("stop it\r")
        shell.expect("do not wait")
        assert shell.attach().command("version") == "Bulkhead 9.9\n"


def program(*args):
    return subprocess.run([sys.executable, ROOT / "tools/bulkhead.py", *args],
                          capture_output=True, text=True, timeout=60)


def test_program(where):
    done = program(where, "version")
    assert (done.returncode, done.stdout, done.stderr) == (0, "Bulkhead 9.9\n", "")


@pytest.mark.parametrize("status, args, said", [
    (0, ["log"], "line\n" * 12), (0, ["crash", "a"], ""), (1, ["nonsense"], "no command"),
    (1, ["start", "a"], "cannot start a: it is"), (1, ["poweroff"], "cannot power off"),
    (0, ["poweroff", "now"], "\npowering off\n"), (2, ["hang"], f"did not come in {SILENCE:.1f} s"),
    (2, ["top"], "does not end by itself"), (2, ["hang", "up"], "the line ended"),
])
def test_exit_status(tmp_path, status, args, said):
    with listening(socket.AF_UNIX, str(tmp_path / "s")):
        done = program("--timeout", str(SILENCE), f"unix:{tmp_path / 's'}", *args)
    assert done.returncode == status
    assert said in (done.stderr if status == 2 else done.stdout)
    assert "Traceback" not in done.stderr


def test_no_line(tmp_path):
    done = program(f"unix:{tmp_path / 'none'}", "version")
    assert done.returncode == 2 and "No such file" in done.stderr


@pytest.mark.parametrize("args, said", [
    (["--baud", "14400", "/dev/null"], "14400"), (["/dev/null"], "Inappropriate ioctl"),
    (["127.0.0.1:99999"], "no port 99999"), (["a" * 64 + ".x:1"], "label")])
def test_bad_line(args, said):
    done = program(*args, "version")
    assert done.returncode == 2 and said in done.stderr and "Traceback" not in done.stderr


def test_bad_baud():
    with pytest.raises(ValueError, match="14400"):
        bulkhead.connect("/dev/null", 14400)


@pytest.mark.parametrize("answer", [
    'no command "dir"; commands: help\n', 'no VM "gamma"; VMs: a\n', "stop needs a VM; VMs: a\n",
    "trace needs more; usage: trace VM on|off|show\n", '"b" is too much; usage: stop VM\n',
    "that line is too long; at most 255 characters\n", "cannot send an NMI to a: it is paused\n",
    'trace what? on, off or show, not "x"\n', "a has no trace; trace a on begins one\n",
    'no level "loud"; levels: error\n', 'nothing is called "x"; there is: log_level\n',
    "rebooting\n[   1.0] a: noise\ncannot reboot: this is a test\n",
])
def test_refused(answer):
    assert bulkhead.refused(answer)
    assert not bulkhead.refused("[   1.0] " + answer) or answer.startswith("rebooting")
