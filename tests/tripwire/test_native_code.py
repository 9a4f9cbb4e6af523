"""Libraries in native code report to no one: the audit hook cannot see them, their traces on disk can be."""

from __future__ import annotations

import os
import subprocess
import sys

from tests.conftest import ROOT, running_server

SMOKE = ROOT / "deploy" / "smoke" / "smoke.py"


def test_reading_leaves_no_identity_and_no_events_to_send(tmp_path, monkeypatch):
    # ONNX Runtime's uploader begins with a device id and a database of events under the user's caches.
    home = tmp_path / "home"
    home.mkdir()
    for name in ("ORT_DISABLE_TELEMETRY", "DO_NOT_TRACK", "CI", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    with running_server(tmp_path, BACKEND="rapidocr", HOME=str(home)) as url:
        subprocess.run([sys.executable, SMOKE, "--url", url, "--wait", "60"], check=True, capture_output=True)
        assert [path for path in home.rglob("*") if path.is_file()] == []


def test_this_build_of_onnx_runtime_would_leave_both(tmp_path):
    # Otherwise the test above proves nothing: a later build may have moved its traces.
    code = (
        "import onnxruntime, rapidocr, pathlib\n"
        "model = sorted(pathlib.Path(rapidocr.__file__).parent.rglob('*.onnx'))[0]\n"
        "onnxruntime.InferenceSession(str(model), providers=['CPUExecutionProvider'])\n"
    )
    unset = (
        "ORT_DISABLE_TELEMETRY",
        "DO_NOT_TRACK",
        "CI",
        "XDG_CACHE_HOME",
        "PYTEST_CURRENT_TEST",
        "PYTEST_VERSION",
    )
    environment = {name: value for name, value in os.environ.items() if name not in unset}
    without_a_network = ["unshare", "--user", "--map-root-user", "--net"]
    subprocess.run(
        [*without_a_network, sys.executable, "-c", code],
        env=environment | {"HOME": str(tmp_path)},
        check=True,
    )
    assert list(tmp_path.rglob("deviceid"))
