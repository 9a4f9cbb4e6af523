"""A server with accounts in this process, and people who ask it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from argon2 import PasswordHasher
from fastapi.testclient import TestClient

from airgap.accounts import credentials
from config import Settings
from serve_ocr import create_app
from tests.accounts.conftest import ADMIN, SECRET_KEY

Headers = dict[str, str]
QUICK = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)


def settings_of(folder: Path, **settings: Any) -> Settings:
    known = {"bootstrap_user": ADMIN[0], "bootstrap_pass": ADMIN[1], "secret_key": SECRET_KEY}
    return Settings(backend="fake", data_dir=folder, **{"auth_enabled": True, **known, **settings})


@pytest.fixture(scope="module", autouse=True)
def quick_hashing() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(credentials, "PasswordHasher", lambda: QUICK)
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def client(folder: Path, quick_hashing: None) -> Iterator[TestClient]:
    with TestClient(create_app(settings_of(folder, key_pages_per_day=4))) as opened:
        yield opened


def log_in(client: TestClient, name: str, password: str) -> Headers:
    answer = client.post("/api/auth/token", data={"username": name, "password": password})
    return {"Authorization": f"Bearer {answer.raise_for_status().json()['access_token']}"}


@pytest.fixture
def root(client: TestClient) -> Headers:
    return log_in(client, *ADMIN)


def user(client: TestClient, root: Headers, name: str) -> Headers:
    body = {"username": name, "password": f"{name} and her horse"}
    client.post("/api/auth/register", json=body, headers=root).raise_for_status()
    return log_in(client, name, body["password"])


def entries(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "audit/audit.jsonl").read_text().splitlines()]


def throttled(folder: Path) -> int:
    """How many tries were summed up so far."""
    return sum(entry["tries"] for entry in entries(folder) if entry["event"] == "login_throttled")


def refused(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


def recent(when: str) -> bool:
    found = datetime.fromisoformat(when)
    return abs((found if found.tzinfo else found.replace(tzinfo=UTC)) - datetime.now(UTC)) < timedelta(
        minutes=2
    )
