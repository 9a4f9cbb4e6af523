"""What people do with a job on the page: look at its pages, and have read again what was not read."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from tests.jobs.conftest import MakeServer
from tests.jobs.helpers import Server, pdf


def test_a_page_of_a_job_has_a_picture(jobs_server: Server) -> None:
    job = jobs_server.submit(pdf(2), pdf(1))
    jobs_server.wait(job["id"], lambda found: found["status"] == "done")
    for index in range(3):
        answer = jobs_server.client.get(f"/jobs/{job['id']}/pages/{index}.jpg")
        assert answer.headers["content-type"] == "image/jpeg"
        with Image.open(io.BytesIO(answer.content)) as image:
            assert image.size == (320, 120)  # 160 x 60 points at 144 dpi
    small = jobs_server.client.get(f"/jobs/{job['id']}/pages/0.jpg", params={"longest_side": 80})
    with Image.open(io.BytesIO(small.content)) as image:
        assert image.size == (80, 30)
    assert jobs_server.client.get(f"/jobs/{job['id']}/pages/3.jpg").status_code == 404
    assert jobs_server.client.get(f"/jobs/{job['id']}/files/1").content == pdf(1)
    assert jobs_server.client.get(f"/jobs/{job['id']}/files/2").status_code == 404
    assert jobs_server.client.delete(f"/jobs/{job['id']}").status_code == 204
    assert jobs_server.client.get(f"/jobs/{job['id']}/pages/0.jpg").status_code == 404


@pytest.mark.slow
def test_what_a_cancelled_job_left_is_read_when_it_is_tried_again(make_server: MakeServer) -> None:
    server = make_server(FAKE_SECONDS_PER_PAGE="0.2").start()
    job = server.submit(pdf(30))
    server.wait(job["id"], lambda found: found["ledger"]["ok"] > 3)
    assert server.client.post(f"/jobs/{job['id']}/retry").status_code == 409  # it has not ended
    cancelled = server.client.post(f"/jobs/{job['id']}/cancel").json()
    assert cancelled["status"] == "cancelled"
    read = cancelled["ledger"]["ok"]
    assert read < 30
    again = server.client.post(f"/jobs/{job['id']}/retry").json()
    assert again["status"] == "queued"
    assert again["finished_at"] is None
    done = server.wait(job["id"], lambda found: found["status"] in ("done", "failed"))
    assert done["ledger"] == {"expected": 30, "ok": 30, "degraded": 0, "failed": 0, "pending": 0}
    ended = server.reads("end")
    assert len(set(ended)) == 30
    assert len(ended) == 30, "no page that was read was read twice"


def test_a_job_without_failed_pages_stays_as_it_is(jobs_server: Server) -> None:
    job = jobs_server.submit(pdf(1))
    jobs_server.wait(job["id"], lambda found: found["status"] == "done")
    assert jobs_server.client.post(f"/jobs/{job['id']}/retry").json()["status"] == "done"


@pytest.mark.parametrize("damage", [b"%PDF-1.7 nothing else"])
def test_a_failed_file_is_tried_again(jobs_server: Server, damage: bytes) -> None:
    job = jobs_server.submit(pdf(1), damage)
    done = jobs_server.wait(job["id"], lambda found: found["status"] == "done")
    assert done["ledger"]["failed"] == 1
    jobs_server.client.post(f"/jobs/{job['id']}/retry")
    done = jobs_server.wait(job["id"], lambda found: found["status"] == "done")
    assert (done["ledger"]["ok"], done["ledger"]["failed"]) == (1, 1)
    assert jobs_server.client.get(f"/jobs/{job['id']}/result").status_code == 200
