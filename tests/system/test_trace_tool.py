"""tools/trace.py on text: no emulator. test_admin_info.py has it read a real trace."""

import io
import re
import subprocess
import sys

from harness import ROOT

sys.path.insert(0, str(ROOT / "tools"))
import trace as trace_tool  # noqa: E402

TEXT = """bulkhead> trace alpha show\r
trace of alpha: vCPU 0, CPU 1, on, 1234 exits, the last 5 follow\r
     1.000000000 CPUID      ffffffff81000010 00000000 0000000080000001\r
     1.000001500 PIO        ffffffff81000020 000103f8 0000000000001241\r
[   12.345678] beta: powered off\r
     1.000003500 PIO        ffffffff81000024 010203fd 0000000000000000\r
     1.500003500 WRMSR      ffffffff82000000 000006e0 0000000000000001\r
     1.500004500 NPF        ffffffff82000001 fee000b0 0000000000000000\r
end of trace\r
     9.000000000 CPUID      0000000000000000 00000000 0000000000000000\r
bulkhead> trace beta show\r
trace of beta: vCPU 0, CPU 2, off, 0 exits, the last 0 follow\r
end of trace\r
"""
MAP = "ffffffff81000000 T start\nffffffff81000020 t putc\nffffffff82000000 T later\n"


def decoded(**more):
    out = io.StringIO()
    traces = trace_tool.parse(TEXT.splitlines(keepends=True))
    symbols = sorted((int(line.split()[0], 16), line.split()[2]) for line in MAP.splitlines())
    for t in traces:
        trace_tool.show(t, symbols, more.get("only"), more.get("summary", False), out)
    return out.getvalue()


def test_parse():
    alpha, beta = trace_tool.parse(TEXT.splitlines())
    assert (alpha.vm, alpha.vcpu, alpha.cpu, alpha.total) == ("alpha", 0, 1, 1234)
    assert [e.reason for e in alpha.exits] == ["CPUID", "PIO", "PIO", "WRMSR", "NPF"]
    assert [e.gap for e in alpha.exits] == [None, 1500, 2000, 500000000, 1000]
    assert beta.exits == []


def test_head_in_two_lines():
    name = "a-name-of-thirty-one-characters"
    for cut in ("the last", "exits"):
        text = re.sub("trace of alpha(.*) " + cut, f"trace of {name}\\1\r\n    {cut}", TEXT)
        alpha, beta = trace_tool.parse(text.splitlines(keepends=True))
        assert (alpha.vm, alpha.cpu, alpha.total, len(alpha.exits)) == (name, 1, 1234, 5)
        assert beta.vm == "beta"


def test_words():
    text = decoded()
    for words in ("CPUID      start+10                 leaf 80000001",
                  "+1.5 us PIO        putc+0                   out 3f8/1 COM1+0 <- 41",
                  "+2.0 us PIO        putc+4                   in 3fd/2 COM1+5",
                  "+500.0 ms WRMSR      later+0                  6e0 TSC_DEADLINE",
                  "NPF        later+1                  gpa ..fee000b0 LAPIC+b0",
                  "alpha: vCPU 0, CPU 1: 5 of 1234 exits", "in 500.0 ms: 8 exits a second",
                  "PIO                2   40.0%", "beta: vCPU 0, CPU 2: 0 of 0 exits"):
        assert words in text, words


def test_choice():
    assert "WRMSR      later" not in decoded(only="PIO").split("in 500.0 ms")[0]
    assert "COM1+5" not in decoded(summary=True).split("most often")[0]


def test_program(tmp_path):
    (tmp_path / "log").write_text(TEXT)
    (tmp_path / "map").write_text(MAP)
    run = [sys.executable, ROOT / "tools/trace.py"]
    out = subprocess.run(run + ["--map", tmp_path / "map", tmp_path / "log"], check=True,
                         capture_output=True, text=True).stdout
    assert out == decoded()
    again = subprocess.run(run, input="nothing\n", capture_output=True, text=True, check=False)
    assert again.returncode == 1 and "no trace" in again.stderr
