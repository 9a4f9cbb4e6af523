"""Libraries in native code report to no one: the audit hook cannot see them, their traces on disk can be."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.conftest import ROOT, running_server

SMOKE = ROOT / "deploy" / "smoke" / "smoke.py"
REPORTERS = (
    "[name for name in sys.modules if name.split('.')[0] == 'openvino_telemetry' and sys.modules[name]]"
)


def _printed(code: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout


@pytest.mark.slow
def test_reading_leaves_no_identity_and_no_events_to_send(tmp_path, monkeypatch):
    # A reporter begins with an identity of the machine under the user's home.
    home = tmp_path / "home"
    home.mkdir()
    for name in ("DO_NOT_TRACK", "CI", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    with running_server(tmp_path, BACKEND="rapidocr", HOME=str(home)) as url:
        subprocess.run([sys.executable, SMOKE, "--url", url, "--wait", "60"], check=True, capture_output=True)
        assert [path for path in home.rglob("*") if path.is_file()] == []


def test_the_cpu_engine_never_loads_openvinos_reporter():
    load = "import sys; from airgap.engines.ppocr.networks import *; load_networks(model_directory(), 1)"
    run = subprocess.run(
        [sys.executable, "-c", f"{load}; print({REPORTERS})"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    assert run.stdout == "[]\n"


def test_openvino_by_itself_would_load_it():
    """Otherwise the test above proves nothing. It is asked for, and refused: it would report at once."""
    code = """
import sys

class Refusing:
    def find_spec(self, name, path, target=None):
        if name.split('.')[0] == 'openvino_telemetry':
            print('asked for')
            raise ImportError(name)

sys.meta_path.insert(0, Refusing())
import openvino
"""
    assert "asked for" in _printed(code)
