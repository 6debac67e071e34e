"""Shows the serial console of every machine that was alive when a test failed."""

import atexit
import pathlib
import signal
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import harness  # noqa: E402


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


def pytest_configure():
    """A pytest that is told to end takes its emulators with it."""
    atexit.register(close_all)
    signal.signal(signal.SIGTERM, lambda *_: pytest.exit("told to end", 143))
