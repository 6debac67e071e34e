#!/usr/bin/python3
"""Writes the kernel's symbol table for kernel/symbols.h from an ELF file's functions.

Usage: symtab.py KERNEL_ELF OUT

Format (little endian u32): magic "SYMS", count, names_size, then count offsets
from KERNEL_BASE in rising order, count offsets into the names, the names
(NUL-terminated).
"""
import os
import struct
import subprocess
import sys

KERNEL_BASE = 0xFFFFFFFF80000000


def main():
    elf, out = sys.argv[1:]
    text = subprocess.run(["nm", "--defined-only", elf], check=True,
                          capture_output=True, text=True).stdout
    symbols = {}
    for line in text.splitlines():
        address, kind, name = line.split(maxsplit=2)
        offset = int(address, 16) - KERNEL_BASE
        if kind not in "tTwW" or not 0 <= offset < 1 << 32 or name.startswith((".", "$")):
            continue
        # of several names for one address the plainest wins
        if offset not in symbols or (name.startswith("_"), name) < (
                symbols[offset].startswith("_"), symbols[offset]):
            symbols[offset] = name
    offsets = sorted(symbols)
    names = bytearray()
    positions = []
    for offset in offsets:
        positions.append(len(names))
        names += symbols[offset].encode() + b"\0"
    with open(out + ".new", "wb") as f:
        f.write(b"SYMS" + struct.pack("<II", len(offsets), len(names)))
        f.write(struct.pack("<%dI" % len(offsets), *offsets))
        f.write(struct.pack("<%dI" % len(offsets), *positions))
        f.write(names)
    os.replace(out + ".new", out)


if __name__ == "__main__":
    main()
