#!/usr/bin/python3
"""Every `name` in docs/architecture.md must exist: a file of this tree (globs allowed), or
identifiers and numbers that its sources have. What is code of somebody else is in ALIENS.

In docs/security.md every `file: test` must be a test of that file, and so must a name of a test
that stands behind it alone; a guest, a fuzzer and all else must exist.

docs/config.md must have the complaints of the configuration's sources, all of them."""

import fnmatch
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGE = "docs/architecture.md"
TESTS = "docs/security.md"
COMPLAINTS = "docs/config.md"
# Words in `code` that are not ours: instructions, the page's own notation.
ALIENS = set("""code CPUID OUT Shutdown path name NAME PART""".split())
FILE = re.compile(r"[\w.*/{}-]*(/[\w.*{},-]*|\.(c|h|S|py|md|toml|ld|EFI|elf|img))$")


def tracked():
    out = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, text=True,
                         stdout=subprocess.PIPE, check=True).stdout
    return out.split("\n")[:-1]


def words_of(files):
    """All identifiers and numbers of the sources, those of this script and the page aside."""
    words = set()
    for name in files:
        path = ROOT / name
        if name.startswith("docs/") or path.samefile(__file__) or not path.is_file():
            continue
        words.update(re.findall(r"\w+", path.read_text(encoding="utf-8", errors="replace")))
    return words


def file_exists(name, files):
    """As a path or a glob, from the root or (a bare name) in any folder; or what the build makes."""
    if name.startswith("build/") or name == "BOOTX64.EFI":
        return True
    if name.endswith("/"):
        return any(f.startswith(name) for f in files)
    match = pathlib.PurePath(name)
    return any(pathlib.PurePath(f).match(name) or f.startswith(name + "/") for f in files) \
        or bool(match.parts and (ROOT / name).is_dir())


def word_exists(word, words):
    if word in words or word in ALIENS:
        return True
    if re.fullmatch(r"0x[0-9a-f]+", word):  # with a suffix, or in other letters
        value = int(word, 16)
        return any(re.fullmatch(r"0x[0-9a-fA-F]+[uUlL]*", w) and
                   int(w.rstrip("uUlL"), 16) == value for w in words)
    # a column of enumerators whose prefix stands in the table's head: `ABI_UP_` + `EVENT`
    return any(w.endswith("_" + word) for w in words) if word.isupper() else False


def defines(path, name):
    """Is there a function of that name (a glob) in the file?"""
    text = (ROOT / path).read_text()
    names = re.findall(r"^def (\w+)|^(?:static )?(?:\w+ \**)+(\w+)\(", text, re.M)
    return any(fnmatch.fnmatch(a or b, name) for a, b in names)


def check_tests(files, words):
    """-> what is wrong with the names in TESTS, how many there are"""
    text = re.sub(r"```.*?```", "", (ROOT / TESTS).read_text(), flags=re.S)
    bad, pairs, current = [], 0, []
    for code in re.findall(r"`([^`]+)`", text):
        code = " ".join(code.split())
        m = re.fullmatch(r"(test_[\w*]+\.(?:c|py))(?:: (\w+\*?))?", code)
        if m:
            current = [f for f in files if fnmatch.fnmatch(pathlib.PurePath(f).name, m[1])
                       and f.startswith("tests/")]
            pairs += 1
            if not current or m[2] and not any(defines(f, m[2]) for f in current):
                bad.append(f"{TESTS}: no such test: {code}")
        elif re.fullmatch(r"test_\w+\*?|[a-z0-9]+(_[a-z0-9]+){2,}", code):
            pairs += 1
            if not any(defines(f, code) for f in current):
                bad.append(f"{TESTS}: no such test in {current}: {code}")
        elif code not in ("file: test", "lint: layering"):
            for word in re.findall(r"[A-Za-z_]\w+\*?", code):
                if not fnmatch.filter(words, word) and not word_exists(word, words) and \
                        not file_exists(word, files):
                    bad.append(f"{TESTS}: nowhere in the tree: {word} (in `{code}`)")
    return bad, pairs


def check_complaints():
    """-> which complaints are not in COMPLAINTS, how many there are: of each, its first words that
    do not vary must be there."""
    page = (ROOT / COMPLAINTS).read_text().partition("| complaint |")[2]
    bad, count = [], 0
    for path in sorted([*ROOT.glob("kernel/config*.c"), *ROOT.glob("kernel/toml*.c")]):
        for call in re.findall(r'\b(?:config_complain|toml_fail|complain)\([^"]*?'
                               r'((?:"(?:\\.|[^"\\])*"\s*)+)', path.read_text()):
            text = re.sub(r'"\s*"', "", call).strip()[1:-1]
            text = re.sub(r"\\(.)", r"\1", text)
            parts = [part.strip(" '\"") for part in re.split(r"[:,(;]|%[.*\w]*?[cdusxX]", text)]
            words = next((part for part in parts if len(part) > 6), "")
            words = re.sub(r".*(are not used here)", r"\1", words)
            count += bool(words)
            if words not in page:
                bad.append(f"{COMPLAINTS}: no word of {path.name}'s complaint: {text}")
    return bad, count


def main():
    files = tracked()
    words = words_of(files)
    bad = []
    text = re.sub(r"```.*?```", lambda m: "\n" * m[0].count("\n"), (ROOT / PAGE).read_text(),
                  flags=re.S)
    names = 0
    for number, line in enumerate(text.split("\n"), 1):
        for code in re.findall(r"`([^`]+)`", line):
            for part in re.split(r"[\s,:=]+|->", code):
                names += 1
                if FILE.fullmatch(part) and part != "//":
                    if not file_exists(part, files):
                        bad.append(f"{PAGE}:{number}: no such file: {part}")
                    continue
                for word in re.findall(r"\w+", part):
                    if not word_exists(word, words):
                        bad.append(f"{PAGE}:{number}: nowhere in the tree: {word} (in `{code}`)")
    wrong, tests = check_tests(files, words)
    missing, complaints = check_complaints()
    bad += wrong + missing
    print("\n".join(bad) if bad else f"{names} names, {tests} tests, {complaints} complaints")
    return 1 if bad or names < 100 or tests < 100 or complaints < 50 else 0


sys.exit(main())
