"""After DELETE, or past its time, nothing of a document is left: in no file, in no database."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pymupdf
import pytest

from tests.jobs.conftest import MakeServer
from tests.jobs.helpers import Server, done, pdf, wait_for


def marked(canary: str, pages: int = 2) -> bytes:
    """A PDF with the canary in its text layer, its metadata and its bytes."""
    document = pymupdf.open()
    for _ in range(pages):
        document.new_page().insert_text((50, 100), f"{canary} is to be read from the text layer here")
    document.set_metadata({"title": canary})
    data: bytes = document.tobytes(deflate=False)
    return data + f"\n% {canary}\n".encode()


def holding(folder: Path, canary: str) -> list[str]:
    """The files that hold the canary, in their bytes or their names."""
    found = []
    for path in folder.rglob("*"):
        if canary in path.name or (path.is_file() and canary.encode() in path.read_bytes()):
            found.append(str(path.relative_to(folder)))
    return found


def send(server: Server, canary: str, *more: bytes, **fields: str) -> str:
    """A job that carries the canary wherever it can."""
    sent = [("files", (f"{canary}.pdf", marked(canary))), *(("files", ("b.pdf", data)) for data in more)]
    fields = {"text_layer": "auto", "idempotency_key": canary, "password": canary} | fields
    found: str = server.client.post("/jobs", files=sent, data=fields).json()["id"]
    return found


def assert_gone(server: Server, data: Path, canary: str, *jobs: str) -> None:
    for job in jobs:
        assert server.client.get(f"/jobs/{job}").status_code == 404
        assert holding(data, job) == []
    assert server.client.get("/jobs", params={"id": list(jobs)}).json()["jobs"] == []
    assert holding(data, canary) == []
    server.kill()  # what stands in SQLite's log now is what a thief would find
    assert holding(data, canary) == []
    assert all(holding(data, job) == [] for job in jobs)


def test_nothing_of_a_document_is_left_after_delete(make_server: MakeServer, tmp_path: Path) -> None:
    canary = "canary" + secrets.token_hex(8)
    data = tmp_path / "data"
    server = make_server().start()
    ended = send(server, canary, prompt=f"Read {canary}.")
    server.finish(ended)
    assert any(path.endswith(".json") for path in holding(data / "jobs" / ended, canary))
    assert server.client.delete(f"/jobs/{ended}").status_code == 204
    running = send(server, canary, pdf(3), prompt="hang")
    server.wait(running, lambda job: done(job) >= 2)
    assert server.client.delete(f"/jobs/{running}").status_code == 204
    assert_gone(server, data, canary, ended, running)


@pytest.mark.slow
def test_nothing_of_a_document_is_left_past_its_time(make_server: MakeServer, tmp_path: Path) -> None:
    canary = "canary" + secrets.token_hex(8)
    server = make_server(RESULT_TTL_HOURS=str(3 / 3600)).start()
    job = send(server, canary, prompt=f"Read {canary}.")
    server.wait(job, lambda found: found["status"] == "done")
    wait_for(lambda: server.client.get(f"/jobs/{job}").status_code == 404)
    assert_gone(server, tmp_path / "data", canary, job)


@pytest.mark.slow
def test_nothing_is_left_in_postgresql(
    make_server: MakeServer, tmp_path: Path, postgresql: str, database: str
) -> None:
    import psycopg

    canary = "canary" + secrets.token_hex(8)
    server = make_server(DATABASE_URL=database).start()
    sent = [("files", (f"{canary}.pdf", marked(canary)))]
    job = server.client.post("/jobs", files=sent, data={"text_layer": "auto", "prompt": canary}).json()["id"]
    server.finish(job)
    assert server.client.delete(f"/jobs/{job}").status_code == 204
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("CHECKPOINT")
        (folder,) = connection.execute("SHOW data_directory").fetchone() or ("",)
        tables = connection.execute(
            "SELECT schemaname, tablename FROM pg_tables WHERE schemaname IN ('public', 'dbos')"
        ).fetchall()
        for schema, table in tables:
            rows = connection.execute(f'SELECT t::text FROM "{schema}"."{table}" t').fetchall()
            assert not any(job in str(row) or canary in str(row) for row in rows)
    assert holding(tmp_path / "data", canary) == []
    assert holding(Path(folder), canary) == []


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """A disk of 48 MiB of its own."""
    folder = Path(tempfile.mkdtemp(prefix="airgap-disk-"))
    mount = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", str(folder)], capture_output=True, text=True
    )
    if mount.returncode:
        folder.rmdir()
        pytest.skip(f"no disk can be mounted here: {mount.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)
    shutil.rmtree(folder)


@pytest.mark.slow
def test_a_full_disk_pauses_a_job_until_there_is_room(make_server: MakeServer, small_disk: Path) -> None:
    server = make_server(small_disk, FAKE_SECONDS_PER_PAGE="0.2").start()
    job = server.submit(pdf(40))["id"]
    server.wait(job, lambda job: done(job) >= 2)
    filler = small_disk / "filler"
    with filler.open("wb") as file:
        free = shutil.disk_usage(small_disk).free
        os.posix_fallocate(file.fileno(), 0, free - (1 << 20))
    paused = server.wait(job, lambda job: job["status"] == "paused")
    assert paused["reason"] == "disk_full"
    refused = server.client.post("/jobs", files={"files": ("a.pdf", pdf(1))})
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "storage_full")
    assert int(refused.headers["Retry-After"]) > 0
    begun = server.reads("begin")
    filler.unlink()
    assert server.finish(job)["ledger"]["ok"] == 40
    assert not set(server.reads("begin")[len(begun) :]) & set(server.reads("end")[: len(begun) - 8])
