"""What the configuration reader accepts, Python's tomllib reads the same.

Documents are generated from a fixed seed: valid ones, ones with something
outside the subset, and mutations of both. One helper program (tomldump, under
the sanitizers) reads them all.
"""

import json
import random
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SEED = 20240229


@pytest.fixture(scope="module")
def tomldump(tmp_path_factory):
    program = tmp_path_factory.mktemp("toml") / "tomldump"
    names = ["toml.c", "toml_scalar.c", "config.c", "config_keys.c", "config_check.c", "print.c"]
    sources = ["tests/unit/tomldump.c"] + ["kernel/" + name for name in names]
    subprocess.run(
        ["gcc", "-std=gnu17", "-O1", "-g", "-fsanitize=address,undefined",
         "-fno-sanitize-recover=all", "-I.", *sources, "-o", str(program)],
        cwd=ROOT, check=True)

    def run(documents):
        documents = [d if isinstance(d, bytes) else d.encode() for d in documents]
        data = b"".join(b"%d\n%s" % (len(d), d) for d in documents)
        done = subprocess.run([program], input=data, capture_output=True, timeout=60)
        assert done.returncode == 0, done.stderr.decode(errors="replace")
        lines = done.stdout.split(b"\n")[:-1]
        assert len(lines) == len(documents)
        return [json.loads(line) for line in lines]

    return run


def peer(document):
    """tomllib's tree, or None if it refuses."""
    try:
        return tomllib.loads(document.decode() if isinstance(document, bytes) else document)
    except (UnicodeDecodeError, tomllib.TOMLDecodeError):
        return None


def canonical(value):
    return json.dumps(value, sort_keys=True)  # true is not 1 there


def assert_same(document, result):
    assert result["ok"] == (result["syntax"] == 0)
    if not result["ok"]:
        assert result["errors"], document
        return False
    assert canonical(result["toml"]) == canonical(peer(document)), document
    return True


# ------------------------------------------------------------- generators

CHARS = "abz AZ09_-.,=[]{}#'/\\\t:äß€漢😀"
ESCAPES = ["\\n", "\\t", '\\"', "\\\\", "\\b", "\\f", "\\r", "\\u00e9", "\\U0001F600", "\\u0000"]


def basic(r):
    parts = [r.choice(ESCAPES) if r.random() < 0.2 else r.choice(CHARS).replace("\\", "\\\\")
             for _ in range(r.randrange(12))]
    return '"' + "".join(parts) + '"'


def literal(r):
    return "'" + "".join(r.choice(CHARS) for _ in range(r.randrange(12))).replace("'", "") + "'"


def underscored(r, digits):
    out = digits[0]
    for d in digits[1:]:
        out += ("_" if r.random() < 0.2 else "") + d
    return out


def integer(r):
    n = r.choice([0, 1, 7, 42, r.getrandbits(16), r.getrandbits(63), 2**63 - 1])
    kind = r.randrange(5)
    if kind == 0:
        return "0x" + underscored(r, r.choice(["%x", "%X"]) % n)
    if kind == 1:
        return "0o" + underscored(r, "%o" % n)
    if kind == 2:
        return "0b" + underscored(r, bin(n)[2:])
    if n == 2**63 - 1 and kind == 3:
        return "-9223372036854775808"
    return r.choice(["", "+", "-"]) + underscored(r, str(n))


def scalar(r):
    return r.choice([basic, literal, integer, lambda r: r.choice(["true", "false"])])(r)


def blank(r):
    return r.choice(["", "", " ", "\t", "  "])


def filler(r, nl):
    return "".join(r.choice([" ", "\t", nl, "# ä, ]" + nl]) for _ in range(r.randrange(4)))


def array(r, nl):
    items = [filler(r, nl) + scalar(r) + filler(r, nl) for _ in range(r.randrange(5))]
    comma = "," if items and r.random() < 0.4 else ""
    return "[" + ",".join(items) + comma + filler(r, nl) + "]"


def key(r, n):
    word = r.choice(["a", "key", "0", "-", "_x", "A-b"]) + str(n)
    return r.choice([word, word, '"%s ä"' % word, "'%s.\"'" % word, '"\\u0041%s"' % word])


def end(r, nl):
    return blank(r) + r.choice(["", "", "# comment €", "#"]) + nl


def document(r):
    nl = r.choice(["\n", "\n", "\r\n"])
    out, count = "", 0
    for table in range(r.randrange(4)):
        if table:
            name = blank(r) + key(r, 100 + table) + blank(r)
            if r.random() < 0.5:
                header = "[[" + name + "]]"
                copies = r.randrange(1, 4)
            else:
                header, copies = "[" + name + "]", 1
        else:
            header, copies = None, 1
        for _ in range(copies):
            if header:
                out += blank(r) + header + end(r, nl)
            for _ in range(r.randrange(5)):
                count += 1
                value = array(r, nl) if r.random() < 0.3 else scalar(r)
                out += blank(r) + key(r, count) + blank(r) + "=" + blank(r) + value + end(r, nl)
                if r.random() < 0.2:
                    out += end(r, nl)
    if out and r.random() < 0.3:
        out = out[:-len(nl)]  # no line end at the end of the file
    return out


OUTSIDE = ["x = 1.5", "x = 1e5", "x = -1.0e-3", "x = inf", "x = -nan", "x = 1979-05-27",
           "x = 1979-05-27T07:32:00Z", "x = 07:32:00", "x = {a = 1}", "x = [[1], [2]]",
           "a.b = 1", "[a.b]", "[[a.b]]", 'x = """a"""', "x = '''a'''", 'x = """a\nb"""',
           "x = [{a = 1}]", 'a."b c" = 1', "x = 9223372036854775808", "x = 0xffffffffffffffff"]

BROKEN = ["x", "x =", "x = ,", "= 1", "x = 1 y = 2", "x = 01", "x = 1__0", "x = _1", "x = 1_",
          "x = +0x1", "x = 0X1", "x = 0xg", "x = tru", "x = True", "x = a", "x = 'a", 'x = "a',
          'x = "\\q"', 'x = "\\ud800"', 'x = "\\u12"', 'x = "\\U00110000"', "x = [1 2]", "x = [1,,2]",
          "x = [,]", "x = [1", "[a", "[[a]", "[[a] ]", "[ [a]]", "[]", "[[]]", "[a] b", "x = 1\nx = 2",
          "[a]\n[a]", "[a]\n[[a]]", "[[a]]\n[a]", "a = 1\n[a]", 'a = 1\n"a" = 2', "[a]\nb = 1\n'b' = 1",
          "x = 1\r", "\ra = 1", "# \x01", "x = 'a\x7f'", "x = 'a\rb'", "x = \"a\nb\"", "\ufeffx = 1",
          "x = 1\x0c", "x\n= 1", "x =\n1", '"x\n" = 1', "é = 1", "x = -", "x = +", "x = 0x", "x = 0b2"]


def test_valid_documents_read_the_same(tomldump):
    r = random.Random(SEED)
    documents = [document(r) for _ in range(3000)]
    for text, result in zip(documents, tomldump(documents)):
        assert assert_same(text, result), (text, result["errors"])


def test_outside_the_subset_is_refused_by_name(tomldump):
    documents = OUTSIDE + ["[host]\n" + d for d in OUTSIDE]
    for text, result in zip(documents, tomldump(documents)):
        assert peer(text) is not None, text
        assert not result["ok"], text
        assert len(result["errors"]) >= 1
        assert any(word in result["errors"][0][3] for word in
                   ["not used here", "may hold", "more than 64 bits"]), (text, result["errors"])


def test_broken_documents_are_refused(tomldump):
    for text, result in zip(BROKEN, tomldump(BROKEN)):
        assert peer(text) is None, text
        assert not result["ok"], text
        assert result["errors"][0][0] >= 1 and result["errors"][0][1] >= 1


def test_not_utf8_is_refused(tomldump):
    bad = [b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82", b"\x80",
           b"\xe0\x80\xaf", b"\xf0\x80\x80\xaf", b"\xc3"]
    documents = [p + b + s for b in bad for p, s in
                 [(b"# ", b"\n"), (b"x = '", b"'\n"), (b'x = "', b'"\n'), (b"x = '", b""),
                  (b'"', b'" = 1'), (b"", b"")]]
    for text, result in zip(documents, tomldump(documents)):
        assert not result["ok"], text


def mutate(r, data):
    data = bytearray(data)
    for _ in range(r.randrange(1, 4)):
        at = r.randrange(len(data) + 1)
        what = r.randrange(4)
        if what == 0 and at < len(data):
            del data[at:at + r.randrange(1, 4)]
        elif what == 1:
            data[at:at] = r.choice([b'"', b"'", b"[", b"]", b"=", b"#", b"\n", b"\r", b",", b"_",
                                    b".", b"\\", b" ", b"0", b"+", b"e", b"x", b"\x00", b"\xe4"])
        elif what == 2 and at < len(data):
            data[at] = r.randrange(256)
        else:
            other = r.randrange(len(data) + 1)
            data[at:at] = data[other:other + r.randrange(8)]
    return bytes(data)


def test_mutations(tomldump):
    r = random.Random(SEED + 1)
    seeds = [document(r) for _ in range(300)] + [d + "\n" for d in OUTSIDE + BROKEN]
    documents = [mutate(r, r.choice(seeds).encode()) for _ in range(12000)]
    accepted = 0
    for text, result in zip(documents, tomldump(documents)):
        accepted += assert_same(text, result)
    assert accepted > 1000  # or this test says nothing


# ------------------------------------------------------------- whole plans

UNITS = {"M": 2**20, "G": 2**30}
COM = {"com1": 0x3f8, "com2": 0x2f8, "com3": 0x3e8, "com4": 0x2e8}


def plan(r):
    out = ""
    if r.random() < 0.7:
        out += "[host]\n"
        if r.random() < 0.5:
            out += 'console = "%s"\n' % r.choice(["com1", "com4", "io:0x2f8", "io:0xE000"])
        if r.random() < 0.5:
            out += "baud = %s\n" % r.choice(["9600", "19_200", "0x9600", "115200"])
        if r.random() < 0.5:
            out += 'log_level = "%s"\n' % r.choice(["error", "warn", "info", "debug"])
        if r.random() < 0.5:
            out += 'on_panic = "%s"\n' % r.choice(["halt", "reboot"])
    for i in range(r.randrange(5)):
        keys = ['name = "vm-%d_%s"' % (i, r.choice(["a", "b"])), "cpus = [%d]" % r.randrange(64),
                'memory = "%s"' % r.choice(["2M", "256M", "1G", "170G", "1022M"]),
                "kernel = %s" % r.choice(["'bulkhead\\vmlinuz'", '"bulkhead/linux ä"'])]
        for text in ["cmdline = 'console=ttyS0 quiet'", "autostart = %s" % r.choice(["true", "false"]),
                     'on_crash = "%s"' % r.choice(["stop", "restart", "pause"]),
                     'on_reboot = "%s"' % r.choice(["stop", "restart"]),
                     "debug_exit = %s" % r.choice(["true", "false"]),
                     "watchdog = %s" % r.choice(["true", "false"]),
                     'on_watchdog = "%s"' % r.choice(["reset", "stop", "pause", "nmi"]),
                     "stop_timeout = %s" % r.choice(["0", "10", "3_600", "0x20"]),
                     "initrd = %s" % r.choice(['"a/b"', '["a", "b"]', "[]"])]:
            if r.random() < 0.5:
                keys.append(text)
        r.shuffle(keys)
        out += "[[vm]]\n" + "\n".join(keys) + "\n"
    return out


def test_plans(tomldump):
    r = random.Random(SEED + 2)
    documents = [plan(r) for _ in range(500)]
    for text, result in zip(documents, tomldump(documents)):
        want = peer(text)
        assert assert_same(text, result)
        assert result["errors"] == [], text
        host = want.get("host", {})
        console = host.get("console", "com1")
        assert result["host"] == {
            "console": console,
            "console_io": COM.get(console) or int(console[3:], 16),
            "baud": host.get("baud", 115200),
            "log_level": ["error", "warn", "info", "debug"].index(host.get("log_level", "info")),
            "panic_reboot": host.get("on_panic", "halt") == "reboot"}
        for vm, got in zip(want.get("vm", []), result["vm"], strict=True):
            initrd = vm.get("initrd", [])
            assert got == {
                "valid": True, "name": vm["name"], "cpus": vm["cpus"],
                "memory": int(vm["memory"][:-1]) * UNITS[vm["memory"][-1]],
                "kernel": vm["kernel"], "initrd": [initrd] if isinstance(initrd, str) else initrd,
                "cmdline": vm.get("cmdline", ""), "autostart": vm.get("autostart", True),
                "on_crash": vm.get("on_crash", "stop"), "on_reboot": vm.get("on_reboot", "restart"),
                "watchdog": vm.get("watchdog", False),
                "on_watchdog": vm.get("on_watchdog", "reset"),
                "stop_timeout": vm.get("stop_timeout", 10),
                "debug_exit": vm.get("debug_exit", False)}
