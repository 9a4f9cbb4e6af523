"""How quickly the probes answer while pages are being read.

`python -m benchmarks.health_under_load [--pages 16] [--image samples/english.png]` starts a server on
the CPU engine, sends the pages all at once, asks `/healthz` every 20 ms until the last is read, and
prints percentiles of the answering time in milliseconds.
"""

from __future__ import annotations

import argparse
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import httpx

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--pages", type=int, default=16)
    arguments.add_argument("--image", type=Path, default=ROOT / "samples" / "english.png")
    options = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        port = _free_port()
        server = subprocess.Popen(
            [sys.executable, "serve_ocr.py"],
            cwd=ROOT,
            env=os.environ
            | {"BACKEND": "rapidocr", "HOST": "127.0.0.1", "PORT": str(port), "DATA_DIR": folder},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            measure(f"http://127.0.0.1:{port}", options.pages, options.image.read_bytes())
        finally:
            server.terminate()
            server.wait(30)


def measure(url: str, pages: int, image: bytes) -> None:
    """Send the pages, probe until the last one is back, print the percentiles."""
    with httpx.Client(base_url=url, timeout=600, trust_env=False) as client:
        while not _ready(client):
            time.sleep(0.2)
        idle = [_probe(client) for _ in range(200)]
        readers = [threading.Thread(target=_read, args=(url, image)) for _ in range(pages)]
        started = time.monotonic()
        for reader in readers:
            reader.start()
        busy = []
        while any(reader.is_alive() for reader in readers):
            busy.append(_probe(client))
            time.sleep(0.02)
        wall = time.monotonic() - started
    print(f"{pages} pages in {wall:.1f} s, {len(busy)} probes")
    for name, times in (("idle", idle), ("reading", busy)):
        cuts = statistics.quantiles(times, n=100)
        print(f"{name:8} p50 {cuts[49]:6.1f} ms   p99 {cuts[98]:6.1f} ms   max {max(times):6.1f} ms")


def _probe(client: httpx.Client) -> float:
    started = time.perf_counter()
    client.get("/healthz").raise_for_status()
    return 1000 * (time.perf_counter() - started)


def _read(url: str, image: bytes) -> None:
    response = httpx.post(f"{url}/ocr/image/advanced", files={"file": image}, timeout=600, trust_env=False)
    response.raise_for_status()


def _ready(client: httpx.Client) -> bool:
    try:
        return client.get("/readyz").status_code == 200
    except httpx.TransportError:
        return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


if __name__ == "__main__":
    main()
