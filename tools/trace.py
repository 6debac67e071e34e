#!/usr/bin/python3
"""Decodes what `trace VM show` printed, out of a captured console.

Usage: tools/trace.py [--map System.map] [--only REASON] [--summary] [FILE ...]

Each exit in a line: guest time, time since the one before, reason, where, and what it
was in words; then how often each reason and place came, and how far apart. FILE is any
text with traces in it, such as a terminal's log; none: standard input. --map names the
guest's symbols (nm's form). --only shows one reason's exits, --summary none.
"""

import argparse
import bisect
import collections
import re
import sys

HEAD = re.compile(r"trace of (\S+): vCPU (\d+), CPU (\d+), (on|off), (\d+) exits")
PART = re.compile(r"trace of \S+: vCPU ")  # of a long name, it may go on in the next line
EXIT = re.compile(r" *(\d+)\.(\d{9}) (\w+) +([0-9a-f]{16}) ([0-9a-f]{8}) ([0-9a-f]{16})$")

PORTS = [(0x20, 2, "PIC"), (0x40, 4, "PIT"), (0x60, 1, "i8042"), (0x61, 1, "PIT"),
         (0x64, 1, "i8042"), (0x70, 2, "RTC"), (0x80, 1, "POST"), (0x92, 1, "A20"),
         (0xa0, 2, "PIC"), (0xe9, 1, "debug"), (0xf4, 1, "exit"), (0x2f8, 8, "COM2"),
         (0x3f8, 8, "COM1"), (0x4d0, 2, "PIC"), (0x600, 16, "ACPI"), (0xcf8, 8, "PCI")]
MEMORY = [(0xfec00000, 0x1000, "IOAPIC"), (0xfee00000, 0x1000, "LAPIC"),
          (0xfed00000, 0x1000, "HPET")]
MSRS = {0x10: "TSC", 0x1b: "APIC_BASE", 0x3b: "TSC_ADJUST", 0x174: "SYSENTER_CS", 0x277: "PAT",
        0x6e0: "TSC_DEADLINE", 0xc0000080: "EFER", 0xc0000081: "STAR", 0xc0000082: "LSTAR",
        0xc0000100: "FS_BASE", 0xc0000101: "GS_BASE", 0xc0000102: "KERNEL_GS_BASE",
        0x4b564d00: "KVM wall clock", 0x4b564d01: "KVM system time"}
EXCEPTIONS = {1: "#DB", 3: "#BP", 6: "#UD", 8: "#DF", 13: "#GP", 14: "#PF", 17: "#AC", 18: "#MC"}


class Exit:
    def __init__(self, match):
        self.ns = int(match[1]) * 10**9 + int(match[2])
        self.reason = match[3]
        self.rip, self.info, self.rax = (int(match[i], 16) for i in (4, 5, 6))
        self.gap = None  # ns since the one before


class Trace:
    def __init__(self, match):
        self.vm, self.vcpu, self.cpu = match[1], int(match[2]), int(match[3])
        self.total = int(match[5])
        self.exits = []


def parse(lines):
    """The traces in a text, which may hold anything else between and within them."""
    traces, now, part = [], None, ""
    for line in lines:
        line = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", line).rstrip("\r\n")
        line, part = part + line.lstrip() if part else line, ""
        if m := HEAD.search(line):
            now = Trace(m)
            traces.append(now)
        elif PART.search(line):
            part = line + " "
        elif line.endswith("end of trace"):
            now = None
        elif now and (m := EXIT.search(line)):
            now.exits.append(Exit(m))
            if len(now.exits) > 1:
                now.exits[-1].gap = now.exits[-1].ns - now.exits[-2].ns
    return traces


def name_in(table, at):
    for base, size, name in table:
        if base <= at < base + size:
            return f"{name}+{at - base:x}" if size > 1 else name
    return None


def describe(e):
    """The exit's details in words; struct hv_exit has the layout of the first four bytes."""
    if e.reason == "PIO":
        port, size, read = e.info & 0xffff, e.info >> 16 & 0xff, e.info >> 24
        value = "" if read else f" <- {e.rax & ((1 << 8 * size) - 1 if size in (1, 2, 4) else 0):x}"
        name = name_in(PORTS, port) or ("PCI config" if port >> 3 == 0xcf8 >> 3 else "")
        return f"{'in' if read else 'out'} {port:x}/{size} {name}".rstrip() + value
    if e.reason in ("RDMSR", "WRMSR"):
        return f"{e.info:x} {MSRS.get(e.info, '')}".rstrip()
    if e.reason == "NPF":
        return f"gpa ..{e.info:08x} {name_in(MEMORY, e.info) or ''}".rstrip()
    if e.reason == "CR":
        return f"{'to' if e.info >> 8 & 0xff else 'from'} CR{e.info & 0xff}"
    if e.reason == "DR":
        return f"{'to' if e.info >> 8 & 0xff else 'from'} DR{e.info & 0xff}"
    if e.reason == "EXC":
        return EXCEPTIONS.get(e.info & 0xff, f"vector {e.info & 0xff}")
    if e.reason == "HYPERCALL":
        return f"rax {e.rax:x}"
    if e.reason == "CPUID":  # RAX as it asked
        return f"leaf {e.rax & 0xffffffff:x}"
    return ""


def read_symbols(path):
    """nm's lines -> sorted (address, name)."""
    with open(path, encoding="ascii", errors="replace") as f:
        rows = (line.split() for line in f)
        return sorted((int(r[0], 16), r[2]) for r in rows if len(r) == 3)


def place(symbols, rip):
    i = bisect.bisect(symbols, (rip, "\x7f")) - 1
    if i < 0 or rip - symbols[i][0] >= 1 << 20:
        return f"{rip:016x}"
    return f"{symbols[i][1]}+{rip - symbols[i][0]:x}"


def show_time(ns):
    for unit, size in (("s", 10**9), ("ms", 10**6), ("us", 10**3)):
        if ns >= size:
            return f"{ns / size:.1f} {unit}"
    return f"{ns} ns"


def show(trace, symbols, only, summary, out):
    seen = trace.exits
    print(f"{trace.vm}: vCPU {trace.vcpu}, CPU {trace.cpu}: {len(seen)} of {trace.total} exits",
          file=out)
    if not seen:
        return
    for e in seen:
        if summary or (only and e.reason != only):
            continue
        gap = "" if e.gap is None else "+" + show_time(e.gap)
        print(f"{e.ns / 1e9:16.9f} {gap:>10} {e.reason:10} {place(symbols, e.rip):24} "
              f"{describe(e)}".rstrip(), file=out)
    span = seen[-1].ns - seen[0].ns
    rate = (len(seen) - 1) * 10**9 / span if span else 0
    print(f"in {show_time(span)}: {rate:.0f} exits a second", file=out)
    gaps = collections.defaultdict(list)
    for e in seen:
        gaps[e.reason].append(e.gap or 0)
    print(f"{'reason':12} {'count':>7} {'share':>7} {'median gap':>12} {'longest':>10}", file=out)
    for reason, all_gaps in sorted(gaps.items(), key=lambda r: -len(r[1])):
        print(f"{reason:12} {len(all_gaps):7} {100 * len(all_gaps) / len(seen):6.1f}% "
              f"{show_time(sorted(all_gaps)[len(all_gaps) // 2]):>12} "
              f"{show_time(max(all_gaps)):>10}", file=out)
    print("most often", file=out)
    places = collections.Counter((e.reason, place(symbols, e.rip), describe(e).split(" <-")[0])
                                 for e in seen)
    for (reason, where, what), n in places.most_common(8):
        print(f"{n:7} {reason:10} {where:24} {what}".rstrip(), file=out)


def main(argv):
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--map")
    parser.add_argument("--only")
    parser.add_argument("--summary", action="store_true")
    parser.add_argument("files", nargs="*")
    args = parser.parse_args(argv)
    lines = []
    for path in args.files:
        with open(path, encoding="utf-8", errors="replace") as f:
            lines += f.readlines()
    traces = parse(lines if args.files else sys.stdin)
    if not traces:
        print("no trace in it: capture what `trace VM show` prints", file=sys.stderr)
        return 1
    symbols = read_symbols(args.map) if args.map else []
    for trace in traces:
        show(trace, symbols, args.only, args.summary, sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
