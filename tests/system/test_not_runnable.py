"""Where Bulkhead cannot run it says why, and goes back to the firmware."""

import pytest

from harness import Machine, config


@pytest.mark.parametrize("cpu, why", [
    ("qemu64,-svm", r"AMD-V|SVM"),
    ("EPYC,+svm,-npt", r"nested paging|NPT"),
    ("Nehalem", r"VT-x|Intel"),
])
def test_refuses(cpu, why):
    with Machine(config(), qemu_cpu=cpu, wait=False) as m:
        m.expect(why, 60)
        # The firmware goes on: its shell, its boot menu, or its "no boot option" line.
        m.expect(r"Shell>|UEFI Interactive Shell|BdsDxe|failed to start|Boot Manager", 60)
