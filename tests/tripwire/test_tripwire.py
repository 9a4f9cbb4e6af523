"""The wire is armed here and in children, trips on what leaves, and lets loopback be."""

from __future__ import annotations

import socket
import subprocess
import sys

import airgap_tripwire
import pytest

from tests.tripwire import plugin

OUTSIDE = "192.0.2.1"  # TEST-NET-1 (RFC 5737): belongs to nobody


@pytest.mark.parametrize(
    "attempt",
    [
        lambda: socket.create_connection((OUTSIDE, 9), timeout=1),
        lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).connect((OUTSIDE, 9)),
        lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", (OUTSIDE, 9)),
        lambda: socket.socket(socket.AF_INET6, socket.SOCK_STREAM).connect(("::ffff:192.0.2.1", 9)),
        lambda: socket.getaddrinfo("somewhere.invalid", 443),
        lambda: socket.gethostbyname("somewhere.invalid"),
    ],
    ids=["tcp", "udp-connect", "udp-send", "mapped", "getaddrinfo", "gethostbyname"],
)
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_attempt_is_refused_and_recorded(attempt):
    with pytest.raises(airgap_tripwire.Tripped):
        attempt()
    recorded = plugin.new_attempts()
    assert len(recorded) == 1
    assert "test_tripwire.py" in recorded[0]


def test_a_child_and_its_child_are_watched_too():
    inner = f"import socket; socket.socket().connect(({OUTSIDE!r}, 9))"
    outer = f"import subprocess, sys; sys.exit(subprocess.run([sys.executable, '-c', {inner!r}]).returncode)"
    done = subprocess.run([sys.executable, "-c", outer], capture_output=True, text=True)
    assert done.returncode == 1
    assert "Tripped" in done.stderr
    assert len(plugin.new_attempts()) == 1


def test_an_attempt_that_was_swallowed_fails_the_test_that_made_it(tmp_path):
    (tmp_path / "test_quiet.py").write_text(
        "import contextlib, socket\n"
        "def test_quiet():\n"
        "    with contextlib.suppress(OSError):\n"
        f"        socket.socket().connect(({OUTSIDE!r}, 9))\n"
    )
    (tmp_path / "conftest.py").write_text("pytest_plugins = ['tests.tripwire.plugin']\n")
    root = plugin.INHERITED.parent.parent.parent
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "--rootdir",
            str(tmp_path),
            str(tmp_path),
        ],
        cwd=root,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert f"socket.connect {OUTSIDE}:9" in done.stdout
    assert plugin.new_attempts() == []


def test_loopback_unix_sockets_and_numeric_look_ups_pass(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(("localhost", server.getsockname()[1]), timeout=5).close()
    with socket.socket(socket.AF_UNIX) as listening, socket.socket(socket.AF_UNIX) as calling:
        listening.bind(str(tmp_path / "s"))
        listening.listen()
        calling.connect(str(tmp_path / "s"))
    assert socket.getaddrinfo(OUTSIDE, 80)
    assert plugin.new_attempts() == []
