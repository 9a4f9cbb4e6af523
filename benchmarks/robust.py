"""Awkward files through the API: what was expected of each, and what came.

`python -m benchmarks.robust --data FOLDER [--backend rapidocr] [--max-pages 40]` starts a server, sends every
file of FOLDER/manifest.csv (columns `file`, `pages`, `expected`, `also_acceptable`) to the route a user would
choose, and prints a Markdown table. `expected` is `ok`, `ok-degraded` or `reject-4xx`. The exit code is 1
when one disagrees, a 5xx is seen, a request hangs, or the server's memory does not come back.
"""

from __future__ import annotations

import argparse
import csv
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx
from tqdm import tqdm

from benchmarks.health_under_load import ROOT, _free_port, _ready
from benchmarks.memory import _pss, _tree

HANG_SECONDS = 600
MEMORY_SLACK = 1.3


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--data", type=Path, required=True)
    arguments.add_argument("--backend", default="rapidocr")
    arguments.add_argument("--max-pages", type=int, default=40, help="read no more pages of a file")
    options = arguments.parse_args()
    with (options.data / "manifest.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    with tempfile.TemporaryDirectory() as folder:
        port = _free_port()
        server = subprocess.Popen(
            [sys.executable, "serve_ocr.py"],
            cwd=ROOT,
            env=os.environ
            | {
                "BACKEND": options.backend,
                "HOST": "127.0.0.1",
                "PORT": str(port),
                "DATA_DIR": folder,
                "PDF_PAGE_TIMEOUT_SECONDS": "10",
            },
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            with httpx.Client(
                base_url=f"http://127.0.0.1:{port}", timeout=HANG_SECONDS, trust_env=False
            ) as client:
                return check(client, server, options.data, rows, options.max_pages)
        finally:
            server.terminate()
            server.wait(60)


def check(
    client: httpx.Client, server: subprocess.Popen[bytes], data: Path, rows: list[dict[str, str]], most: int
) -> int:
    """Send every file, print the table, return the exit code."""
    while not _ready(client):
        time.sleep(0.2)
    send(client, ROOT / "samples" / "booklet.pdf", 3)
    before = memory(server.pid)
    wrong = 0
    print("| file | expected | seen | status | pages ok/degraded/failed | s |\n|---|---|---|---|---|---|")
    for row in tqdm(rows, unit="file", disable=None):
        started = time.monotonic()
        pages = int(row["pages"] or 0)
        seen, status, ledger = send(client, data / row["file"], most if pages > most else None)
        agrees = seen in {row["expected"], *row["also_acceptable"].split("|")}
        wrong += not agrees
        mark = "" if agrees else " **!**"
        seconds = time.monotonic() - started
        print(f"| {row['file']} | {row['expected']} | {seen}{mark} | {status} | {ledger} | {seconds:.1f} |")
        assert client.get("/healthz").status_code == 200
    time.sleep(2)
    after = memory(server.pid)
    print(f"\n{len(rows)} files, {wrong} not as expected; memory {before:.0f} → {after:.0f} MiB")
    return int(wrong > 0 or after > MEMORY_SLACK * before)


def send(client: httpx.Client, path: Path, page_to: int | None) -> tuple[str, str, str]:
    """What came of one file: the kind of outcome, the status with the error's code, the ledger."""
    is_pdf = path.suffix.lower() == ".pdf"
    fields = {"page_to": str(page_to)} if page_to and is_pdf else {}
    route = "/pdf/ocr" if is_pdf else "/ocr/image/advanced"
    try:
        with path.open("rb") as file:
            response = client.post(route, files={"file": (path.name, file)}, data=fields)
    except httpx.HTTPError as error:
        return "no answer", type(error).__name__, ""
    body = response.json()
    if response.status_code >= 500:
        return "5xx", f"{response.status_code} {body['error']['code']}", ""
    if response.status_code >= 400:
        return "reject-4xx", f"{response.status_code} {body['error']['code']}", ""
    if not is_pdf:
        return ("ok" if body["status"] == "ok" else "ok-degraded"), "200", body["status"]
    ledger = body["ledger"]
    whole = ledger["ok"] == ledger["expected"]
    counts = f"{ledger['ok']}/{ledger['degraded']}/{ledger['failed']}"
    return ("ok" if whole else "ok-degraded"), "200", counts


def memory(pid: int) -> float:
    """MiB of a process tree."""
    return sum(_pss(found) for found in _tree(pid)) / 2**20


if __name__ == "__main__":
    sys.exit(main())
