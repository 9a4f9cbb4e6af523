"""A server with jobs in this process, and what its routes tell."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

from config import Settings
from serve_ocr import create_app
from tests.jobs.helpers import pdf, wait_for


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    settings = Settings(backend="fake", data_dir=tmp_path_factory.mktemp("data"))
    with TestClient(create_app(settings)) as client:
        yield client


def test_one(client):
    answer = client.post("/jobs", files={"files": ("a.pdf", pdf(3))})
    assert answer.status_code == 202
    job = answer.json()["id"]
    wait_for(lambda: client.get(f"/jobs/{job}").json()["status"] == "done")
    print(client.get(f"/jobs/{job}").json())
