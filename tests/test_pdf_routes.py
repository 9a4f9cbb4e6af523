"""The PDF routes, over HTTP, on documents made here, with the fake engine's computable answers."""

from __future__ import annotations

import base64
import json
import threading
from typing import Any

import httpx
import pymupdf
import pytest

BAR = (36.0, 36.0)  # left and top in points; at 144 dpi the pixels are twice that


def document(pages: int = 3, **save: Any) -> bytes:
    """Pages of 200 × 100 pt, each with one bar that is ten times its number wide, in points."""
    pdf = pymupdf.open()
    for number in range(1, pages + 1):
        page = pdf.new_page(width=200, height=100)
        page.draw_rect((*BAR, BAR[0] + 10 * number, BAR[1] + 12), color=None, fill=0)
    data: bytes = pdf.tobytes(**save)
    return data


def read(api: httpx.Client, data: bytes, path: str = "/pdf/ocr", **fields: str) -> dict[str, Any]:
    response = api.post(path, files={"file": ("d.pdf", data)}, data=fields)
    assert response.status_code == 200, response.text
    body: dict[str, Any] = response.json()
    return body


def widths(body: dict[str, Any]) -> list[float]:
    """The width of each page's first box, in pixels."""
    return [box[2] - box[0] for page in body["pages"] for box in [page["blocks"][0]["boxes"][0]]]


def test_pages_come_back_in_order_with_a_ledger(api: httpx.Client) -> None:
    body = read(api, document(12))
    assert body["success"] is True
    assert [page["number"] for page in body["pages"]] == list(range(1, 13))
    assert body["ledger"] == {"expected": 12, "ok": 12, "degraded": 0, "failed": 0}
    assert widths(body)[:7] == pytest.approx([20 * n for n in range(1, 8)], abs=2)
    assert (body["pages"][0]["width"], body["pages"][0]["width_pt"]) == (400, 200)
    assert body["markdown"].count("<!-- page ") == 12


@pytest.mark.parametrize("dpi", [72, 288])
def test_dpi_sets_the_pixels(api: httpx.Client, dpi: int) -> None:
    body = read(api, document(1), dpi=str(dpi))
    assert body["pages"][0]["width"] == round(200 * dpi / 72)


@pytest.mark.parametrize("dpi", ["35", "601", "many"])
def test_dpi_has_bounds(api: httpx.Client, dpi: str) -> None:
    response = api.post("/pdf/ocr", files={"file": document(1)}, data={"dpi": dpi})
    assert response.status_code == 422
    assert "dpi" in response.json()["error"]["message"]


def test_a_range_keeps_the_pages_own_numbers(api: httpx.Client) -> None:
    body = read(api, document(9), page_from="4", page_to="6")
    assert [page["number"] for page in body["pages"]] == [4, 5, 6]
    assert body["ledger"]["expected"] == 3


def test_a_password_opens(api: httpx.Client) -> None:
    locked = document(1, encryption=pymupdf.PDF_ENCRYPT_AES_256, owner_pw="o", user_pw="geheim")
    assert read(api, locked, password="geheim")["ledger"]["ok"] == 1
    wrong = api.post("/pdf/ocr", files={"file": locked}, data={"password": "no"})
    assert wrong.json()["error"]["code"] == "pdf_password_required"


def test_layouts_are_drawn_on_pages_of_the_same_size(api: httpx.Client) -> None:
    body = read(api, document(3), draw_layouts="true")
    drawn = pymupdf.open("pdf", base64.b64decode(body["layout_pdf"]))
    assert [tuple(round(v) for v in page.rect[2:]) for page in drawn] == [(200, 100)] * 3
    assert read(api, document(1))["layout_pdf"] is None


def test_simple_answers_with_text_and_ledger(api: httpx.Client) -> None:
    body = read(api, document(2), "/pdf/ocr/simple")
    assert [page["text"].split()[:2] for page in body["pages"]] == [["72", "72"], ["72", "72"]]
    assert body["text"].strip()
    assert body["ledger"]["expected"] == 2


@pytest.mark.slow
def test_blank_corrupt_huge_and_turned_pages_are_all_accounted_for(api: httpx.Client) -> None:
    clean = read(api, document(3))
    pdf = pymupdf.open("pdf", document(3))
    pdf.new_page(width=200, height=100)  # 4: blank
    pdf.new_page(width=14400, height=14400).draw_rect((720, 720, 9000, 3000), color=None, fill=0)  # 5: huge
    turned = pdf.new_page(width=200, height=100)  # 6: turned
    turned.draw_rect((*BAR, 96, 48), color=None, fill=0)
    turned.set_rotation(90)
    pdf.new_page(width=200, height=100)  # 7: not a page at all
    pdf.update_object(pdf.page_xref(6), "(gone)")
    body = read(api, pdf.tobytes())
    ledger = body["ledger"]
    assert ledger["expected"] == 7
    assert ledger["expected"] == ledger["ok"] + ledger["degraded"] + ledger["failed"]
    assert json.dumps([page["blocks"] for page in body["pages"][:3]]) == json.dumps(
        [page["blocks"] for page in clean["pages"]]
    )
    assert "blank" in " ".join(body["pages"][3]["warnings"]).lower()
    assert body["pages"][3]["blocks"] == []
    assert body["pages"][4]["warnings"]
    assert body["pages"][5]["width"] == 200
    assert "could not be read" in body["markdown"] or ledger["failed"] == 0
    assert body["success"] is (ledger["failed"] == 0)


def test_an_engine_that_fails_leaves_a_placeholder_for_every_page(api: httpx.Client) -> None:
    body = read(api, document(3), prompt="fail")
    assert body["success"] is False
    assert body["ledger"] == {"expected": 3, "ok": 0, "degraded": 0, "failed": 3}
    assert body["markdown"].count("could not be read") == 3
    assert all(page["error"]["code"] == "engine_failed" for page in body["pages"])


def test_a_sound_text_layer_is_taken_where_asked(api: httpx.Client) -> None:
    pdf = pymupdf.open()
    text = "The first paragraph stands here and says what a page of prose would say.\nIt goes on."
    pdf.new_page(width=500, height=200).insert_text((36, 50), text.split("\n"), fontsize=11)
    page = read(api, pdf.tobytes(), text_layer="auto")["pages"][0]
    assert "first paragraph stands here" in page["markdown"]
    assert any("text layer" in warning for warning in page["warnings"])
    line = page["blocks"][0]["lines"][0]
    assert line["box"][0] == pytest.approx(72, abs=3)
    assert read(api, pdf.tobytes())["pages"][0]["raw"]


def test_one_output_is_a_file(api: httpx.Client) -> None:
    response = api.post("/pdf/ocr", files={"file": ("a.pdf", document(1))}, data={"output": "layout_pdf"})
    assert response.headers["content-type"] == "application/pdf"
    assert response.content.startswith(b"%PDF")
    assert 'filename="a_layout.pdf"' in response.headers["content-disposition"]
    assert json.loads(response.headers["x-ledger"]) == {"expected": 1, "ok": 1, "degraded": 0, "failed": 0}
    assert "not OCR" in json.loads(response.headers["x-warnings"])[0]


def test_many_documents_at_once_do_not_mix(api: httpx.Client) -> None:
    results: dict[int, dict[str, Any]] = {}

    def work(pages: int) -> None:
        results[pages] = read(api, document(pages))

    threads = [threading.Thread(target=work, args=(pages,)) for pages in range(1, 7)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {pages: body["ledger"]["ok"] for pages, body in results.items()} == {n: n for n in range(1, 7)}


@pytest.mark.parametrize("path", ["/pdf/status", "/pdf/info"])
def test_the_routes_speak_of_themselves(api: httpx.Client, path: str) -> None:
    assert api.get(path).status_code == 200
