"""Programs of random operations beside a neighbour (guestfuzz.py): nobody else notices."""

import pytest

from guestfuzz import fuzz


def check(bed, seed, programs):
    found = fuzz(bed, seed, programs)
    print(found)
    # else something in the guest is broken, and it tries nothing
    assert found.programs == programs
    assert found.ends() < programs / 10 and len(found.rescued) < programs / 5
    assert all(found.traps[name] for name in ("#3", "#6", "#13", "#14", "interrupts"))
    assert all(found.exits[name] for name in ("PIO", "NPF", "CPUID", "RDMSR", "WRMSR", "CR", "DR",
                                              "HYPERCALL", "EXC", "WINDOW"))


def test_programs_on_qemu():
    check("qemu", 1, 500)


@pytest.mark.long
@pytest.mark.parametrize("bed", ["qemu", "bochs", "intel"])
def test_many_programs(bed):
    check(bed, 1000, 5000 if bed == "qemu" else 500)
