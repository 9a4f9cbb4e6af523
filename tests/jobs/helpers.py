"""Documents that the fake engine can read, servers that can be killed, and what to ask them."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import time
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pymupdf
from PIL import Image

from tests.conftest import ROOT, client_of, free_port, wait_until_ready

PATIENCE = 120.0


def pdf(pages: int, mark: int = 0) -> bytes:
    """Page n holds two bars as wide as n says; `mark` is the width of a third."""
    document = pymupdf.open()
    for number in range(pages):
        page = document.new_page(width=160, height=60)
        for top, width in ((5, 5 + number % 100), (20, 5 + number // 100), (35, mark)):
            if width:
                page.draw_rect((5, top, 5 + width, top + 8), fill=(0, 0, 0))
    data: bytes = document.tobytes(garbage=0, no_new_id=True)
    return data


class Server:
    """One server process; its `log` tells which pages its engine read."""

    def __init__(self, folder: Path, data: Path, **settings: str) -> None:
        folder.mkdir(exist_ok=True)
        self.log = folder / "reads.log"
        self._output = folder / "server.log"
        self._port = free_port()
        self._settings = {"BACKEND": "fake", "DATA_DIR": str(data), **settings}
        self.url = f"http://127.0.0.1:{self._port}"
        self.client = client_of(self.url)
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> Server:
        environment = os.environ | {
            "HOST": "127.0.0.1",
            "PORT": str(self._port),
            "READ_LOG": str(self.log),
            "PYTHONPATH": str(ROOT),
            **self._settings,
        }
        with self._output.open("a") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.jobs.logged_server"],
                cwd=ROOT,
                env=environment,
                stdout=output,
                stderr=output,
            )
        wait_until_ready(self.url, self.process, self._output)
        return self

    def kill(self) -> None:
        """As the power cut does."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        """As a person does."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            assert self.process.wait(30) in (0, -15), self._output.read_text()
        self.client.close()

    def output(self) -> str:
        """All that its processes have logged so far."""
        return self._output.read_text()

    def reads(self, what: str) -> list[str]:
        """The pages that were begun (`begin`) or done (`end`), in order."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        return [line.partition(" ")[2] for line in lines if line.startswith(f"{what} ")]

    def submit(self, *files: bytes, **fields: Any) -> dict[str, Any]:
        sent = [("files", (f"file {n}.pdf", data)) for n, data in enumerate(files)]
        answer = self.client.post("/jobs", files=sent, data=fields)
        assert answer.status_code == 202, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def job(self, job_id: str) -> dict[str, Any]:
        answer = self.client.get(f"/jobs/{job_id}")
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def wait(self, job_id: str, until: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The job once `until` holds of it."""
        job: dict[str, Any] = {}

        def reached() -> bool:
            job.update(self.job(job_id))
            return until(job)

        wait_for(reached, lambda: f"{job}\n{self._output.read_text()[-6000:]}")
        return job

    def finish(self, job_id: str) -> dict[str, Any]:
        return self.wait(job_id, lambda job: job["status"] in ("done", "failed", "cancelled"))

    def result(self, job_id: str) -> dict[str, bytes]:
        """The ZIP's entries, the manifest without its times."""
        answer = self.client.get(f"/jobs/{job_id}/result")
        assert answer.status_code == 200, answer.text
        return entries(answer.content)

    def metric(self, name: str) -> float:
        lines = self.client.get("/metrics").text.splitlines()
        return sum(
            float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith((f"{name} ", f"{name}{{"))
        )


def entries(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        found = {name: archive.read(name) for name in archive.namelist()}
    manifest = json.loads(found["manifest.json"])
    del manifest["times"]
    return found | {"manifest.json": json.dumps(manifest).encode()}


def done(job: dict[str, Any]) -> int:
    ledger = job["ledger"]
    return int(ledger["ok"] + ledger["degraded"] + ledger["failed"])


def wait_for(condition: Callable[[], bool], why: Callable[[], str] = lambda: "") -> None:
    """Return once the condition holds; fail after far longer than it can take."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain: {why()}"
        time.sleep(0.02)


def pages_on_disk(data: Path, job_id: str) -> set[int]:
    """The indexes of the pages that a job has read for good."""
    return {int(path.stem) for path in (data / "jobs" / job_id / "pages").glob("*/*.json")}


def named(index: int) -> str:
    """What the engine's diary calls page `index` of `pdf(…)`, drawn at 144 dpi with its outline."""
    return " ".join(str(2 * (5 + part) + 2) for part in (index % 100, index // 100))


def picture(bar: int = 100) -> bytes:
    """A PNG with one bar of this width."""
    image = Image.new("L", (200, 60), 255)
    image.paste(0, (20, 20, 20 + bar, 40))
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def repeated(pages: list[str]) -> list[str]:
    return [page for page, count in Counter(pages).items() if count > 1]
