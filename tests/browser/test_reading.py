"""Reading on the page, against the real server on the CPU engine."""

from __future__ import annotations

import io
import json
import re
import zipfile
from pathlib import Path

import httpx
import pymupdf
import pytest
from playwright.sync_api import Locator, expect

from tests.browser.conftest import OpenPage
from tests.browser.helpers import choose, download, read, wait_until_drawn

pytestmark = pytest.mark.browser

# Keeps every text that the progress of the document has shown.
WATCH = """() => {
  window.shownProgress = [];
  new MutationObserver(() => {
    const text = document.querySelector('.progress .numbers')?.textContent;
    if (text && window.shownProgress.at(-1) !== text) window.shownProgress.push(text);
  }).observe(document.body, {subtree: true, childList: true, characterData: true});
}"""

# The engine of these tests knows no figures: what it calls a title is one.
TITLES_ARE_FIGURES = """() => {
  const ask = window.fetch;
  window.fetch = async (path, init) => {
    const answer = await ask(path, init);
    if (path !== '/api/ocr/document') return answer;
    const frames = await answer.text();
    return new Response(frames.replaceAll(/"label": ?"(sub_)?title"/g, '"label": "image"'), answer);
  };
}"""


def test_an_image(open_page: OpenPage, page_server: str, samples: Path) -> None:
    page = open_page(page_server)
    assert page.url == f"{page_server}/ui/"
    read(page, samples / "table.png")
    table = page.locator(".block.kind-table")
    expect(table.locator("td", has_text="Jupiter")).to_be_visible()
    index = table.get_attribute("data-block")
    table.hover()
    expect(page.locator(f"rect.box.lit[data-box='{index}']")).to_have_count(1)
    page.locator("rect.box[data-box='0']").hover()
    expect(page.locator(".block.lit")).to_have_attribute("data-block", "0")
    page.locator("rect.box[data-box='0']").click()
    expect(page.locator(".block[data-block='0']")).to_be_focused()
    page.get_by_role("button", name="JSON", exact=True).click()
    shown = json.loads(page.locator(".words pre").inner_text())
    assert shown["width"] > 0
    page.get_by_role("button", name="Raw", exact=True).click()
    expect(page.locator(".words pre")).to_contain_text("Jupiter")


def attribute(place: Locator, name: str) -> str:
    value = place.get_attribute(name)
    assert value is not None
    return value


def width_of(place: Locator) -> float:
    box = place.bounding_box()
    assert box is not None
    return box["width"]


def test_boxes_lie_where_the_text_is(open_page: OpenPage, page_server: str, samples: Path) -> None:
    page = open_page(page_server)
    read(page, samples / "booklet.pdf")
    sheet = page.locator(".page").first.locator(".sheet")
    picture, boxes = sheet.locator("canvas").bounding_box(), sheet.locator("svg").bounding_box()
    assert picture == boxes
    assert picture is not None
    width, height = (int(n) for n in attribute(sheet.locator("svg"), "viewBox").split()[2:])
    assert picture["width"] / picture["height"] == pytest.approx(width / height, rel=0.01)


def test_a_figure_is_cut_out_of_the_page(open_page: OpenPage, page_server: str, samples: Path) -> None:
    page = open_page(page_server)
    page.evaluate(TITLES_ARE_FIGURES)
    read(page, samples / "english.png")
    block = page.locator(".block.kind-figure").first
    figure = block.locator(".crop canvas")
    drawn = wait_until_drawn(figure)
    index = block.get_attribute("data-block")
    box = page.locator(f"rect.box[data-box='{index}']")
    width, height = (float(attribute(box, name)) for name in ("width", "height"))
    assert drawn / int(attribute(figure, "height")) == pytest.approx(width / height, rel=0.05)


def test_a_pdf_page_by_page(open_page: OpenPage, page_server: str, samples: Path) -> None:
    page = open_page(page_server)
    page.evaluate(WATCH)
    read(page, samples / "booklet.pdf")
    shown = page.evaluate("window.shownProgress")
    assert [text for text in shown if text.startswith(("1 of 3", "2 of 3"))], shown
    assert shown[-1] == "3 of 3 pages"
    expect(page.get_by_role("navigation", name="Go to page").get_by_role("button")).to_have_count(3)
    page.get_by_role("button", name="Page 3, Read").click()
    wait_until_drawn(page.locator(".page[aria-label='Page 3'] .sheet canvas"))
    wait_until_drawn(page.locator(".thumbnail canvas").last)


def test_a_picture_is_decoded_as_wide_as_it_is_shown(
    open_page: OpenPage, page_server: str, samples: Path
) -> None:
    page = open_page(page_server)
    page.set_viewport_size({"width": 1440, "height": 700})
    read(page, samples / "german_scan.png")
    canvas = page.locator(".sheet canvas")
    narrow = wait_until_drawn(canvas)
    assert narrow == pytest.approx(width_of(canvas), abs=1)
    page.get_by_role("button", name="Full width").click()
    expect(canvas).not_to_have_attribute("width", str(narrow))
    wide = wait_until_drawn(canvas)
    assert wide > narrow
    assert wide == pytest.approx(width_of(canvas), abs=1)


def test_files_to_a_zip(open_page: OpenPage, page_server: str, samples: Path) -> None:
    page = open_page(page_server)
    choose(page, [samples / "english.png", samples / "table.png"])
    expect(page.locator(".chosen")).to_contain_text("2 files")
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Read to a ZIP").click()
    names = zipfile.ZipFile(io.BytesIO(waiting.value.path().read_bytes())).namelist()
    assert {"manifest.json", "english/english.md", "table/table.json", "table/table_searchable.pdf"} <= set(
        names
    )


def test_a_folder(open_page: OpenPage, page_server: str, samples: Path, tmp_path: Path) -> None:
    folder = tmp_path / "scans" / "inner"
    folder.mkdir(parents=True)
    (folder / "a.png").write_bytes((samples / "english.png").read_bytes())
    (folder / ".hidden").write_bytes(b"not this one")
    page = open_page(page_server)
    expect(page.locator(".engine.ready")).to_be_visible()
    page.set_input_files("input[data-kind=folder]", tmp_path / "scans")
    expect(page.locator(".chosen")).to_contain_text("1 files")


def test_a_pasted_picture(open_page: OpenPage, page_server: str, samples: Path) -> None:
    page = open_page(page_server)
    expect(page.locator(".engine.ready")).to_be_visible()
    page.evaluate(
        """(bytes) => {
          const data = new DataTransfer();
          data.items.add(new File([new Uint8Array(bytes)], "pasted.png", {type: "image/png"}));
          window.dispatchEvent(new ClipboardEvent("paste", {clipboardData: data}));
        }""",
        list((samples / "english.png").read_bytes()),
    )
    expect(page.locator(".chosen")).to_contain_text("1 files")


def test_cancel(open_page: OpenPage, page_server: str, tmp_path: Path, samples: Path) -> None:
    long = tmp_path / "long.pdf"
    with pymupdf.open(samples / "booklet.pdf") as booklet, pymupdf.open() as document:
        for _ in range(8):
            document.insert_pdf(booklet)
        document.save(long)
    page = open_page(page_server)
    choose(page, [long])
    page.get_by_role("button", name="Read", exact=True).click()
    expect(page.locator(".page.status-reading")).to_have_count(1)
    page.locator(".toolbar").get_by_role("button", name="Cancel").click()
    expect(page.locator(".toolbar .badge.cancelled")).to_be_visible()
    for _ in range(300):
        if httpx.get(f"{page_server}/info", trust_env=False).json()["load"]["requests"] == 0:
            break
        page.wait_for_timeout(200)
    else:
        pytest.fail("the server went on reading")
    finished = int(re.findall(r"\d+", page.locator(".progress .numbers").inner_text())[0])
    assert finished < 24
    read(page, samples / "english.png")  # and the next is read


def test_edit_and_export(open_page: OpenPage, page_server: str, samples: Path, tmp_path: Path) -> None:
    page = open_page(page_server)
    read(page, samples / "english.png")
    block = page.locator(".block[data-block='0']")
    block.dblclick()
    page.get_by_label("Text of this block, as Markdown").fill("Corrected by a **person**")
    page.keyboard.press("Control+Enter")
    expect(block.locator("strong")).to_have_text("person")
    expect(block).to_contain_text("Edited by hand")
    assert "Corrected by a **person**" in download(page, "Markdown", tmp_path).read_text()
    docx = zipfile.ZipFile(download(page, "Word (DOCX)", tmp_path))
    parts = [name for name in docx.namelist() if name.startswith(("word/document", "word/header"))]
    assert any("Corrected by a" in docx.read(name).decode() for name in parts)
    with pymupdf.open(download(page, "Searchable PDF", tmp_path)) as pdf:
        assert "Corrected by a" in " ".join(pdf[0].get_text().split())
    files = zipfile.ZipFile(download(page, "ZIP with everything", tmp_path))
    assert b"Corrected by a" in files.read("english/english.md")


def test_editing_by_keyboard_alone(open_page: OpenPage, page_server: str, samples: Path) -> None:
    page = open_page(page_server)
    read(page, samples / "english.png")
    first, second = page.locator(".block[data-block='0']"), page.locator(".block[data-block='1']")
    before = first.inner_text()
    first.focus()
    page.keyboard.press("Enter")
    editor = page.get_by_label("Text of this block, as Markdown")
    expect(editor).to_be_focused()
    editor.fill("never mind")
    page.keyboard.press("Escape")
    expect(first).to_be_focused()
    expect(editor).to_have_count(0)
    assert "never mind" not in first.inner_text()
    assert before.split("\n")[0] in first.inner_text() or first.inner_text() in before
    page.keyboard.press("ArrowDown")
    expect(second).to_be_focused()


def test_find(open_page: OpenPage, page_server: str, samples: Path) -> None:
    page = open_page(page_server)
    read(page, samples / "booklet.pdf")
    page.keyboard.press("Control+f")
    box = page.get_by_role("searchbox", name="Find in the document")
    expect(box).to_be_focused()
    box.fill("Jupiter")
    expect(page.locator(".find-state")).to_have_text("1 of 1")
    page.keyboard.press("Enter")
    expect(page.locator(".page[aria-label='Page 3'] td", has_text="Jupiter")).to_be_in_viewport()
    assert page.evaluate("CSS.highlights.get('find-current').size") == 1
    box.fill("there is no such word")
    expect(page.locator(".find-state")).to_have_text("Not found")


def test_what_cannot_be_read_says_why(open_page: OpenPage, page_server: str, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.png"
    damaged.write_bytes(b"\x89PNG\r\n\x1a\n and nothing else")
    page = open_page(page_server, expected=("400",))
    choose(page, [damaged])
    page.get_by_role("button", name="Read", exact=True).click()
    page.locator(".document-list .choose").click()
    expect(page.locator(".document-list .choose .bad")).to_contain_text("Failed")
    expect(page.locator(".toolbar .note.failed")).to_contain_text("What helps:")


def test_a_saved_result_opens_again(
    open_page: OpenPage, page_server: str, samples: Path, tmp_path: Path
) -> None:
    page = open_page(page_server)
    read(page, samples / "table.png")
    saved = download(page, "JSON", tmp_path)
    page.get_by_role("button", name="Remove from this page").click()
    expect(page.locator(".welcome")).to_be_visible()
    page.set_input_files("input[data-kind=files]", saved)
    expect(page.locator(".block.kind-table td", has_text="Jupiter")).to_be_visible()
