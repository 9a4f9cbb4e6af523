"""Three tasks by keyboard alone, from a fresh page to the file in hand; and the focus is never lost."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenPage
from tests.browser.helpers import choose
from tests.browser.test_screens import locked_pdf, saved_result

pytestmark = pytest.mark.browser

FOCUS = """() => {
  const at = document.activeElement;
  const words = at.getAttribute('aria-label') ?? at.textContent;
  return at === document.body ? 'nothing' : `${at.tagName} ${words}`;
}"""
MOST_TABS = 80


def expect_focus(page: Page) -> None:
    """Wait until something has the focus; what had it may have gone a frame ago."""
    for _ in range(50):
        if page.evaluate(FOCUS) != "nothing":
            return
        page.wait_for_timeout(100)
    pytest.fail("the focus fell to the body")


def tab_to(page: Page, selector: str) -> None:
    """Press Tab until what is sought has the focus, which on the way is always somewhere."""
    for _ in range(MOST_TABS):
        page.keyboard.press("Tab")
        if page.evaluate("selector => document.activeElement.matches(selector)", selector):
            return
    pytest.fail(f"Tab does not lead to {selector}; it is at {page.evaluate(FOCUS)}")


def saved_by_keyboard(page: Page, entry: str, folder: Path) -> Path:
    """Choose an entry of the download menu with the arrows."""
    tab_to(page, ".menu > button")
    page.keyboard.press("Enter")
    expect(page.locator(".menu-list [role=menuitem]").first).to_be_focused()
    for _ in range(20):
        if page.evaluate("document.activeElement.textContent") == entry:
            break
        page.keyboard.press("ArrowDown")
    with page.expect_download() as waiting:
        page.keyboard.press("Enter")
    target = folder / waiting.value.suggested_filename
    waiting.value.save_as(target)
    return target


def test_correct_a_number_in_a_table_and_take_it_as_word(
    open_page: OpenPage, server: str, tmp_path: Path
) -> None:
    page = open_page(f"{server}/ui/")
    choose(page, [saved_result(tmp_path, 1)])
    expect(page.locator(".block.kind-table")).to_be_visible()
    tab_to(page, ".block.kind-table")
    page.keyboard.press("Enter")
    expect(page.locator(".table-editor textarea").first).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    assert page.evaluate("document.activeElement.value") == "97"
    page.keyboard.type("98")
    page.keyboard.press("Control+Enter")
    expect(page.locator(".block.kind-table")).to_be_focused()
    expect(page.locator(".block.kind-table td", has_text="98")).to_be_visible()
    page.keyboard.press("Shift+Tab")
    word = zipfile.ZipFile(saved_by_keyboard_backwards(page, "Word (DOCX)", tmp_path))
    text = word.read("word/document.xml").decode()
    assert "98" in text
    assert "97" not in text
    expect(page.locator(".menu > button")).to_be_focused()


def saved_by_keyboard_backwards(page: Page, entry: str, folder: Path) -> Path:
    """The way to the menu from within the document, by Shift and Tab."""
    for _ in range(MOST_TABS):
        if page.evaluate("document.activeElement.matches('.menu > button')"):
            break
        page.keyboard.press("Shift+Tab")
    page.keyboard.press("Shift+Tab")
    return saved_by_keyboard(page, entry, folder)


def test_walk_all_doubtful_places_of_twenty_pages(open_page: OpenPage, server: str, tmp_path: Path) -> None:
    page = open_page(f"{server}/ui/")
    choose(page, [saved_result(tmp_path, 20)])
    expect(page.locator(".to-review")).to_have_text("Check 60 places")
    page.keyboard.press("F8")
    expect(page.locator(".review")).to_be_focused()
    for number in range(20):
        expect(page.locator(".review [role=status]")).to_contain_text(f"{60 - 3 * number} open")
        expect(page.locator(f".page[aria-label='Page {number + 1}'] rect.reviewed-place")).to_be_in_viewport()
        page.keyboard.press("o")
        expect(page.locator(".review [role=status]")).to_contain_text("not sure")
        page.keyboard.press("e")
        expect(page.get_by_label("What it says here")).to_be_focused()
        page.keyboard.type("A line that is easy to read")
        page.keyboard.press("Enter")
        expect(page.locator(".review [role=status]")).to_contain_text("Nothing was read")
        expect(page.locator(".review")).to_be_focused()
        page.keyboard.press("a")
    expect(page.locator(".review [role=status]")).to_contain_text("0 open")
    page.keyboard.press("Escape")
    expect(page.locator("[aria-keyshortcuts=F8]")).to_be_focused()
    expect(page.locator("[aria-keyshortcuts=F8]")).to_have_text("All places checked")
    page.keyboard.press("Shift+Tab")
    read = json.loads(saved_by_keyboard(page, "JSON", tmp_path).read_text())
    assert len(read["pages"]) == 20
    assert read["reviewed_places"] == 60
    assert read["reviewed_at"]
    for entry in read["pages"]:
        assert [review["decision"] for review in entry["reviews"]] == ["corrected", "corrected", "accepted"]
        texts = [block["text"] for block in entry["blocks"]]
        assert f"Seen in 1993 by observer {entry['number']}." in texts
        assert "A line that is easy to read" in texts


def test_unlock_a_pdf(open_page: OpenPage, server: str, samples: Path, tmp_path: Path) -> None:
    page = open_page(f"{server}/ui/", expected=("422",))
    choose(page, [locked_pdf(tmp_path, samples, "sesame")])
    tab_to(page, ".actions .primary")
    page.keyboard.press("Enter")
    expect(page.locator(".document-list .unlock")).to_be_visible()
    expect_focus(page)
    tab_to(page, ".document-list .unlock input")
    page.keyboard.type("a guess")
    page.keyboard.press("Enter")
    expect(page.locator(".document-list .unlock")).to_be_visible()
    expect_focus(page)
    page.evaluate("document.querySelector('.choose').focus()")
    tab_to(page, ".document-list .unlock input")
    page.keyboard.type("sesame")
    page.keyboard.press("Enter")
    expect(page.locator(".document-list .choose")).to_contain_text("Done · 3/3")
    expect_focus(page)


def test_the_focus_is_never_lost(open_page: OpenPage, server: str, tmp_path: Path) -> None:
    page = open_page(f"{server}/ui/")
    choose(page, [saved_result(tmp_path, 1, "one.json"), saved_result(tmp_path, 1, "two.json")])
    expect(page.locator(".document-list li")).to_have_count(2)

    def press(selector: str) -> None:
        button = page.locator(selector).first
        button.focus()
        page.keyboard.press("Enter")
        expect_focus(page)

    press("[aria-label='Remove from this page: one']")
    page.get_by_role("button", name="Usage").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog", name="Usage")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Usage")).to_be_focused()
    press(".overall button")
    press(".overall .note button")
    expect(page.locator(".document-list li")).to_have_count(0)
    expect_focus(page)
