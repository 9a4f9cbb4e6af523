"""A server on a machine that has only loopback reads a page, and its pages name no one outside."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys

import pytest

from tests.conftest import ROOT, free_port

PAGES = ("/docs", "/redoc", "/")
# Names that are identifiers and are never fetched: XML namespaces, and JSON Schema's dialect.
NAMESPACES = ("http://www.w3.org/", "https://json-schema.org/")
CLIENT = """
import json, sys, time, urllib.request
sys.path.insert(0, "deploy/smoke")
import smoke
url = sys.argv[1]
smoke.wait_until_ready(url, 90, False)
interfaces = [line.split(":")[0].strip() for line in open("/proc/net/dev") if ":" in line]
pages = {path: smoke.request(url + path, None, {}, 10, False).decode() for path in json.loads(sys.argv[2])}
print(json.dumps({"interfaces": interfaces, "text": smoke.read_page(url, False, ""), "pages": pages}))
"""


def can_make_a_namespace() -> bool:
    if not shutil.which("unshare") or not shutil.which("ip"):
        return False
    return subprocess.run(["unshare", "--net", "true"], capture_output=True).returncode == 0


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    if not can_make_a_namespace():
        pytest.skip("needs root, and unshare and ip (util-linux, iproute2)")
    folder = tmp_path_factory.mktemp("namespace")
    port = free_port()
    script = (
        'ip link set lo up; "$PYTHON" serve_ocr.py >"$LOG" 2>&1 & server=$!; '
        'status=0; "$PYTHON" -c "$CLIENT" "http://127.0.0.1:$PORT" "$PAGES" || status=$?; '
        "kill $server; wait $server; exit $status"
    )
    environment = os.environ | {
        "PYTHON": sys.executable,
        "CLIENT": CLIENT,
        "PAGES": json.dumps(PAGES),
        "LOG": str(folder / "server.log"),
        "BACKEND": "rapidocr",
        "HOST": "127.0.0.1",
        "PORT": str(port),
        "DATA_DIR": str(folder / "data"),
    }
    done = subprocess.run(
        ["unshare", "--net", "--pid", "--fork", "--kill-child", "bash", "-c", script],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert done.returncode == 0, done.stderr + done.stdout + (folder / "server.log").read_text()
    return json.loads(done.stdout)


def test_a_page_is_read_where_there_is_only_loopback(answers):
    assert [name for name in answers["interfaces"] if name not in ("lo", "sit0", "tunl0", "ip6tnl0")] == []
    assert "SEALED DELIVERY" in answers["text"].upper()


@pytest.mark.parametrize("path", PAGES)
def test_served_pages_name_no_external_origin(answers, path):
    found = re.findall(r"(?:https?:)?//[A-Za-z0-9.-]+\.[A-Za-z]{2,}[^\s\"'<>]*", answers["pages"][path])
    assert [url for url in found if not url.startswith(NAMESPACES)] == []
