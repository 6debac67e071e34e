"""Python's tomllib beside fuzz_toml: reads documents with what our reader made of them.

Each is "<bytes of document> <bytes of JSON>\\n", then both; no JSON: it was refused,
for a reason that is not of our subset. An empty line asks for an answer about all
since the last one, a line: "same", or what is not the same first.
"""

import json
import sys
import tomllib


def peer(document):
    try:
        return tomllib.loads(document.decode())
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError):
        return None


def judge(document, ours):
    theirs = peer(document)
    if not ours:
        return "same" if theirs is None else "refused, but tomllib takes it"
    if theirs is None:
        return "taken, but tomllib refuses it"
    # sorted text: true is not 1 there
    if json.dumps(json.loads(ours), sort_keys=True) != json.dumps(theirs, sort_keys=True):
        return f"ours: {ours.decode()} tomllib: {theirs}"
    return "same"


def main():
    sys.stdout.reconfigure(errors="backslashreplace")
    read, write = sys.stdin.buffer, sys.stdout
    answer = "same"
    while line := read.readline():
        if line == b"\n":
            print(answer.replace("\n", " "), file=write, flush=True)
            answer = "same"
            continue
        document, ours = (read.read(int(n)) for n in line.split())
        judgement = judge(document, ours)
        if answer == "same" and judgement != "same":
            answer = f"{judgement[:2000]}, hex: {document.hex()}"


main()
