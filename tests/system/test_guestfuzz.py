"""Programs of random operations beside a neighbour (guestfuzz.py): nobody else notices."""

import pytest

from guestfuzz import fuzz


def check(bed, seed, programs):
    found = fuzz(bed, seed, programs)
    print(found)
    # else something in the guest is broken, and it tries nothing
    assert found.programs == programs
    assert len(found.hung) + sum(map(len, found.ended.values())) < programs / 2


def test_programs_on_qemu():
    check("qemu", 1, 80)


@pytest.mark.long
@pytest.mark.parametrize("bed", ["qemu", "bochs", "intel"])
def test_many_programs(bed):
    check(bed, 1000, 2000 if bed == "qemu" else 100)
