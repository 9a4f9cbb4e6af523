"""What survives a reload, a crash and a server that goes away; what is shown of trouble and of many files."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import pymupdf
import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenPage
from tests.browser.helpers import choose, download, read, wait_until_drawn
from tests.browser.test_screens import locked_pdf, saved_result
from tests.conftest import running_server

pytestmark = pytest.mark.browser

WRITTEN_MS = 1500  # far longer than the page waits before it writes a draft

# Holds back the answer to a reading until `release()`, as a slow engine does.
HELD = """() => {
  const ask = window.fetch;
  window.fetch = async (path, init) => {
    if (path === '/api/ocr/document') await new Promise((resolve) => (window.release = resolve));
    return ask(path, init);
  };
}"""

# Stands for the engine of the GPU: its text with its marks, a little at a time.
MARKED = """() => {
  const ask = window.fetch;
  const raw = '<|ref|>title<|/ref|><|det|>[[1, 2, 3, 4]]<|/det|>\\n# Planets\\n\\n'
    + '<table><tr><td>Mars</td><td>2';
  const frames = [{type: 'start', kind: 'pdf', pages: 1}, {type: 'page_start', page: 1},
                  {type: 'page_delta', page: 1, delta: raw}];
  window.fetch = async (path, init) => path !== '/api/ocr/document' ? ask(path, init) : new Response(
    new ReadableStream({start: (stream) => frames.forEach(
      (frame) => stream.enqueue(new TextEncoder().encode(JSON.stringify(frame) + '\\n')))}));
}"""


def edit_first_block(page: Page, text: str) -> None:
    page.locator(".block[data-block='0']").dblclick()
    page.get_by_label("Text of this block, as Markdown").fill(text)
    page.keyboard.press("Control+Enter")
    expect(page.locator(".block.edited")).to_contain_text(text)


def test_a_reload_loses_nothing(open_page: OpenPage, page_server: str, samples: Path, tmp_path: Path) -> None:
    page = open_page(f"{page_server}/ui/")
    read(page, samples / "english.png")
    edit_first_block(page, "Corrected by a person")
    expect(page.locator(".document-list")).to_contain_text("Kept in this browser")
    page.wait_for_timeout(WRITTEN_MS)
    page.reload()
    expect(page.locator(".block.edited")).to_contain_text("Corrected by a person")
    wait_until_drawn(page.locator(".sheet canvas"))
    with pymupdf.open(download(page, "Searchable PDF", tmp_path)) as pdf:
        assert "Corrected by a person" in " ".join(pdf[0].get_text().split())
    page.get_by_role("button", name="Clear all").click()
    page.get_by_role("button", name="Remove all").click()
    expect(page.locator(".welcome")).to_be_visible()
    page.wait_for_timeout(WRITTEN_MS)
    page.reload()
    expect(page.locator(".engine.ready")).to_be_visible()
    page.wait_for_timeout(WRITTEN_MS)
    expect(page.locator(".document-list li")).to_have_count(0)


def test_a_crash_in_the_middle_of_reading_keeps_what_was_read(
    open_page: OpenPage, page_server: str, samples: Path
) -> None:
    page = open_page(f"{page_server}/ui/")
    choose(page, [samples / "booklet.pdf"])
    page.get_by_role("button", name="Read", exact=True).click()
    expect(page.locator(".thumbnail.status-ok")).not_to_have_count(0)
    page.wait_for_timeout(WRITTEN_MS // 2)
    again = page.context.new_page()
    page.close()
    again.goto(f"{page_server}/ui/")
    expect(again.locator(".document-list .choose")).to_contain_text("booklet.pdf")
    row = again.locator(".document-list li")
    if "Done" not in row.inner_text():
        row.get_by_role("button", name="Read again").click()
    expect(row).to_contain_text("Done · 3/3")


def test_another_window_keeps_its_own(open_page: OpenPage, server: str, tmp_path: Path) -> None:
    page = open_page(f"{server}/ui/")
    choose(page, [saved_result(tmp_path, 1)])
    page.wait_for_timeout(WRITTEN_MS)
    other = page.context.new_page()
    other.goto(f"{server}/ui/")
    expect(other.locator(".engine.ready")).to_be_visible()
    other.wait_for_timeout(WRITTEN_MS)
    expect(other.locator(".document-list li")).to_have_count(0)


def test_a_site_can_forbid_drafts(open_page: OpenPage, samples: Path, tmp_path: Path) -> None:
    with running_server(tmp_path, BACKEND="fake", PAGE_DRAFTS="0") as url:
        page = open_page(f"{url}/ui/")
        read(page, samples / "english.png")
        expect(page.locator(".document-list")).to_contain_text("Not kept")
        page.wait_for_timeout(WRITTEN_MS)
        assert page.evaluate("indexedDB.databases().then((all) => all.length)") == 0
        page.reload()
        expect(page.locator(".engine.ready")).to_be_visible()
        page.wait_for_timeout(WRITTEN_MS)
        expect(page.locator(".document-list li")).to_have_count(0)


def test_a_server_that_goes_away_is_told_of_and_read_on_from(
    open_page: OpenPage, server: str, samples: Path
) -> None:
    page = open_page(f"{server}/ui/", expected=("ERR_", "Failed to load"))
    choose(page, [samples / "english.png"])
    page.wait_for_load_state("networkidle")
    page.route("**/*", lambda route: route.abort())
    page.get_by_role("button", name="Read", exact=True).click()
    expect(page.get_by_role("alert").first).to_contain_text("does not answer")
    expect(page.locator(".document-list .trouble")).to_contain_text("does not answer")
    page.unroute("**/*")
    page.get_by_role("button", name="Try now").click()
    expect(page.locator(".lost")).to_have_count(0)
    page.get_by_role("button", name="Read again: english.png").click()
    expect(page.locator(".document-list .choose")).to_contain_text("Done")


def test_many_files_are_stopped_at_once(open_page: OpenPage, server: str, samples: Path) -> None:
    page = open_page(f"{server}/ui/")
    page.evaluate(HELD)
    choose(page, [samples / "english.png", samples / "table.png", samples / "german_scan.png"])
    expect(page.locator(".chosen .names")).to_have_text("english.png, table.png, german_scan.png")
    page.get_by_role("button", name="Read", exact=True).click()
    expect(page.locator(".overall")).to_contain_text("0 of 3 documents")
    page.get_by_role("button", name="Cancel all").click()
    page.evaluate("window.release()")
    expect(page.locator(".document-list .choose .muted", has_text="Cancelled")).to_have_count(3)


def test_the_text_is_text_while_it_is_read(open_page: OpenPage, server: str, samples: Path) -> None:
    page = open_page(f"{server}/ui/")
    page.evaluate(MARKED)
    choose(page, [samples / "english.png"])
    page.get_by_role("button", name="Read", exact=True).click()
    live = page.locator(".live")
    expect(live).to_contain_text("Planets")
    assert live.inner_text().split() == ["Planets", "Mars", "2"]


def test_dpi_pages_and_password_count_for_a_zip(
    open_page: OpenPage, server: str, samples: Path, tmp_path: Path
) -> None:
    page = open_page(f"{server}/ui/")
    choose(page, [locked_pdf(tmp_path, samples, "sesame")])
    page.locator("details.options > summary").click()
    page.locator("details.options details summary").click()
    page.get_by_label("From page").fill("2")
    page.get_by_label("Dots per inch").fill("72")
    page.locator(".options").get_by_label("Password").fill("sesame")
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Read to a ZIP").click()
    with zipfile.ZipFile(io.BytesIO(waiting.value.path().read_bytes())) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".json") and "/" in name]
        read_pages = json.loads(archive.read(name))["pages"]
    assert [entry["number"] for entry in read_pages] == [2, 3]
    assert read_pages[0]["width"] == round(read_pages[0]["width_pt"])


def test_word_and_html_hold_the_figures(
    open_page: OpenPage, page_server: str, samples: Path, tmp_path: Path
) -> None:
    from tests.browser.test_reading import TITLES_ARE_FIGURES

    page = open_page(f"{page_server}/ui/")
    page.evaluate(TITLES_ARE_FIGURES)
    read(page, samples / "english.png")
    word = zipfile.ZipFile(download(page, "Word (DOCX)", tmp_path))
    assert [name for name in word.namelist() if name.startswith("word/media/")]
    assert "data:image/jpeg" in download(page, "Web page (HTML)", tmp_path).read_text()
