"""Marks each test with its bed, and shows the serial console of every machine that was
alive when a test failed.

Marks, for tests/run: `bochs` (ryzen) or `intel` (Haswell and other VT-x) if the test's name
or parameters have that word, else `qemu`; beside it `long` for `make test-long`."""

import atexit
import pathlib
import re
import signal
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import harness  # noqa: E402


def boot_of(item):
    """Where one machine is for several tests, and a file has several: its number."""
    boot = item.callspec.params.get("machine") if hasattr(item, "callspec") else None
    return boot if isinstance(boot, int) else 0


@pytest.hookimpl(hookwrapper=True)
def pytest_collection_modifyitems(items):
    for item in items:
        words = re.split(r"[^a-z]+", item.name)
        bed = next((b for b in ("bochs", "intel") if b in words), "qemu")
        item.add_marker(getattr(pytest.mark, bed))
    yield
    modules = list(dict.fromkeys(item.module for item in items))
    items.sort(key=lambda item: (modules.index(item.module), boot_of(item)))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    if report.failed:
        for m in harness.machines:
            report.sections.append((f"serial console ({m.bed})", m.tail()))


def close_all(*_):
    for m in list(harness.machines):
        m.close()


def pytest_configure(config):
    """A pytest that is told to end takes its emulators with it."""
    for mark in ("qemu", "bochs", "intel", "long"):
        config.addinivalue_line("markers", f"{mark}: see above")
    atexit.register(close_all)
    signal.signal(signal.SIGTERM, lambda *_: pytest.exit("told to end", 143))
