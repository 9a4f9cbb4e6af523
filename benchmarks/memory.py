"""Peak memory of the server's process tree for long documents against short ones.

`python -m benchmarks.memory [--backend fake] [--pages 30 1000] [--route /pdf/ocr]` starts one server per
document length, sends an A4 document of that many pages, samples the proportional set size of the
server and all its children every 50 ms, and prints the peaks and their ratio.

The fake engine reads a page in no time, so that what is measured is the flow around an engine.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import httpx
import pymupdf

from benchmarks.health_under_load import ROOT, _free_port, _ready


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--backend", default="fake")
    arguments.add_argument("--pages", type=int, nargs=2, default=(30, 1000))
    arguments.add_argument("--route", default="/pdf/ocr")
    arguments.add_argument("--field", action="append", default=[], help="form field, name=value")
    options = arguments.parse_args()
    fields = dict(field.split("=", 1) for field in options.field)
    peaks = []
    for pages in options.pages:
        peak, seconds = measure(options.backend, options.route, fields, pages)
        peaks.append(peak)
        print(f"{pages:5} pages: peak {peak / 2**20:7.1f} MiB, {seconds:6.1f} s", flush=True)
    print(f"ratio {peaks[1] / peaks[0]:.3f}")


def measure(backend: str, route: str, fields: dict[str, str], pages: int) -> tuple[int, float]:
    """Peak bytes of the process tree, and seconds, for one document on a fresh server."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "document.pdf"
        write_document(path, pages)
        port = _free_port()
        server = subprocess.Popen(
            [sys.executable, "serve_ocr.py"],
            cwd=ROOT,
            env=os.environ | {"BACKEND": backend, "HOST": "127.0.0.1", "PORT": str(port), "DATA_DIR": folder},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=None, trust_env=False) as client:
                while not _ready(client):
                    time.sleep(0.2)
                with Peak(server.pid) as peak, path.open("rb") as file:
                    started = time.monotonic()
                    response = client.post(route, files={"file": file}, data=fields)
                    response.raise_for_status()
                    return peak.stop(), time.monotonic() - started
        finally:
            server.terminate()
            server.wait(60)


def write_document(path: Path, pages: int) -> None:
    """A4 pages of forty bars each, which the fake engine reads as forty lines; each page its own."""
    document = pymupdf.open()
    for number in range(1, pages + 1):
        page = document.new_page(width=595, height=842)
        for line in range(40):
            width = 200 + (number * 7 + line * 13) % 290
            page.draw_rect((50, 50 + 18 * line, 50 + width, 60 + 18 * line), color=None, fill=0)
    document.save(path)


class Peak:
    """Samples a process tree's proportional set size on a thread, as `/proc/PID/smaps_rollup` gives it."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._peak = 0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> Peak:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()

    def stop(self) -> int:
        """End the sampling and return the peak in bytes."""
        self._done.set()
        self._thread.join()
        return self._peak

    def _sample(self) -> None:
        while not self._done.wait(0.05):
            self._peak = max(self._peak, sum(_pss(pid) for pid in _tree(self._pid)))


def _tree(pid: int) -> list[int]:
    children = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children += [int(child) for child in task.read_text().split()]
        except OSError:
            continue
    return [pid, *(found for child in children for found in _tree(child))]


def _pss(pid: int) -> int:
    """The proportional set size; of a process that keeps that to itself, as the server does from others than
    root, the resident one."""
    for file, field in (("smaps_rollup", "Pss:"), ("status", "VmRSS:")):
        try:
            for line in Path(f"/proc/{pid}/{file}").read_text().splitlines():
                if line.startswith(field):
                    return int(line.split()[1]) * 1024
        except OSError:
            continue
    return 0


if __name__ == "__main__":
    main()
