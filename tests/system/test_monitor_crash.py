"""A monitor that misbehaves takes only its own VM down.

On the test variant (make VARIANT=test), whose monitor does what its guest asks
for (tests/variant/misbehave.h). Each case: what the monitor tries is refused,
or the VM has failed with a reason and a crash record; the neighbour computes
on, the VM can be started again, and no page is lost.
"""

import re

import pytest

from harness import BUILD, ROOT, Machine, config, vm

VARIANT = BUILD / "test/BOOTX64.EFI"
CPU = "EPYC,+svm,+npt,+umip"


def misbehaviours():
    """{list: [names]} and {name: number}, from the header that all sides share."""
    text = (ROOT / "tests/variant/misbehave.h").read_text()
    lists = {}
    for name, body in re.findall(r"#define MISBEHAVE_(\w+)\(X\)(.*?)\n\n", text, re.S):
        lists[name] = re.findall(r"\bX\((\w+)[,)]", body)
    names = [n for l in lists.values() for n in l]
    return lists, {n: i for i, n in enumerate(names, 1)}


LISTS, NUMBER = misbehaviours()
UPCALLS = ("START EVENT PIO_IN PIO_OUT PIO_STRING MMIO CR DR RDMSR WRMSR INTACK EOI INSN").split()
FINISHES = ("NONE IN OUT REG REGS CR DR MSR FAULT INTACK LAPIC_READ LAPIC_WRITE").split()
# What a VM's last log line says when all of it has been given back.
END = (r"\] {}: ((?:its monitor|debug exit|triple fault|the processor|cannot be|halted|unexpected|event)"
       r"[^\r\n]*)\r*\n")


@pytest.fixture(scope="module")
def machine():
    text = config(vm("before", cpu=1, kernel="neighbour.elf", autostart=True),
                  vm("bad", cpu=2, kernel="badmonitor.elf", memory="8M"),
                  vm("bad0", cpu=0, kernel="badmonitor.elf", memory="8M"),
                  vm("again", cpu=3, kernel="badmonitor.elf", memory="8M", on_crash="restart"))
    with Machine(text, ["neighbour.elf", "badmonitor.elf"], efi=VARIANT, qemu_cpu=CPU,
                 memory=512) as m:
        m.wait_state("before", "running", 20)
        m.free = m.free_memory()
        yield m


@pytest.fixture(autouse=True)
def all_is_well_afterwards(request):
    yield
    if "machine" not in request.fixturenames:
        return
    machine = request.getfixturevalue("machine")
    assert machine.state("before").startswith("running")
    with machine.console("before") as c:
        c.expect(r"ok \d+", 30)
    assert run(machine, "do=0")[0] == "debug exit 0x10"
    assert machine.free_memory() == machine.free


def run(m, cmdline, name="bad", timeout=30):
    """Starts the VM with that command line -> how it ended, the console's text meanwhile."""
    m.command(f"cmdline {name} {cmdline}")
    text = m.command(f"start {name}")
    end = re.search(END.format(name), text)
    if not end:
        m.expect(END.format(name), timeout)
        text += m.before + m.match.group(0)
        end = m.match
    reason = end.group(1)
    row = m.vms()[name]
    assert row["reason"] == reason
    assert row["state"] == ("stopped" if reason.startswith("debug exit") else "failed"), row
    return reason, text.replace("\r", "")


def crash(m, cmdline, name="bad", reason=r"its monitor took exception", last="PIO"):
    """The same, for one that must fail, with its crash record."""
    said, text = run(m, cmdline, name)
    assert re.match(reason, said), f"{cmdline}: {said}"
    assert re.search(rf"error: {name}: vCPU 0 on CPU \d: rip [0-9a-f]{{16}}", text), cmdline
    assert re.search(rf"{name}: rax [0-9a-f]{{16}} rbx", text), cmdline
    assert re.search(rf"{name}: cr0 [0-9a-f]+ cr2", text), cmdline
    if last:
        exits = re.findall(rf"{name}:   exit (\w+) +at", text)
        assert exits and exits[-1] == last, f"{cmdline}: {exits}"
    return said


def exception(said):
    m = re.match(r"its monitor took exception (\d+) \(error ([0-9a-f]+)\) "
                 r"at ([0-9a-f]+), address ([0-9a-f]+)", said)
    assert m, said
    return int(m[1]), int(m[2], 16), int(m[3], 16), int(m[4], 16)


UD, SS, GP, PF, DB, DE, BP = 6, 12, 13, 14, 1, 0, 3
SPECIAL = {
    "sysenter": (UD, GP), "sysexit": (UD, GP), "vmmcall": (UD, GP), "rdfsbase": (UD,),
    "wrgsbase": (UD,), "ud2": (UD,), "divide": (DE,), "single_step": (DB,), "push_wild": (SS, GP),
    "push_kernel": (PF,), "monitor": (UD, GP), "mwait": (UD, GP), "iret_kernel_rip": (PF, GP),
    # TCG reads the frame of a far return as the kernel would: SMAP
    "iret_kernel": (GP, PF), "iret_tss": (GP, PF), "iret_null": (GP, PF),
    "lret_kernel": (GP, PF), "lret_32": (GP, PF),
    "vmrun": (UD, GP), "vmload": (UD, GP), "vmsave": (UD, GP), "stgi": (UD, GP),
    "clgi": (UD, GP), "invlpga": (UD, GP),
}


def test_instructions(machine):
    """Each of them ends in an exception in ring 3."""
    wrong = []
    for name in LISTS["INSNS"] + LISTS["UMIP"]:
        vector = exception(crash(machine, f"do={NUMBER[name]:x}"))[0]
        if vector not in SPECIAL.get(name, (GP,)):
            wrong.append((name, vector))
    assert not wrong


@pytest.mark.parametrize("bed", ["bochs", pytest.param("intel", marks=pytest.mark.long)])
def test_instructions_elsewhere(bed):
    """Those that QEMU is not strict about, or that differ between the emulators."""
    names = ["iret_kernel", "iret_tss", "iret_null", "iret_kernel_rip", "iret_nt", "lret_kernel",
             "lret_32", "push_wild", "jump_wild", "sysenter", "ss_kernel", "int_timer"]
    vectors = {"push_wild": SS, "sysenter": None, "iret_kernel_rip": None}
    text = config(vm("bad", cpu=1, kernel="badmonitor.elf", memory="8M"))
    with Machine(text, ["badmonitor.elf"], efi=VARIANT, bed=bed, cpus=2, memory=512) as m:
        for name in names:
            vector = exception(crash(m, f"do={NUMBER[name]:x}"))[0]
            assert vector in (vectors.get(name, GP) or vector,), name


ADDRESSES = {"null_read": 0, "null_write": 0, "null_jump": 0, "vm_page_write": 0x8000000,
             "kernel_read": 0xffffffff80000000, "kernel_write": 0xffffffff80000000,
             "kernel_jump": 0xffffffff80000000, "direct_read": 0xffff800000200000,
             "kernel_stack_write": 0xffffd00000000000, "device_read": 0xffffc00000000000,
             "scratch_write": 0xffffd80000000000, "beyond_ram": 0x100000800000,
             "other_vcpu": 0x9001000, "stack_overflow": None}
PRESENT, WRITE, FETCH = 1, 2, 16


def test_accesses(machine):
    """What is not the monitor's, or not for that, is a page fault of its own."""
    for name in LISTS["ACCESSES"]:
        vector, error, rip, address = exception(crash(machine, f"do={NUMBER[name]:x}"))
        assert vector == (GP if name == "wild_read" else PF), name
        if ADDRESSES.get(name) is not None:
            assert address == ADDRESSES[name], name
        if name.endswith("_write"):
            assert error & WRITE, name
        if name.endswith(("_exec", "_jump")):
            assert error & FETCH and rip == address, name
        if name.endswith("_exec"):
            assert error & PRESENT, name
        if name == "stack_overflow":
            assert 0xa000000 <= address < 0xa010000 - 0x4000, hex(address)


@pytest.mark.long
def test_misbehaviours_intel():
    """Accesses, loops and finishes on VT-x: the walls are the same page tables and checks."""
    text = config(vm("before", cpu=1, kernel="neighbour.elf", cmdline="calm", autostart=True),
                  vm("bad", cpu=2, kernel="badmonitor.elf", memory="8M"))
    with Machine(text, ["neighbour.elf", "badmonitor.elf"], efi=VARIANT, bed="intel", cpus=3,
                 memory=512) as m:
        m.wait_state("before", "running", 30)
        free = m.free_memory()
        test_accesses(m)
        for name in LISTS["LOOPS"]:
            crash(m, f"do={NUMBER[name]:x}", reason="its monitor did not")
        for upcall, *args in BAD_FINISHES[::4]:
            crash(m, finish(upcall, *args), reason="its monitor ended upcall", last=None)
        assert run(m, "do=0")[0] == "debug exit 0x10"
        assert m.free_memory() == free
        with m.console("before") as c:
            c.send("q")
            c.expect("PASS neighbour", 30)


def test_loops(machine):
    """Over its budget (2 s in this variant): also on a CPU without any interrupts."""
    for name in LISTS["LOOPS"]:
        assert "did not come back from upcall 3" in crash(machine, f"do={NUMBER[name]:x}",
                                                          reason="its monitor did not")
    said = crash(machine, f"do={NUMBER['loop']:x}", "bad0", reason="its monitor did not")
    assert "upcall 3" in said
    said = crash(machine, f"start={NUMBER['loop']:x}", reason="its monitor did not", last=None)
    assert "upcall 0" in said


def test_stop_while_it_loops(machine):
    """The administrator need not wait for the budget."""
    for name in ("bad", "bad0"):
        machine.command(f"cmdline {name} do={NUMBER['loop_of_calls']:x}")
        machine.command(f"start {name}")
        assert f"{name} killed" in machine.command(f"kill {name}")
        assert machine.state(name) == "stopped stopped by the administrator"


# The upcall it is tried in, kind and arguments.
BAD_FINISHES = [("PIO_OUT", k) for k in range(12) if FINISHES[k] not in ("NONE", "OUT", "FAULT")] + [
    ("PIO_OUT", 12), ("PIO_OUT", 0xffffffff), ("PIO_OUT", 1 << 32 | 2), ("PIO_OUT", (1 << 64) - 1),
    ("PIO_OUT", FINISHES.index("FAULT"), 32), ("PIO_OUT", FINISHES.index("FAULT"), 2),
    ("PIO_OUT", FINISHES.index("FAULT"), 1 << 32 | 13),
    ("PIO_OUT", FINISHES.index("FAULT"), 13, 1 << 32),
    ("PIO_STRING", FINISHES.index("REGS"), 16), ("PIO_STRING", FINISHES.index("REGS"), 1 << 32),
    ("MMIO", FINISHES.index("REG"), 17, 0, 0), ("MMIO", FINISHES.index("REG"), 1 << 32, 0, 0),
    ("MMIO", FINISHES.index("REG"), 0, 0, 16), ("MMIO", FINISHES.index("REGS"), 16),
    ("MMIO", FINISHES.index("LAPIC_READ"), 0x1000, 0, 3),
    ("MMIO", FINISHES.index("LAPIC_READ"), 0x20, 17, 3),
    ("MMIO", FINISHES.index("LAPIC_READ"), 0x20, 0, 16),
    ("MMIO", FINISHES.index("LAPIC_WRITE"), 0x1000, 0, 3),
    ("MMIO", FINISHES.index("LAPIC_WRITE"), 0x80, 1 << 32, 3),
    ("MMIO", FINISHES.index("LAPIC_WRITE"), 0x80, 0, 16),
    ("CR", FINISHES.index("CR"), 16, 0, 3), ("CR", FINISHES.index("CR"), 4, 0, 16),
    ("DR", FINISHES.index("DR"), 8, 0, 3), ("DR", FINISHES.index("DR"), 4, 0, 3),
    ("DR", FINISHES.index("DR"), 7, 0, 16),
    ("RDMSR", FINISHES.index("NONE")), ("WRMSR", FINISHES.index("IN")),
    ("INTACK", FINISHES.index("NONE")), ("INTACK", FINISHES.index("INTACK"), 257),
    ("PIO_IN", FINISHES.index("OUT")),
]


def finish(upcall, *args):
    when = "" if upcall == "PIO_OUT" else f" when={UPCALLS.index(upcall) + 1:x}"
    return f"do={NUMBER['finish']:x}{when} finish={','.join(f'{a:x}' for a in args)}"


def test_bad_finishes(machine):
    """Which kinds fit which upcall is tests/unit/test_vcpu.c's; here, that the VM ends."""
    for upcall, *args in BAD_FINISHES:
        last = {"PIO_OUT": "PIO", "PIO_STRING": "PIO", "PIO_IN": "PIO", "MMIO": "NPF",
                "INTACK": None}.get(upcall, upcall)
        said = crash(machine, finish(upcall, *args), reason="its monitor ended upcall", last=last)
        assert f"upcall {UPCALLS.index(upcall)} by a bad call ({args[0]:x})" in said


def test_faults(machine):
    """Every exception that can be injected arrives; the guest's handler shows it."""
    for vector in [0, 1, 3, 4, 5, 6, 7, 8, 10, 11, 12, 13, 14, 16, 17, 18, 19]:
        said, text = run(machine, finish("PIO_OUT", FINISHES.index("FAULT"), vector, 0x12, 0xabc0))
        assert said == "debug exit 0x10", vector
        with machine.console("bad") as c:
            c.expect(rf"FAULT {vector} error ([0-9a-f]+) cr2 ([0-9a-f]+)\r*\n[^R]*PASS", 10)
            error, cr2 = machine.match.groups()
        if vector in (8, 10, 11, 12, 13, 14, 17):
            assert int(error, 16) == 0x12, vector
        assert (vector == 14) == (cr2 == "abc0"), (vector, cr2)


def test_harmless(machine):
    """System calls without meaning are refused and the VM goes on; wild registers in
    ring 3 are nobody's business but its own. On CPU 0, too, where interrupts come."""
    for name in LISTS["HARMLESS"]:
        for where in ("bad", "bad0"):
            start = name in ("wild_states", "calls")
            if start:
                assert run(machine, f"start={NUMBER[name]:x}", where)[0] == "debug exit 0x10", name
            if name != "wild_states":
                said, text = run(machine, f"do={NUMBER[name]:x}", where)
                assert said == "debug exit 0x10", f"{name}: {said}\n{text}"


def test_wild_guest_state(machine):
    """Whatever state the monitor sets, only the guest can suffer from it."""
    for name in ("regs_rip", "regs_rsp", "regs_flags"):
        said, _ = run(machine, f"do={NUMBER[name]:x} when={UPCALLS.index('MMIO') + 1:x}")
        assert not said.startswith("its monitor"), said
    for seed in range(1, 9):
        machine.command(f"cmdline bad start={NUMBER['run_wild_state']:x} seed={seed:x}")
        machine.command("start bad")
        machine.command("kill bad")  # if it is still there
        machine.wait_state("bad", "failed|stopped", 10)


def test_restart(machine):
    """on_crash = "restart"."""
    m = machine
    m.command(f"cmdline again do={NUMBER['null_write']:x} key")
    m.command("start again")
    m.command("cmdline again do=0")  # for the next time
    with m.console("again") as c:
        c.expect("READY badmonitor", 20)
        c.send("x")
        c.expect("READY badmonitor", 20)
        c.expect("PASS badmonitor", 20)
    m.wait_state("again", "debug exit 0x10", 20)
    log = m.command("log")
    assert re.search(r"again: its monitor took exception 14.*again: started", log, re.S)
