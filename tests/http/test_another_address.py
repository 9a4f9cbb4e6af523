"""A start without settings, asked from another address of the machine: nothing answers until it is told to.

In a network of its own, whose second address is one of those for documentation (RFC 5737).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT, free_port, wait_until_ready

OTHER = "192.0.2.1"
ALONE = ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--net", "--map-root-user"]


def has_a_network_of_its_own() -> bool:
    if shutil.which("unshare") is None or shutil.which("ip") is None:
        return False
    return subprocess.run([*ALONE, "ip", "link", "set", "lo", "up"], capture_output=True).returncode == 0


@pytest.mark.skipif(not has_a_network_of_its_own(), reason="a network of its own cannot be made here")
@pytest.mark.parametrize(
    ("settings", "reached"),
    [
        ({}, False),
        pytest.param({"ALLOW_ANONYMOUS": "1"}, True, marks=pytest.mark.slow),
    ],
    ids=["as it comes", "open in words"],
)
def test_from_another_address(tmp_path: Path, settings: dict[str, str], reached: bool) -> None:
    known = {"BACKEND": "fake", "PORT": str(free_port()), "DATA_DIR": str(tmp_path / "data")}
    inside = [sys.executable, "-m", "tests.http.test_another_address", str(tmp_path)]
    environment = {name: value for name, value in os.environ.items() if name != "HOST"}
    done = subprocess.run(
        [*ALONE, *inside],
        cwd=ROOT,
        env=environment | known | settings,
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["127.0.0.1:True", f"{OTHER}:{reached}"], done.stderr


def main(folder: Path) -> None:
    """In the network of its own: start a server and see at which addresses it answers."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    subprocess.run(["ip", "address", "add", f"{OTHER}/32", "dev", "lo"], check=True)
    port, log = int(os.environ["PORT"]), folder / "server.log"
    with log.open("w") as output:
        server = subprocess.Popen([sys.executable, "serve_ocr.py"], stdout=output, stderr=output)
    try:
        wait_until_ready(f"http://127.0.0.1:{port}", server, log)
        for address in ("127.0.0.1", OTHER):
            # By bash: what Python connects to is loopback alone where tests run.
            probe = subprocess.run(["bash", "-c", f"exec 3<>/dev/tcp/{address}/{port}"], capture_output=True)
            print(f"{address}:{probe.returncode == 0}")
    finally:
        server.terminate()
        server.wait(30)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
