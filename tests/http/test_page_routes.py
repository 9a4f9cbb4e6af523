"""The page's files: found, compressed, kept, guarded; and the API without them."""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from airgap.http import page_routes


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A built page, with a secret beside it."""
    built = tmp_path / "dist"
    (built / "assets").mkdir(parents=True)
    (built / "index.html").write_text("<!doctype html><title>page</title>" + " " * 1000)
    (built / "assets" / "index-abc.js").write_text("export const a = 1;" * 100)
    (built / "assets" / "font-abc.woff2").write_bytes(b"wOF2" * 100)
    (tmp_path / "secret.txt").write_text("secret")
    monkeypatch.setattr(page_routes, "PAGE", built)
    page_routes._files.cache_clear()
    return built


@pytest.fixture
async def client(page: Path) -> AsyncIterator[httpx.AsyncClient]:
    app = FastAPI()
    app.include_router(page_routes.router)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
        yield client
    page_routes._files.cache_clear()


async def test_the_page_and_its_policy(client: httpx.AsyncClient) -> None:
    answer = await client.get("/ui/")
    assert answer.status_code == 200
    assert answer.text.startswith("<!doctype html>")
    assert answer.headers["content-security-policy"] == page_routes.CONTENT_SECURITY_POLICY
    assert answer.headers["cache-control"] == "no-cache"
    assert (await client.get("/ui")).headers["location"] == "/ui/"


async def test_text_is_compressed_and_fonts_are_not(client: httpx.AsyncClient, page: Path) -> None:
    path = "assets/index-abc.js"
    async with client.stream("GET", f"/ui/{path}", headers={"Accept-Encoding": "gzip"}) as answer:
        raw = b"".join([piece async for piece in answer.aiter_raw()])
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.headers["content-length"] == str(len(raw))
    assert "immutable" in answer.headers["cache-control"]
    assert gzip.decompress(raw) == (page / path).read_bytes()
    plain = await client.get(f"/ui/{path}", headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert plain.headers["vary"] == "Accept-Encoding"
    font = await client.get("/ui/assets/font-abc.woff2", headers={"Accept-Encoding": "gzip"})
    assert "content-encoding" not in font.headers


async def test_a_new_build_is_served_at_once(client: httpx.AsyncClient, page: Path) -> None:
    await client.get("/ui/")
    (page / "index.html").write_text("<!doctype html><title>new</title>")
    assert "new" in (await client.get("/ui/")).text


@pytest.mark.parametrize(
    "path", ["../secret.txt", "%2e%2e/secret.txt", "assets/..%2f..%2fsecret.txt", "nothing.js"]
)
async def test_nothing_beside_the_page_is_served(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(f"/ui/{path}")
    assert answer.status_code == 404
    assert "secret" not in answer.text


async def test_what_is_unchanged_is_not_sent_again(client: httpx.AsyncClient) -> None:
    first = await client.get("/ui/", headers={"Accept-Encoding": "identity"})
    again = await client.get("/ui/", headers={"If-None-Match": first.headers["etag"]})
    assert again.status_code == 304
    assert again.headers["content-security-policy"]


def test_without_a_build_the_feature_says_how_to_make_one(page: Path) -> None:
    assert page_routes.unavailable() is None
    (page / "index.html").unlink()
    reason = page_routes.unavailable()
    assert reason is not None
    assert "make web" in reason


def test_the_policy_allows_nothing_inline_and_nothing_from_elsewhere() -> None:
    policy = page_routes.CONTENT_SECURITY_POLICY
    assert "unsafe" not in policy
    assert "*" not in policy
    assert "http" not in policy
