"""A server with jobs and accounts in this process, and what its routes tell of them."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from argon2 import PasswordHasher
from fastapi.testclient import TestClient
from PIL import Image

from airgap.accounts import credentials
from airgap.jobs import service
from config import Settings
from serve_ocr import create_app
from tests.accounts.conftest import ADMIN, SECRET_KEY
from tests.jobs.helpers import pdf, picture, wait_for

BROKEN = b"%PDF-1.7 nothing"


def zipped(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


class Person:
    """Somebody with a login, and what they ask."""

    def __init__(self, client: TestClient, name: str, password: str) -> None:
        self.client = client
        answer = client.post("/api/auth/token", data={"username": name, "password": password})
        self.headers = {"Authorization": f"Bearer {answer.raise_for_status().json()['access_token']}"}
        self.id: str = self.get("/api/auth/me").json()["id"]

    def ask(self, method: str, path: str, **fields: Any) -> Any:
        return self.client.request(method, path, headers=self.headers | fields.pop("headers", {}), **fields)

    def get(self, path: str, **fields: Any) -> Any:
        return self.ask("GET", path, **fields)

    def send(self, *files: tuple[str, bytes], **fields: Any) -> Any:
        headers = fields.pop("headers", {})
        return self.ask(
            "POST", "/jobs", files=[("files", file) for file in files], data=fields, headers=headers
        )

    def job(self, job_id: str) -> dict[str, Any]:
        found: dict[str, Any] = self.get(f"/jobs/{job_id}").raise_for_status().json()
        return found

    def ended(self, answer: Any) -> dict[str, Any]:
        job_id = answer.raise_for_status().json()["id"]
        wait_for(lambda: self.job(job_id)["status"] in ("done", "failed", "cancelled"))
        return self.job(job_id)

    def events(self, job_id: str, **headers: str) -> list[dict[str, Any]]:
        answer = self.get(f"/jobs/{job_id}/events", headers=headers)
        assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
        found = []
        for block in answer.text.strip().split("\n\n"):
            fields = dict(line.split(": ", 1) for line in block.splitlines())
            found.append(fields | {"data": json.loads(fields["data"])})
        return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def client(folder: Path) -> Iterator[TestClient]:
    settings = Settings(
        backend="fake",
        data_dir=folder,
        auth_enabled=True,
        secret_key=SECRET_KEY,
        bootstrap_user=ADMIN[0],
        bootstrap_pass=ADMIN[1],
        max_jobs_per_caller=2,
        max_jobs=3,
        job_max_unpacked_mb=1,
        result_ttl_hours=5,
    )
    quick = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(credentials, "PasswordHasher", lambda: quick)
        with TestClient(create_app(settings)) as opened:
            yield opened


@pytest.fixture(scope="module")
def root(client: TestClient) -> Person:
    return Person(client, *ADMIN)


@pytest.fixture(scope="module")
def alice(client: TestClient, root: Person) -> Person:
    body = {"username": "alice", "password": "alice's password"}
    root.ask("POST", "/api/auth/register", json=body).raise_for_status()
    return Person(client, "alice", "alice's password")


@pytest.fixture(scope="module")
def done(alice: Person) -> dict[str, Any]:
    """A job of four files that has ended: a PDF, two of a ZIP, and one that is damaged."""
    pack = zipped({"deep/b.png": picture(), "__MACOSX/x": b"x", "c.pdf": pdf(1)})
    sent = alice.send(
        ("a.pdf", pdf(3)), ("pack.zip", pack), ("broken.pdf", BROKEN),
        output="text,json", priority="high", headers={"Idempotency-Key": "k"},
    )  # fmt: skip
    taken = sent.json()
    assert (sent.status_code, sent.headers["Location"]) == (202, f"/jobs/{taken['id']}")
    assert taken["owner"] == alice.id
    assert (taken["files"], taken["priority"], taken["reason"]) == (4, "high", None)
    assert taken["filenames"] == ["a.pdf", "deep/b.png", "c.pdf", "broken.pdf"]
    return alice.ended(sent)


def test_a_job_that_ended_tells_how(done: dict[str, Any]) -> None:
    assert done["ledger"] == {"expected": 6, "ok": 5, "degraded": 0, "failed": 1, "pending": 0}
    assert (done["status"], done["pages_per_second"], done["seconds_left"]) == ("done", 0.0, None)
    times = [datetime.fromisoformat(done[name]) for name in ("created_at", "started_at", "finished_at")]
    assert times == sorted(times)
    assert {str(when.tzinfo) for when in times} == {"UTC"}


def test_a_job_sent_again_is_the_same_one(alice: Person, done: dict[str, Any]) -> None:
    pack = zipped({"deep/b.png": picture(), "__MACOSX/x": b"x", "c.pdf": pdf(1)})
    files = [("a.pdf", pdf(3)), ("pack.zip", pack), ("broken.pdf", BROKEN)]
    again = alice.send(*files, output="text,json", priority="high", idempotency_key="k")
    assert (again.status_code, again.json()["id"]) == (200, done["id"])
    for changed in ({"priority": "low"}, {"output": "text"}, {"mode": "tiny"}, {"dpi": "100"}):
        fields = {"output": "text,json", "priority": "high", "idempotency_key": "k"} | changed
        other = alice.send(*files, **fields)
        assert (other.status_code, other.json()["error"]["code"]) == (409, "conflict"), changed
    other = alice.send(*files[:2], output="text,json", priority="high", idempotency_key="k")
    assert other.status_code == 409


def test_pages_are_told_in_order_with_their_files(alice: Person, done: dict[str, Any]) -> None:
    told = alice.events(done["id"])
    assert [event["event"] for event in told] == ["state", *["page"] * 6, "end"]
    pages = [event for event in told if event["event"] == "page"]
    assert [event["id"] for event in pages] == list("012345")
    assert [event["data"]["index"] for event in pages] == list(range(6))
    assert [event["data"]["file"] for event in pages] == [0, 0, 0, 1, 2, 3]
    assert [event["data"]["filename"] for event in pages][2:] == [
        "a.pdf",
        "deep/b.png",
        "c.pdf",
        "broken.pdf",
    ]
    assert [event["data"]["page"]["number"] for event in pages] == [1, 2, 3, 1, 1, 1]
    assert pages[5]["data"]["page"]["error"]["code"] == "invalid_pdf"
    assert (pages[5]["data"]["page"]["status"], pages[5]["data"]["page"]["width"]) == ("failed", 0)
    assert pages[0]["data"]["page"]["blocks"][0]["confidence"] == 1.0
    assert pages[3]["data"]["page"]["markdown"]
    assert told[-1]["data"] == told[0]["data"] == alice.job(done["id"])


@pytest.mark.parametrize(
    ("last", "first"), [("-1", 0), ("-7", 0), ("0", 1), ("4", 5), ("5", None), ("99", None)]
)
def test_whoever_comes_back_gets_the_rest(
    alice: Person, done: dict[str, Any], last: str, first: int | None
) -> None:
    told = alice.events(done["id"], **{"Last-Event-ID": last})
    pages = [int(event["id"]) for event in told if event["event"] == "page"]
    assert pages == ([] if first is None else list(range(first, 6)))


def test_what_is_no_number_is_no_event(alice: Person, done: dict[str, Any]) -> None:
    answer = alice.get(f"/jobs/{done['id']}/events", headers={"Last-Event-ID": "x"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "invalid_option")


def test_the_result_holds_what_was_asked_for(alice: Person, done: dict[str, Any]) -> None:
    answer = alice.get(f"/jobs/{done['id']}/result")
    assert answer.headers["X-Job-Status"] == "done"
    assert answer.headers["Content-Type"] == "application/zip"
    assert f"results-{done['id'][:8]}.zip" in answer.headers["Content-Disposition"]
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        names = set(archive.namelist())
        manifest = json.loads(archive.read("manifest.json"))
        read = json.loads(archive.read("a/a.json"))
    assert {"a/a.txt", "a/a.json", "deep/b/b.txt", "c/c.txt", "manifest.json"} <= names
    assert not any(name.endswith(".md") for name in names)
    assert [entry["success"] for entry in manifest["inputs"]] == [True, True, True, False]
    assert manifest["inputs"][3]["error"]["code"] == "invalid_pdf"
    assert set(manifest["times"]) == {"created_at", "started_at", "finished_at", "reading_seconds"}
    assert (
        manifest["times"]["created_at"] <= manifest["times"]["started_at"] <= manifest["times"]["finished_at"]
    )
    assert manifest["times"]["reading_seconds"] > 0
    assert read["usage"]["seconds"] == 0, "the same pages make the same bytes"
    assert (read["engine"], read["model"], read["mode"]) == ("fake", "fake", "gundam")
    assert alice.get(f"/jobs/{done['id']}/result").content == answer.content


def test_a_page_can_be_looked_at(alice: Person, done: dict[str, Any]) -> None:
    for index, size in ((0, (320, 120)), (3, (200, 60)), (4, (320, 120))):
        answer = alice.get(f"/jobs/{done['id']}/pages/{index}.jpg")
        assert (answer.headers["Content-Type"], answer.headers["Cache-Control"]) == ("image/jpeg", "no-store")
        with Image.open(io.BytesIO(answer.content)) as image:
            assert image.size == size
    small = alice.get(f"/jobs/{done['id']}/pages/0.jpg?longest_side=16")
    with Image.open(io.BytesIO(small.content)) as image:
        assert image.size == (16, 6)
    for path, status in (
        ("pages/6.jpg", 404),
        ("pages/-1.jpg", 422),
        ("pages/0.jpg?longest_side=15", 422),
        ("pages/100000001.jpg", 422),
    ):
        assert alice.get(f"/jobs/{done['id']}/{path}").status_code == status, path


def test_a_file_comes_back_as_it_was_sent(alice: Person, done: dict[str, Any]) -> None:
    answer = alice.get(f"/jobs/{done['id']}/files/1")
    assert answer.content == picture()
    assert "b.png" in answer.headers["Content-Disposition"]
    assert "deep" not in answer.headers["Content-Disposition"]
    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert answer.headers["Cache-Control"] == "no-store"
    assert alice.get(f"/jobs/{done['id']}/files/3").content == BROKEN
    assert alice.get(f"/jobs/{done['id']}/files/4").status_code == 404
    assert alice.get(f"/jobs/{done['id']}/files/-1").status_code == 422


def test_an_administrator_sees_the_job_and_not_what_is_in_it(
    root: Person, alice: Person, done: dict[str, Any], folder: Path
) -> None:
    seen = root.job(done["id"])
    assert seen == alice.job(done["id"]) | {"filenames": []}
    for path in ("/result", "/events", "/pages/0.jpg", "/files/0"):
        assert root.get(f"/jobs/{done['id']}{path}").status_code == 404, path
    listed = root.get("/jobs?everyone=1").json()
    assert [found["filenames"] for found in listed["jobs"] if found["id"] == done["id"]] == [[]]
    assert root.get("/jobs").json() == {"jobs": [], "next": None}
    assert alice.get("/jobs?everyone=1").status_code == 403
    entries = [json.loads(line) for line in (folder / "audit/audit.jsonl").read_text().splitlines()]
    noted = [(e["event"], e["who"], e.get("owner")) for e in entries if e.get("job") == done["id"]]
    assert ("job_seen", root.id, alice.id) in noted
    assert ("job_seen", alice.id, alice.id) not in noted
    (ended,) = [e for e in entries if e["event"] == "job_ended" and e["job"] == done["id"]]
    assert (ended["who"], ended["outcome"], ended["pages"]) == (alice.id, "done", {"ok": 5, "failed": 1})
    assert (ended["engine"], ended["model"], ended["model_digest"]) == ("fake", "fake", None)
    assert ("jobs_listed", root.id) in [(e["event"], e["who"]) for e in entries if "job" not in e]


def test_nothing_is_read_again_where_nothing_can_be(alice: Person, done: dict[str, Any]) -> None:
    """The damaged file is looked at again; what was read is not."""
    again = alice.ended(alice.ask("POST", f"/jobs/{done['id']}/retry"))
    assert again["ledger"] == done["ledger"]
    assert again["started_at"] == done["started_at"]
    assert again["finished_at"] >= done["finished_at"]


def test_jobs_are_listed_the_newest_first_and_page_by_page(alice: Person, done: dict[str, Any]) -> None:
    newer = alice.ended(alice.send(("d.png", picture()), output="text"))
    first = alice.get("/jobs?limit=1").json()
    assert [job["id"] for job in first["jobs"]] == [newer["id"]]
    second = alice.get("/jobs", params={"limit": 1, "cursor": first["next"]}).json()
    assert [job["id"] for job in second["jobs"]] == [done["id"]]
    rest = alice.get("/jobs", params={"limit": 1, "cursor": second["next"]}).json()
    assert rest == {"jobs": [], "next": None}
    assert [job["id"] for job in alice.get("/jobs", params={"id": done["id"]}).json()["jobs"]] == [done["id"]]
    assert alice.get("/jobs?status=running").json()["jobs"] == []
    for bad in ("limit=0", "limit=101", "cursor=x", "status=gone", "limit=x"):
        assert alice.get(f"/jobs?{bad}").status_code == 422, bad
    assert alice.get("/jobs?limit=100").status_code == 200


def test_a_job_that_no_page_of_could_be_read_failed_and_is_tried_again(alice: Person) -> None:
    job = alice.ended(alice.send(("a.pdf", pdf(2)), prompt="fail", output="text"))
    assert (job["status"], job["reason"]) == ("failed", "no page could be read")
    assert job["ledger"] == {"expected": 2, "ok": 0, "degraded": 0, "failed": 2, "pending": 0}
    again = alice.ended(alice.ask("POST", f"/jobs/{job['id']}/retry"))
    assert again["ledger"] == job["ledger"]
    assert again["finished_at"] > job["finished_at"]
    assert alice.ask("DELETE", f"/jobs/{job['id']}").status_code == 204


def test_a_job_that_is_stopped_lets_go_and_keeps_its_place_no_longer(
    alice: Person, root: Person, folder: Path
) -> None:
    sent = [alice.send(("a.pdf", pdf(3)), prompt="hang", output="json") for _ in range(3)]
    assert [answer.status_code for answer in sent] == [202, 202, 429]
    refused = sent[2].json()["error"]
    assert refused["code"] == "quota_exceeded"
    assert sent[2].headers["Retry-After"] == "60"
    third = root.send(("a.pdf", pdf(3)), prompt="hang", output="text")
    full = root.send(("a.png", picture()))
    assert (full.status_code, full.json()["error"]["code"]) == (503, "too_many_jobs")
    assert full.headers["Retry-After"] == "60"
    first = sent[0].json()["id"]
    wait_for(lambda: alice.job(first)["status"] == "running")
    running = alice.job(first)
    assert running["ledger"] == {"expected": 3, "ok": 0, "degraded": 0, "failed": 0, "pending": 3}
    assert (running["finished_at"], running["seconds_left"], running["pages_per_second"]) == (None, None, 0.0)
    conflict = alice.ask("POST", f"/jobs/{first}/retry")
    assert (conflict.status_code, conflict.json()["error"]["code"]) == (409, "conflict")
    so_far = alice.get(f"/jobs/{first}/result")
    assert so_far.headers["X-Job-Status"] == "running"
    with zipfile.ZipFile(io.BytesIO(so_far.content)) as archive:
        pages = json.loads(archive.read("a/a.json"))["pages"]
    assert [(page["number"], page["status"]) for page in pages] == [(n, "failed") for n in (1, 2, 3)]
    assert {page["error"]["code"] for page in pages} == {"not_read"}
    stopped = alice.ask("POST", f"/jobs/{first}/cancel").json()
    assert (stopped["status"], stopped["reason"], stopped["ledger"]["pending"]) == ("cancelled", None, 3)
    assert stopped["finished_at"] is not None
    assert stopped["filenames"] == ["a.pdf"]
    told = alice.events(first)
    assert [event["event"] for event in told] == ["state", "end"]
    assert root.ask("POST", f"/jobs/{sent[1].json()['id']}/cancel").json()["filenames"] == []
    for person, answer in ((alice, sent[0]), (alice, sent[1]), (root, third)):
        job_id = answer.json()["id"]
        assert person.ask("DELETE", f"/jobs/{job_id}").status_code == 204
        assert person.get(f"/jobs/{job_id}").status_code == 404
        assert not (folder / "jobs" / job_id).exists()
    entries = [json.loads(line) for line in (folder / "audit/audit.jsonl").read_text().splitlines()]
    noted = [(e["event"], e["who"], e.get("outcome")) for e in entries if e.get("job") == first]
    assert noted[-2:] == [("job_ended", alice.id, "cancelled"), ("job_erased", alice.id, None)]


def test_what_is_too_much_is_refused(alice: Person) -> None:
    before = len(alice.get("/jobs?limit=100").json()["jobs"])
    for files, status, code in (
        ([("big.zip", zipped({"a": bytes(700_000), "b": bytes(700_000)}))], 413, "too_large"),
        ([("empty.zip", zipped({"__MACOSX/x": b"x"}))], 400, "empty_file"),
        ([("bad.zip", zipped({"a": b"x"})[:-9])], 400, "invalid_request"),
    ):
        answer = alice.send(*files)
        assert (answer.status_code, answer.json()["error"]["code"]) == (status, code), answer.text
    assert alice.send(("a.png", picture()), priority="urgent").status_code == 422
    assert len(alice.get("/jobs?limit=100").json()["jobs"]) == before


def test_what_there_is_to_know_of_jobs(alice: Person, client: TestClient) -> None:
    info = alice.get("/jobs/info").json()
    assert info["max_jobs_per_caller"] == 2
    assert info["max_unpacked_mb"] == 1
    assert info["result_ttl_hours"] == 5
    assert info["max_upload_mb"] > 0
    assert "/jobs/{id}/events" in info["routes"]
    assert all(example.startswith("curl ") for example in info["examples"].values())
    status = alice.get("/jobs/status").json()
    assert (status["available"], status["engine"]) == (True, "fake")
    assert client.get("/jobs").status_code == 401


def test_a_quota_is_taken_once_and_given_back(root: Person, client: TestClient) -> None:
    made = root.ask("POST", "/api/auth/keys", json={"name": "k", "pages_per_day": 4}).json()["key"]
    key = Person.__new__(Person)
    key.client, key.headers = client, {"X-API-Key": made}
    over = key.ended(key.send(("a.pdf", pdf(5)), output="text"))
    assert (over["status"], over["ledger"]["expected"]) == ("failed", None)
    assert "5 pages are wanted, and 4 of the 4" in over["reason"]
    assert over["finished_at"] is not None
    hung = key.send(("a.pdf", pdf(4)), prompt="hang", output="text").json()["id"]
    wait_for(lambda: key.job(hung)["status"] == "running")
    assert key.send(("a.pdf", pdf(1)), output="text").status_code == 429
    key.ask("POST", f"/jobs/{hung}/cancel")
    fits = key.ended(key.send(("a.pdf", pdf(4)), output="text"))
    assert (fits["status"], fits["ledger"]["ok"]) == ("done", 4)
    for job in (over["id"], hung, fits["id"]):
        assert key.ask("DELETE", f"/jobs/{job}").status_code == 204


def test_a_job_without_a_place_on_the_disk_is_not_taken(
    alice: Person, monkeypatch: pytest.MonkeyPatch, client: TestClient
) -> None:
    jobs: service.Jobs = client.app.state.jobs  # type: ignore[attr-defined]
    monkeypatch.setattr(jobs.store, "has_room", lambda *_, **__: False)
    answer = alice.send(("a.png", picture()))
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "storage_full")
    assert answer.headers["Retry-After"] == "60"
