"""What a person does on the page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from playwright.sync_api import Locator, Page, expect


def choose(page: Page, files: Sequence[Path]) -> None:
    """Put files where they would be dropped."""
    expect(page.locator(".engine.ready")).to_be_visible()
    page.set_input_files("input[data-kind=files]", list(files))


def read(page: Page, *files: Path) -> None:
    """Choose files, have them read and wait until the last is done."""
    choose(page, files)
    page.get_by_role("button", name="Read", exact=True).click()
    expect(page.locator(".document-list .muted", has_text="Done")).to_have_count(len(files))


def download(page: Page, name: str, folder: Path) -> Path:
    """Choose an entry of the download menu. Returns the file that came."""
    page.get_by_role("button", name="Download").click()
    with page.expect_download() as waiting:
        page.get_by_role("menuitem", name=name, exact=True).click()
    target = folder / waiting.value.suggested_filename
    waiting.value.save_as(target)
    return target


# Whether a canvas shows more than one colour: an empty one is all the same.
DRAWN = """canvas => new Promise((resolve) => {
  const look = () => {
    const { width, height } = canvas;
    const pixels = width && canvas.getContext('2d').getImageData(0, 0, width, height).data.buffer;
    if (pixels && new Set(new Uint32Array(pixels)).size > 1) resolve(width);
    else requestAnimationFrame(look);
  };
  look();
})"""


def wait_until_drawn(canvas: Locator) -> int:
    """Wait for a picture to be on its canvas. Returns how many pixels wide it was decoded."""
    expect(canvas).to_be_visible()
    return int(canvas.evaluate(DRAWN))
