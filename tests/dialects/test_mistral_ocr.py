"""Mistral's OCR and files: the requests of its client, of LiteLLM and of Open WebUI's loader."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from airgap.dialects.file_store import FileStore
from config import Settings
from tests.conftest import ROOT, running_server
from tests.dialects.drawing import data_url, pdf, png
from tests.dialects.reference import own_answer


def ask(api: httpx.Client, document: dict[str, Any], **fields: Any) -> httpx.Response:
    return api.post("/v1/ocr", json={"model": "mistral-ocr-latest", "document": document, **fields})


def as_data_url(data: bytes) -> dict[str, str]:
    return {"type": "document_url", "document_url": data_url(data, "application/pdf")}


def send(api: httpx.Client, data: bytes) -> dict[str, Any]:
    answer = api.post("/v1/files", files={"file": ("b.pdf", data)}, data={"purpose": "ocr"})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_a_document_in_the_request(api: httpx.Client) -> None:
    data = pdf(3)
    answer = ask(api, as_data_url(data))
    assert answer.status_code == 200, answer.text
    own = own_answer(api, data)
    found = answer.json()
    assert [page["index"] for page in found["pages"]] == [0, 1, 2]
    assert [page["markdown"] for page in found["pages"]] == [page["markdown"] for page in own["pages"]]
    assert found["pages"][0]["dimensions"] == {"dpi": 144, "width": 1000, "height": 999}
    assert found["usage_info"] == {"pages_processed": 3, "doc_size_bytes": len(data)}
    assert found["model"] == own["model"]


def test_a_picture_in_the_request(api: httpx.Client) -> None:
    for url in (data_url(png()), {"url": data_url(png())}):
        found = ask(api, {"type": "image_url", "image_url": url}).json()
        assert len(found["pages"]) == 1
        assert found["pages"][0]["markdown"].strip() == own_answer(api, png())["markdown"].strip()


@pytest.mark.parametrize(("pages", "indexes"), [([2, 0], [2, 0]), ("0,2-3", [0, 2, 3]), ([], [0, 1, 2, 3])])
def test_pages_are_chosen(api: httpx.Client, pages: Any, indexes: list[int]) -> None:
    found = ask(api, as_data_url(pdf(4)), pages=pages).json()
    assert [page["index"] for page in found["pages"]] == indexes
    assert found["usage_info"]["pages_processed"] == len(indexes)


@pytest.mark.parametrize(
    "pages", [[7], [-1], "x", "1-", "1-0", [1, 9], ",".join(["0-99999"] * 50), "0," * 60_000]
)
def test_pages_that_are_not_there(api: httpx.Client, pages: Any) -> None:
    assert ask(api, as_data_url(pdf(2)), pages=pages).status_code == 422


@pytest.mark.parametrize(
    "fields",
    [
        {"document_annotation_format": {"type": "json_schema"}},
        {"table_format": "markdown"},
        {"confidence_scores_granularity": "word"},
    ],
)
def test_what_is_not_made_is_refused_and_not_ignored(api: httpx.Client, fields: dict[str, Any]) -> None:
    answer = ask(api, as_data_url(pdf(1)), **fields)
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "unsupported_option"


def test_a_file_is_sent_signed_read_and_deleted(api: httpx.Client) -> None:
    data = pdf(2)
    file = send(api, data)
    assert file["bytes"] == len(data)
    assert file["expires_at"] > time.time()
    url = api.get(f"/v1/files/{file['id']}/url", params={"expiry": 1}).json()["url"]
    found = ask(api, {"type": "document_url", "document_url": url}).json()
    assert [page["markdown"] for page in found["pages"]] == [
        page["markdown"] for page in own_answer(api, data)["pages"]
    ]
    assert ask(api, {"type": "file", "file_id": file["id"]}).json()["pages"] == found["pages"]
    assert api.get(url).content == data
    assert api.delete(f"/v1/files/{file['id']}").json() == {
        "id": file["id"],
        "object": "file",
        "deleted": True,
    }
    assert ask(api, {"type": "file", "file_id": file["id"]}).status_code == 404
    assert ask(api, {"type": "document_url", "document_url": url}).status_code == 404


def test_a_link_that_is_not_ours_is_fetched_by_the_sites_rules(api: httpx.Client) -> None:
    file = send(api, pdf(1))
    url = api.get(f"/v1/files/{file['id']}/url").json()["url"]
    forged = ask(api, {"document_url": url[:-4] + "0000"})
    assert forged.status_code == 403
    other = ask(api, {"document_url": "http://files.example/v1/files/x/content?signature=1"})
    assert other.json()["error"]["code"] == "url_refused"
    unsigned = ask(api, {"document_url": url.partition("?")[0]})
    assert unsigned.json()["error"]["code"] == "url_refused"


def test_without_accounts_nobody_is_told_of_files(api: httpx.Client) -> None:
    assert api.get("/v1/files").status_code == 403
    assert api.get("/v1/files/../../etc/passwd").status_code in (403, 404)
    assert api.get(f"/v1/files/{'0' * 32}").status_code == 404


@pytest.fixture(scope="module")
def with_accounts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    settings = {"BACKEND": "fake", "AUTH_ENABLED": "1", "SECRET_KEY": "k" * 40, "REGISTRATION": "open"}
    with running_server(tmp_path_factory.mktemp("accounts"), **settings) as url:
        yield url


def logged_in(url: str, name: str) -> httpx.Client:
    form = {"username": name, "password": f"{name}'s long password"}
    assert httpx.post(f"{url}/api/auth/register", json=form, trust_env=False).status_code < 300
    token = httpx.post(f"{url}/api/auth/token", data=form, trust_env=False).json()["access_token"]
    return httpx.Client(
        base_url=url, headers={"Authorization": f"Bearer {token}"}, trust_env=False, timeout=60
    )


@pytest.mark.slow
def test_a_file_is_its_callers_alone(with_accounts: str) -> None:
    with logged_in(with_accounts, "alice") as alice, logged_in(with_accounts, "mallory") as mallory:
        file = send(alice, pdf(1))
        url = alice.get(f"/v1/files/{file['id']}/url").json()["url"]
        assert [entry["id"] for entry in alice.get("/v1/files").json()["data"]] == [file["id"]]
        assert mallory.get("/v1/files").json()["data"] == []
        for path in ("", "/url", "/content"):
            assert mallory.get(f"/v1/files/{file['id']}{path}").status_code == 404
        assert mallory.delete(f"/v1/files/{file['id']}").status_code == 404
        assert ask(mallory, {"document_url": url}).status_code == 404
        assert ask(mallory, {"file_id": file["id"]}).status_code == 404
        assert ask(alice, {"document_url": url}).status_code == 200
        assert httpx.get(url, trust_env=False).status_code == 401


@pytest.mark.slow
def test_figures_are_named_in_the_text_and_listed(cpu_api: httpx.Client) -> None:
    data = (ROOT / "samples" / "booklet.pdf").read_bytes()
    found = ask(cpu_api, as_data_url(data), include_image_base64=True, include_blocks=True).json()
    named = [image for page in found["pages"] for image in page["images"]]
    assert named
    for page in found["pages"]:
        for image in page["images"]:
            assert f"]({image['id']})" in page["markdown"]
            assert image["image_base64"].startswith("data:image/jpeg;base64,/9j/")
        assert [b["image_id"] for b in page["blocks"] if b["type"] == "image"] == [
            i["id"] for i in page["images"]
        ]
    without = ask(cpu_api, as_data_url(data), image_limit=0).json()
    assert not any(page["images"] for page in without["pages"])
    assert all(image["bottom_right_x"] > image["top_left_x"] for image in named)


def test_tables_apart(cpu_api: httpx.Client) -> None:
    picture = (ROOT / "samples" / "table.png").read_bytes()
    document = {"type": "image_url", "image_url": data_url(picture)}
    (page,) = ask(cpu_api, document, table_format="html", confidence_scores_granularity="page").json()[
        "pages"
    ]
    assert page["tables"][0]["content"].lstrip().startswith("<table")
    assert f"[{page['tables'][0]['id']}]({page['tables'][0]['id']})" in page["markdown"]
    assert "<table" not in page["markdown"]
    assert 0 < page["confidence_scores"]["minimum_page_confidence_score"] <= 1


# --- the store -----------------------------------------------------------------------------------


def kept(
    store: FileStore, folder: Path, caller: str = "a", size: int = 10, hours: float | None = None
) -> Any:
    path = folder / "sent"
    path.write_bytes(b"x" * size)
    return store.add(path, caller=caller, name="a.pdf", purpose="ocr", hours=hours)


def test_expired_files_are_gone_and_swept(tmp_path: Path) -> None:
    store = FileStore(Settings(data_dir=tmp_path))
    file = kept(store, tmp_path, hours=0.000001)
    lasting = kept(store, tmp_path)
    time.sleep(1)
    with pytest.raises(Exception, match="no such file"):
        store.get("a", file.id)
    assert [entry.id for entry in store.files("a")] == [lasting.id]
    assert store.path("a", file).exists()
    store.sweep()
    assert not store.path("a", file).exists()
    assert store.get("a", lasting.id) == lasting
    store.delete("a", lasting)
    store.sweep()
    assert list((tmp_path / "files").iterdir()) == []


def test_a_callers_files_are_bounded(tmp_path: Path) -> None:
    store = FileStore(Settings(data_dir=tmp_path, files_max_mb_per_caller=1))
    kept(store, tmp_path, size=700_000)
    with pytest.raises(Exception, match="no place for more"):
        kept(store, tmp_path, size=700_000)
    kept(store, tmp_path, caller="b", size=700_000)


def test_a_lent_file_survives_its_deletion(tmp_path: Path) -> None:
    store = FileStore(Settings(data_dir=tmp_path))
    file = kept(store, tmp_path)
    store.lend("a", file, tmp_path / "lent")
    store.delete("a", file)
    assert (tmp_path / "lent").read_bytes() == b"x" * 10


def test_links_end_with_their_time(tmp_path: Path) -> None:
    store = FileStore(Settings(data_dir=tmp_path))
    file = kept(store, tmp_path)
    store.check_link(file, **store.sign(file, 1))
    with pytest.raises(Exception, match="expired"):
        store.check_link(file, **store.sign(file, 0))
    with pytest.raises(Exception, match="not one that this server made"):
        store.check_link(file, "9" * 10, store.sign(file, 1)["signature"])
