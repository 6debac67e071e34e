"""What an exit costs on VT-x: the same guest on Bochs' Haswell.

Bochs has no way to count instructions one address at a time. But with one CPU
its TSC moves by one at every instruction, VM entry and exit not counted, and
so the guest's own figures (tests/guests/exitcost.c) are instructions there,
too.
"""

import re
import shutil
import sys

import machine as m

sys.path.insert(0, str(m.ROOT / "tests/system"))


def exits():
    """-> {name: ticks for one exit}; None where Bochs is not installed."""
    if not shutil.which("bochs-bin"):
        return None
    import harness  # needs pexpect
    vm = harness.vm("exitcost", cpu=0)
    with harness.Machine(harness.config(vm), ["exitcost.elf"], bed="intel", cpus=1) as bochs:
        bochs.command("start exitcost")
        bochs.wait_state("exitcost", "^(stopped|failed) ", 120)
        with bochs.console("exitcost") as console:
            console.expect(r"(PASS|FAILED) exitcost")
            said = harness.clean(bochs.before)
    return {k: int(v) for k, v in re.findall(r"^bench (\w+) (\d+)$", said, re.M)}


if __name__ == "__main__":
    for name, ticks in exits().items():
        print(f"{name:20}{ticks:>6}")
