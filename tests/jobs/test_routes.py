"""The routes of jobs over HTTP: what goes in, what is told, what comes out, what is refused."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient

from config import Settings
from serve_ocr import create_app
from tests.jobs.conftest import MakeServer
from tests.jobs.helpers import Server, done, entries, pdf, picture, wait_for


def zipped(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def send(server: Server, *files: tuple[str, bytes], **fields: Any) -> httpx.Response:
    headers = fields.pop("headers", None)
    return server.client.post(
        "/jobs", files=[("files", file) for file in files], data=fields, headers=headers
    )


def events(server: Server, job: str, last: str | None = None) -> Iterator[dict[str, Any]]:
    headers = {"Last-Event-ID": last} if last else {}
    with server.client.stream("GET", f"/jobs/{job}/events", headers=headers) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        event: dict[str, Any] = {}
        for line in answer.iter_lines():
            name, _, value = line.partition(": ")
            if name == "data":
                event["data"] = json.loads(value)
            elif name in ("event", "id"):
                event[name] = value
            elif not line and event:
                yield event
                event = {}


def test_files_and_zips_in_one_zip_out(jobs_server: Server) -> None:
    pack = zipped({"in/../../b.png": picture(50), "__MACOSX/x": b"x", "deep/a.pdf": pdf(1)})
    answer = send(
        jobs_server, ("a.pdf", pdf(2)), ("more.zip", pack), ("broken.pdf", b"%PDF-1.7 nothing"),
        output="markdown,json,html", priority="high",
    )  # fmt: skip
    assert answer.status_code == 202
    assert answer.headers["Location"] == f"/jobs/{answer.json()['id']}"
    job = jobs_server.finish(answer.json()["id"])
    assert (job["status"], job["files"], job["priority"]) == ("done", 4, "high")
    assert job["ledger"] == {"expected": 5, "ok": 4, "degraded": 0, "failed": 1, "pending": 0}
    found = jobs_server.result(job["id"])
    assert {"a/a.md", "a/a.json", "a/a.html", "deep/a/a.md", "in/b/b.md"} <= found.keys()
    manifest = json.loads(found["manifest.json"])
    assert [entry["filename"] for entry in manifest["inputs"]] == [
        "a.pdf", "in/b.png", "deep/a.pdf", "broken.pdf",
    ]  # fmt: skip
    assert [entry["success"] for entry in manifest["inputs"]] == [True, True, True, False]
    assert manifest["inputs"][3]["error"]["code"] == "invalid_pdf"
    assert json.loads(found["a/a.json"])["usage"]["seconds"] == 0


def test_the_same_files_give_the_same_bytes_as_the_batch_route(jobs_server: Server) -> None:
    job = jobs_server.finish(send(jobs_server, ("one.png", picture())).json()["id"])
    answer = jobs_server.client.post("/batch/ocr/download", files={"files": ("one.png", picture())})
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.read("one/one.md") == jobs_server.result(job["id"])["one/one.md"]


@pytest.mark.parametrize(("form", "expected"), [({}, 1.0), ({"confidence": "false"}, None)])
def test_what_a_job_reads_has_its_confidence_unless_told_otherwise(
    jobs_server: Server, form: dict[str, str], expected: float | None
) -> None:
    sent = send(jobs_server, ("one.png", picture()), output="json", **form)
    read = json.loads(jobs_server.result(jobs_server.finish(sent.json()["id"])["id"])["one/one.json"])
    assert [page["confidence"] for page in read["pages"]] == [expected]


def test_pages_are_told_as_they_come_and_from_where_one_was(jobs_server: Server) -> None:
    job = send(jobs_server, ("a.pdf", pdf(6)), ("b.png", picture())).json()["id"]
    told = list(events(jobs_server, job))
    pages = [event for event in told if event["event"] == "page"]
    assert [event["id"] for event in pages] == [str(index) for index in range(7)]
    assert [event["data"]["page"]["number"] for event in pages] == [1, 2, 3, 4, 5, 6, 1]
    assert pages[0]["data"]["filename"] == "a.pdf"
    assert pages[0]["data"]["page"]["blocks"]
    assert told[0]["event"] == "state"
    assert (told[-1]["event"], told[-1]["data"]["status"]) == ("end", "done")
    rest = [event["id"] for event in events(jobs_server, job, last="4") if event["event"] == "page"]
    assert rest == ["5", "6"]
    assert jobs_server.client.get(f"/jobs/{job}/events", headers={"Last-Event-ID": "x"}).status_code == 422


def test_a_job_sent_twice_is_taken_once(jobs_server: Server) -> None:
    first = send(jobs_server, ("a.png", picture()), headers={"Idempotency-Key": "k1"})
    second = send(jobs_server, ("a.png", picture()), idempotency_key="k1")
    other = send(jobs_server, ("a.png", picture(60)), headers={"Idempotency-Key": "k1"})
    assert (first.status_code, second.status_code) == (202, 200)
    assert first.json()["id"] == second.json()["id"]
    assert (other.status_code, other.json()["error"]["code"]) == (409, "conflict")


def test_jobs_are_listed_newest_first_page_by_page(jobs_server: Server) -> None:
    """Those that one names: without accounts nobody is told of others."""
    made = [send(jobs_server, ("a.png", picture())).json()["id"] for _ in range(3)]

    def listed(**params: str | int) -> dict[str, Any]:
        answer = jobs_server.client.get("/jobs", params={"id": made, **params})
        found: dict[str, Any] = answer.raise_for_status().json()
        return found

    first = listed(limit=2)
    assert [job["id"] for job in first["jobs"]] == made[:0:-1]
    second = listed(limit=2, cursor=first["next"])
    assert [job["id"] for job in second["jobs"]] == made[:1]
    for job in made:
        jobs_server.finish(job)
    assert listed(status="running")["jobs"] == []
    params = {"id": made[0], "cursor": "nonsense"}
    assert jobs_server.client.get("/jobs", params=params).status_code == 422


def test_without_accounts_nobody_learns_of_jobs_by_asking(jobs_server: Server) -> None:
    job = send(jobs_server, ("a secret.png", picture())).json()["id"]
    for params in ({}, {"status": "queued"}, {"everyone": "true"}, {"limit": "100"}, {"cursor": "9e9_x"}):
        answer = jobs_server.client.get("/jobs", params=params)
        assert answer.status_code == 403
        assert job not in answer.text
    for guess in ("", "%", job[:-1], job.upper(), "0" * 32):
        assert jobs_server.client.get("/jobs", params={"id": guess}).json()["jobs"] == []
    jobs_server.finish(job)


@pytest.mark.parametrize("path", ["/jobs/" + "0" * 32, "/jobs/x/events", "/jobs/x/result"])
def test_an_unknown_job_is_not_found(jobs_server: Server, path: str) -> None:
    assert jobs_server.client.get(path).status_code == 404


@pytest.mark.parametrize(
    ("data", "status", "code"),
    [
        (b"", 400, "empty_file"),
        (zipped({}), 400, "empty_file"),
        (zipped({"a.png": picture()})[:-30], 400, "invalid_request"),
    ],
)
def test_what_cannot_be_a_job_is_refused_at_once(
    jobs_server: Server, data: bytes, status: int, code: str
) -> None:
    answer = send(jobs_server, ("a.zip", data))
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


def test_nothing_readable_is_a_failed_job_with_its_reason(jobs_server: Server) -> None:
    job = jobs_server.finish(send(jobs_server, ("notes.txt", b"just text")).json()["id"])
    assert (job["status"], job["reason"]) == ("failed", "no page could be read")
    assert job["ledger"] == {"expected": 1, "ok": 0, "degraded": 0, "failed": 1, "pending": 0}
    (entry,) = json.loads(jobs_server.result(job["id"])["manifest.json"])["inputs"]
    assert entry["error"]["code"] == "unsupported_media"


@pytest.mark.slow
def test_bounds_cancel_partial_results_and_small_jobs_past_large_ones(make_server: MakeServer) -> None:
    server = make_server(
        FAKE_SECONDS_PER_PAGE="0.5", MAX_JOBS_PER_CALLER="2", JOB_MAX_UNPACKED_MB="1"
    ).start()
    large = server.submit(pdf(400))["id"]
    server.wait(large, lambda job: done(job) >= 4)

    small = server.finish(server.submit(picture())["id"])
    assert (small["status"], server.job(large)["status"]) == ("done", "running")
    assert done(server.job(large)) < 200

    server.submit(pdf(40))
    full = send(server, ("a.png", picture()))
    assert (full.status_code, full.json()["error"]["code"]) == (429, "quota_exceeded")
    assert int(full.headers["Retry-After"]) > 0

    partial = server.client.get(f"/jobs/{large}/result")
    assert partial.headers["X-Job-Status"] == "running"
    (entry,) = json.loads(entries(partial.content)["manifest.json"])["inputs"]
    assert entry["ledger"]["ok"] > 0
    assert entry["ledger"]["failed"] > 0
    assert sum(entry["ledger"].values()) == 800

    assert server.client.post(f"/jobs/{large}/cancel").json()["status"] == "cancelled"
    after = len(pages_of(server, large))
    bomb = send(server, ("bomb.zip", zipped({"a.png": bytes(2 << 20)})))
    assert (bomb.status_code, bomb.json()["error"]["code"]) == (413, "too_large")
    told = list(events(server, large))
    assert (told[-1]["event"], told[-1]["data"]["status"]) == ("end", "cancelled")
    assert len([event for event in told if event["event"] == "page"]) == after
    assert len(pages_of(server, large)) == after


def pages_of(server: Server, job: str) -> list[Path]:
    return list((server.log.parent.parent / "data").glob(f"jobs/{job}/pages/*/*.json"))


def test_cancel_returns_when_the_engine_is_idle_and_the_next_job_starts(jobs_server: Server) -> None:
    server = jobs_server
    before = server.reads("end")
    job = server.submit(pdf(20), prompt="hang")["id"]
    wait_for(lambda: server.metric("ocr_pages_reading") == 4)
    assert server.client.post(f"/jobs/{job}/cancel").json()["status"] == "cancelled"
    assert server.metric("ocr_pages_reading") == 0  # no page would ever have ended: they were stopped
    following = server.submit(pdf(20), prompt="hang")["id"]
    wait_for(lambda: server.metric("ocr_pages_reading") == 4)
    assert server.client.delete(f"/jobs/{following}").status_code == 204
    assert server.metric("ocr_pages_reading") == 0
    assert server.reads("end") == before


def test_a_server_without_jobs_says_so(tmp_path: Path) -> None:
    settings = Settings(backend="fake", data_dir=tmp_path, enable_jobs=False)
    with TestClient(create_app(settings)) as client:
        assert client.get("/").json()["features"]["jobs"]["reason"] == "ENABLE_JOBS=0"
        assert client.get("/jobs").json()["error"]["code"] == "feature_disabled"
    assert not (tmp_path / "jobs").exists()


def test_a_job_tells_the_names_of_its_first_files(jobs_server: Server) -> None:
    sent = send(jobs_server, *[(f"scan {n}.png", picture(20)) for n in range(23)]).json()
    assert sent["files"] == 23
    assert sent["filenames"] == [f"scan {n}.png" for n in range(20)]
    assert jobs_server.client.get(f"/jobs/{sent['id']}").json()["filenames"] == sent["filenames"]
    (listed,) = jobs_server.client.get("/jobs", params={"id": sent["id"]}).json()["jobs"]
    assert listed["filenames"] == sent["filenames"]
    assert jobs_server.client.delete(f"/jobs/{sent['id']}").is_success
