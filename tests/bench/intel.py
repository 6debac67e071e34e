"""What an exit costs on VT-x: tests/guests/exitcost.c on Bochs' Haswell.

Two measurements in one run. With one CPU Bochs' TSC moves by one at every
instruction, so that the guest's own figures are instructions there too. And
Bochs' debugger writes down every instruction of a few exits of each kind: whose
they are, by address, as the QEMU plugin (count.c) says it for AMD-V.
"""

import re
import shutil
import sys

import machine as m

sys.path.insert(0, str(m.ROOT / "tests/system"))

WARM, TRACED = 50, 3  # rounds of a loop before the trace, and in it

# the instruction that exits, in objdump's words -> the exits' names, in the guest's order
INSNS = {
    "cpuid": ["cpuid"],
    "vmcall": ["hypercall"],
    "rdmsr": ["rdmsr_apic_base"],
    "wrmsr": ["wrmsr_tsc_adjust"],
    "in (%dx),%al": ["in_pic"],
    "out %al,(%dx)": ["out_port80"],
    "in (%dx),%eax": ["in_pm_timer", "in_cf8"],
    "mov (%rsi),%eax": ["lapic_read", "ioapic_read"],
    "mov %eax,(%rsi)": ["lapic_eoi"],
}
ORDER = ["cpuid", "hypercall", "rdmsr_apic_base", "wrmsr_tsc_adjust", "in_pic", "out_port80",
         "in_pm_timer", "in_cf8", "lapic_read", "lapic_eoi", "ioapic_read"]


def exit_addresses():
    """-> {name: where the guest's loop has the instruction that exits}"""
    text = m.run("objdump", "-d", "--no-show-raw-insn",
                 m.BUILD / "tests/guests/exitcost.elf64")
    names = {insn: list(of) for insn, of in INSNS.items()}
    found = {}
    for address, insn in re.findall(r"mov +%r11,%rdx\n +(\w+):\t(.*)$", text, re.M):
        insn = " ".join(insn.split())
        if names.get(insn):
            found[names[insn].pop(0)] = int(address, 16)
    return found


def debugger(places):
    """The debugger's commands: stop at each place, let it warm up, trace, go on."""
    lines = []
    for i, address in enumerate(places):
        lines += [f"lb {address:#x}"] + ["c"] * WARM + ["trace on"] + ["c"] * TRACED
        lines += ["trace off", f"d {i + 1}"]
    return "\n".join(lines) + "\nc\n"


def traced(log, places):
    """-> {name: Counter of the addresses that one exit executes}, from the debugger's log."""
    inverse = {address: name for name, address in places.items()}
    rounds, now = {}, None
    for line in open(log, errors="replace"):
        t = re.match(r"\(0\)\.\[\d+\] \[0x\w+\] \w{4}:(\w{16}) \(.*?\): ", line)
        if not t:
            continue
        address = int(t[1], 16)
        if address in inverse:
            now = m.collections.Counter()
            rounds.setdefault(inverse[address], []).append(now)
        if now is not None:
            now[address] += 1
    # the shortest whole one: no interrupt came in between
    whole = {name: [r for r in of if len(r) > 50] for name, of in rounds.items()}
    return {name: min(of, key=lambda r: sum(r.values())) for name, of in whole.items() if of}


def exits():
    """-> ({name: the guest's figure}, {name: Counter of addresses of one exit}), or None
    where Bochs is not installed."""
    if not shutil.which("bochs-bin"):
        return None
    import harness
    places = exit_addresses()

    class Machine(harness.Machine):
        def _bochs(self):
            result = super()._bochs()
            (self.dir / "rc").write_text(debugger([places[n] for n in ORDER]))
            return result

    vm = harness.vm("exitcost", cpu=0)
    with Machine(harness.config(vm), ["exitcost.elf"], bed="intel", cpus=1) as bochs:
        bochs.command("start exitcost")
        bochs.wait_state("exitcost", "^(stopped|failed) ", 120)
        with bochs.console("exitcost") as console:
            console.expect(r"(PASS|FAILED) exitcost")
            said = harness.clean(bochs.before)
        figures = {k: int(v) for k, v in re.findall(r"^bench (\w+) (\d+)$", said, re.M)}
        return figures, traced(bochs.dir / "emulator.log", places)


if __name__ == "__main__":
    figures, rounds = exits()
    for name in ORDER:
        print(f"{name:20}{figures.get(name, 0):>6}{sum(rounds.get(name, {}).values()):>6}")
