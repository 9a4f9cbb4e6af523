"""The tripwire as a pytest plug-in, always on: a test whose processes try to leave this machine fails.

It is armed in pytest's own process and, through PYTHONPATH, in every Python process started below it.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Generator
from pathlib import Path

import pytest

INHERITED = Path(__file__).parent / "inherited"
sys.path.append(str(INHERITED))
import airgap_tripwire  # noqa: E402

_read = 0


def pytest_configure(config: pytest.Config) -> None:
    """Arm the wire before any test is collected."""
    descriptor, report = tempfile.mkstemp(prefix="tripwire-", suffix=".log")
    os.close(descriptor)
    os.environ[airgap_tripwire.REPORT] = report
    inherited = [str(INHERITED), *filter(None, [os.environ.get("PYTHONPATH")])]
    os.environ["PYTHONPATH"] = os.pathsep.join(inherited)
    config.add_cleanup(lambda: Path(report).unlink(missing_ok=True))
    airgap_tripwire.arm()


def new_attempts() -> list[str]:
    """The attempts since the last call, of all processes."""
    global _read
    with Path(os.environ[airgap_tripwire.REPORT]).open() as report:
        report.seek(_read)
        lines = report.read().splitlines()
        _read = report.tell()
    return lines


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None]:
    try:
        return (yield)
    finally:
        attempts = new_attempts()
        if attempts:
            pytest.fail("the tripwire was touched:\n" + "\n".join(attempts), pytrace=False)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """What servers of the whole session did after the last test still counts."""
    attempts = new_attempts()
    if attempts:
        print("\nthe tripwire was touched after the last test:", *attempts, sep="\n", file=sys.stderr)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
