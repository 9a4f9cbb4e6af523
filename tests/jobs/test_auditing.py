"""The audit log follows a job from the files that were sent to the end of the last trace of it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from airgap.accounts.audit import AuditLog
from tests.jobs.conftest import MakeServer
from tests.jobs.helpers import pdf, wait_for


def entries(data: Path, job: str) -> list[dict[str, Any]]:
    """What the log says of a job, in order; the log itself is whole."""
    log = AuditLog(data / "audit", None)
    assert log.verify()[1] == []
    found = [json.loads(line) for line in log.path.read_text().splitlines()]
    return [entry for entry in found if entry.get("job") == job]


def test_a_job_from_its_files_to_its_erasure(make_server: MakeServer, tmp_path: Path) -> None:
    server = make_server(AUDIT_LOG="1").start()
    document = pdf(2)
    sent = server.client.post("/jobs", files={"files": ("a name to keep.pdf", document)})
    job = sent.json()["id"]
    server.finish(job)
    assert server.client.delete(f"/jobs/{job}").status_code == 204
    read, ended, erased = entries(tmp_path / "data", job)
    assert (read["event"], read["request_id"]) == ("read", sent.headers["x-request-id"])
    assert read["inputs"] == [{"sha256": hashlib.sha256(document).hexdigest(), "bytes": len(document)}]
    assert (ended["event"], ended["outcome"], ended["pages"]) == ("job_ended", "done", {"ok": 2})
    assert (ended["engine"], ended["model"]) == (read["engine"], read["model"])
    assert (erased["event"], erased["who"]) == ("job_erased", ended["who"])
    assert "a name to keep" not in (tmp_path / "data" / "audit" / "audit.jsonl").read_text()


@pytest.mark.slow
def test_a_job_that_is_cancelled_and_outlives_its_time(make_server: MakeServer, tmp_path: Path) -> None:
    server = make_server(AUDIT_LOG="1", RESULT_TTL_HOURS=str(3 / 3600)).start()
    job = server.client.post("/jobs", files={"files": pdf(3)}, data={"prompt": "hang"}).json()["id"]
    server.wait(job, lambda found: found["status"] == "running")
    server.client.post(f"/jobs/{job}/cancel")
    wait_for(lambda: server.client.get(f"/jobs/{job}").status_code == 404)
    wait_for(lambda: len(entries(tmp_path / "data", job)) == 3)
    _, ended, erased = entries(tmp_path / "data", job)
    assert (ended["event"], ended["outcome"], ended["pages"]) == ("job_ended", "cancelled", {})
    assert (erased["event"], erased["who"]) == ("job_erased", "server")
