"""A disk that is full, or can only be read: said clearly, nothing lost, and on it goes once there is room."""

from __future__ import annotations

import io
import subprocess
import time
from pathlib import Path

import httpx
import pytest
from PIL import Image

from tests.jobs.conftest import MakeServer
from tests.jobs.helpers import Server, done, pdf, picture, wait_for

pytestmark = pytest.mark.faults


def large_picture() -> bytes:
    """Two megabytes, which are promised their room on the disk."""
    buffer = io.BytesIO()
    Image.effect_noise((1400, 1400), 90).save(buffer, "PNG")
    return buffer.getvalue()


def read(server: Server, data: bytes) -> httpx.Response:
    return server.client.post("/ocr/image/simple", files={"file": ("a.png", data)})


def refused(answer: httpx.Response) -> None:
    assert answer.status_code == 503, answer.text
    assert answer.json()["error"]["remedy"]


def fill(disk: Path) -> Path:
    """Write until nothing goes any more."""
    path = disk / "others"
    with path.open("wb") as file:
        try:
            while True:
                file.write(bytes(1 << 16))
                file.flush()
        except OSError:
            pass
    return path


def test_a_full_disk_and_room_again(disk: Path, make_server: MakeServer) -> None:
    server = make_server(disk / "data", FAKE_SECONDS_PER_PAGE="0.2").start()
    job = server.submit(pdf(40))["id"]
    server.wait(job, lambda found: done(found) >= 4)
    others = fill(disk)
    refused(read(server, large_picture()))
    refused(server.client.post("/jobs", files=[("files", ("a.pdf", pdf(3)))]))
    assert server.client.get("/healthz").status_code == 200
    wait_for(lambda: "the disk under DATA_DIR is full: make room" in unready(server))
    time.sleep(3)
    assert server.client.get(f"/jobs/{job}").json()["status"] not in ("done", "failed")
    others.unlink()
    wait_for(lambda: not unready(server))
    assert read(server, large_picture()).status_code == 200
    assert server.finish(job)["ledger"]["ok"] == 40
    assert server.finish(server.submit(pdf(3))["id"])["ledger"]["ok"] == 3
    said = [line for line in server.output().splitlines() if " INFO " not in line]
    assert any("the disk under DATA_DIR is full: make room" in line for line in said)
    assert len(said) <= 15, "\n".join(said)  # lines and no traces, each once or, after a minute, twice


def unready(server: Server) -> str:
    """Why pages cannot be read; nothing where they can."""
    answer = server.client.get("/readyz")
    return "" if answer.status_code == 200 else str(answer.json()["reason"])


def test_a_disk_that_can_only_be_read(disk: Path, make_server: MakeServer) -> None:
    server = make_server(disk / "data").start()
    assert read(server, picture()).status_code == 200
    remount(disk, "ro")
    try:
        refused(read(server, large_picture()))
        refused(read(server, picture()))
        refused(server.client.post("/jobs", files=[("files", ("a.pdf", pdf(3)))]))
        assert server.client.get("/healthz").status_code == 200
        wait_for(lambda: "can only be read: mount it for writing" in unready(server))
    finally:
        remount(disk, "rw")
    assert read(server, picture()).status_code == 200
    assert server.finish(server.submit(pdf(3))["id"])["ledger"]["ok"] == 3


def remount(disk: Path, how: str) -> None:
    """What is open for writing keeps a disk from being made read-only; another mount over it does not."""
    if how == "ro":
        subprocess.run(["mount", "--bind", str(disk), str(disk)], check=True)
        subprocess.run(["mount", "-o", "remount,bind,ro", str(disk)], check=True)
    else:
        subprocess.run(["umount", "-l", str(disk)], check=True)
