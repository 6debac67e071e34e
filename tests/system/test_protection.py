"""The kernel's own walls and its last words, on the test variant (make VARIANT=test),
whose shell can break things on purpose: `selftest`, `panic HOW CPU`, `nmi CPU`."""

import re
import time

import pytest

from harness import BUILD, Machine, clean, config, vm
from qmp import QMP, Qmp

VARIANT = BUILD / "test/BOOTX64.EFI"
CPU = "EPYC,+svm,+npt,+umip"
VMS = config(vm("one", cpu=1, kernel="neighbour.elf", memory="8M", autostart=True),
             vm("two", cpu=2, kernel="neighbour.elf", memory="8M", autostart=True))


def start(host="", **more):
    return Machine(VMS.replace("[host]\n", f"[host]\n{host}\n"), ["neighbour.elf"], efi=VARIANT,
                   memory=512, **more)


def running(m):
    for name in ("one", "two"):
        m.wait_state(name, "running", 20)


@pytest.mark.parametrize("bed", ["qemu", "bochs",
                                 pytest.param("intel", marks=pytest.mark.long)])
def test_selftest_and_nmis(bed):
    with start(bed=bed, qemu_cpu=CPU) as m:
        running(m)
        text = m.command("selftest", 60)
        assert re.search(r"selftest: \d+ passed, 0 failed", text), text
        assert "none of them in the direct window" in text
        if bed == "qemu":
            assert "WP NX SMEP SMAP UMIP" in text
            assert "n/a" not in text
        # NMIs: wherever they hit, in a guest, a monitor or the kernel, all goes on
        for cpu in (1, 0, 2, 3):
            text = m.command(f"host-nmi {cpu}", 60)
            assert int(re.search(r"took (\d+) NMIs", text)[1]) > 0, text
        for name in ("one", "two"):
            with m.console(name) as c:
                c.send("q")
                c.expect(r"(PASS|FAILED) neighbour", 60)
                assert m.match.group(1) == "PASS"


def last_words(m, how, cpu):
    """What is said of a panic -> (what, the text, how it ends)."""
    m.send(f"panic {how} {cpu}\r")
    m.expect(r"\n\*\*\* PANIC on CPU (\d): ([^\r\n]*)\r*\n", 20)
    on, what = int(m.match.group(1)), m.match.group(2)
    assert on == cpu
    m.expect(r"(halted|rebooting)\r*\n", 20)
    return what, clean(m.before), m.match.group(1)


def check_text(text, registers=True):
    """-> the functions named: RIP's, then the stack's."""
    names = []
    if registers:
        names = re.findall(r"rip [0-9a-f]{16} ([\w.]+)\+", text)
        assert re.search(r"rax [0-9a-f]{16}.*r15 [0-9a-f]{16}", text, re.S)
        assert re.search(r"vector \d+ +error", text)
    assert re.search(r"cr0 [0-9a-f]+ +cr2 [0-9a-f]+ +cr3 [0-9a-f]+ +cr4", text)
    assert "does not stop" not in text
    stack, log = re.search(r"stack [0-9a-f]+:\n(.*)last log lines:\n(.*)", text, re.S).groups()
    assert "one: started on CPU 1" in log
    return names + re.findall(r"[0-9a-f]{16} ([\w.]+)\+0x[0-9a-f]+", stack)


# How, where, what is said, which functions are named; on CPUs other than 0 in an
# interrupt's handler, and on 1 and 2 that interrupts a guest.
PANICS = [
    ("null", 1, "#PF page fault in the kernel", ["bug_null", "irq_dispatch", "cpu_loop"]),
    ("stack", 0, "#DF double fault", ["deeper", "cpu_loop"]),
    ("stack", 2, "#DF double fault", ["deeper", "cpu_loop"]),
    ("assert", 3, "assertion failed: answer == 42", ["irq_dispatch", "cpu_loop"]),
]


@pytest.mark.parametrize("how, cpu, what, wanted", PANICS, ids=lambda v: str(v) if v in (
    "null", "stack", "assert", 0, 1, 2, 3) else "")
def test_panic(how, cpu, what, wanted):
    with start(qemu_cpu=CPU, qemu_args=QMP) as m:
        running(m)
        said, text, end = last_words(m, how, cpu)
        assert end == "halted"
        assert what in said
        names = check_text(text, how != "assert")
        for name in wanted:
            assert any(n.split(".")[0] == name for n in names), (name, names)
        stopped(m)


@pytest.mark.long
@pytest.mark.parametrize("bed", ["bochs", "intel"])
def test_panic_elsewhere(bed):
    """One in the kernel while a guest is interrupted, one without a stack."""
    for how, cpu, what, wanted in (PANICS[0], PANICS[2]):
        with start(bed=bed) as m:
            running(m)
            said, text, end = last_words(m, how, cpu)
            assert end == "halted" and what in said
            names = check_text(text)
            assert any(n.split(".")[0] == wanted[0] for n in names), names


def test_panic_within_the_panic():
    with start(qemu_cpu=CPU, qemu_args=QMP) as m:
        running(m)
        _, text, end = last_words(m, "nested", 0)
        assert "panic within the panic" in text and end == "halted"
        stopped(m)


def test_panic_stops_a_deaf_cpu():
    """One that has interrupts off for good gets an NMI."""
    with start(qemu_cpu=CPU, qemu_args=QMP) as m:
        running(m)
        assert m.command("panic deaf 3").strip() == ""
        _, text, _ = last_words(m, "jump", 0)
        check_text(text)
        stopped(m)


def test_panic_reboots():
    with start('on_panic = "reboot"', qemu_cpu=CPU) as m:
        running(m)
        what, text, end = last_words(m, "gp", 2)
        assert "#GP protection fault in the kernel" in what
        check_text(text)
        assert end == "rebooting"
        m.wait_end(30)  # the harness runs QEMU with -no-reboot


def stopped(m):
    """No processor does anything any more."""
    qmp = Qmp(m)
    for _ in range(50):  # "halted" is said just before
        before = qmp.registers()
        if all(h == "1" for _, h in before):
            break
        time.sleep(0.1)
    assert len(before) == 4 and all(h == "1" for _, h in before), before
    time.sleep(0.3)
    assert qmp.registers() == before
