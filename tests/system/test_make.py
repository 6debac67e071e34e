"""What a user types: `make run` with the example configuration, at a terminal."""

import os
import re

import pexpect

from harness import ESCAPE, PROMPT, ROOT, clean, seconds


def test_make_run():
    env = {k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "MFLAGS"))}
    at = pexpect.spawn("timeout", ["--foreground", "-k", "5", str(int(seconds(400))), "make", "run",
                                   "CPUS=3", "MEM=1536"], cwd=ROOT, env=env, encoding="utf-8",
                       codec_errors="replace", timeout=seconds(180))
    try:
        at.expect("COM1 is this terminal")
        at.expect(re.escape(PROMPT))
        log = clean(at.before)
        assert re.search(r"\b3 CPUs: .*AMD-V", log) and re.search(r"memory: 15\d\d MiB", log), log
        assert all(f"VM {name}: CPU" in log for name in ("alpha", "beta"))
        for name in ("alpha", "beta"):
            at.send(f"console {name}\r")
            at.expect(f"guest {name} up: 1 cpu")
            at.send("\r")
            at.expect(rf"{name}:[~/\w]*# ")
            at.send("echo $((6*7))\r")
            at.expect(r"\n42\r*\n")
            at.send(ESCAPE)
            at.expect(re.escape(PROMPT))
        at.send("poweroff\r")
        at.expect(pexpect.EOF)
        at.close()
        assert at.exitstatus == 0
    finally:
        at.close(force=True)
