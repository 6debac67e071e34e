#!/usr/bin/python3
"""Who may include whom (docs/architecture.md, "Folders"): arch < kernel <
drivers < boot, a folder sees itself and those to its left; vmm sees itself and
kernel/abi.h; tests see all. Assembly and .incbin count too."""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
SEES = {
    "arch": ["arch"],
    "kernel": ["arch", "kernel"],
    "drivers": ["arch", "kernel", "drivers"],
    "boot": ["arch", "kernel", "drivers", "boot"],
    "vmm": ["vmm", "kernel/abi.h"],
}

wrong = 0
for folder, sees in SEES.items():
    for path in sorted((ROOT / folder).rglob("*.[chS]")):
        for number, line in enumerate(path.read_text().split("\n"), 1):
            m = re.match(r'\s*#\s*include\s+"([^"]+)"', line)
            if not m:
                continue
            what = m[1]
            if what.split("/")[0] in sees and "/" in what or what in sees:
                continue
            print(f'{path.relative_to(ROOT)}:{number}: {folder}/ must not include "{what}"')
            wrong += 1
sys.exit(wrong > 0)
