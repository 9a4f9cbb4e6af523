"""Eight screens in four languages, both themes and three sizes: nothing is cut off or out of reach.

The pictures are left in build/screens, one sheet for each language and theme, to be looked at.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pymupdf
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenPage
from tests.conftest import ROOT

pytestmark = pytest.mark.browser

SHEETS = ROOT / "build" / "screens"
SIZES = {"phone": (390, 844), "laptop": (1366, 768), "desktop": (1920, 1080)}
LANGUAGES = {"en": "en-GB", "zh-Hant": "zh-TW", "zh-Hans": "zh-CN", "ru": "ru-RU"}

# What is cut off: text wider than what holds it, a control beyond the edge, a choice wider than its select.
CUT_OFF = """() => {
  const problems = [];
  const say = (element, why) => {
    const text = (element.textContent || '').slice(0, 60);
    problems.push(`${why}: <${element.tagName.toLowerCase()} class="${element.className}"> ${text}`);
  };
  const scrolls = (element) => {
    for (let around = element.parentElement; around; around = around.parentElement)
      if (around.scrollWidth > around.clientWidth && /auto|scroll/.test(getComputedStyle(around).overflowX))
        return true;
    return false;
  };
  const root = document.documentElement;
  if (root.scrollWidth > innerWidth) say(root, 'the page is wider than the screen');
  const looked = 'button, select, input, summary, label, h1, h2, h3, legend, .badge';
  for (const element of (document.querySelector('dialog[open]') ?? document).querySelectorAll(looked)) {
    if (!element.checkVisibility() || element.closest('[hidden], .skip')) continue;
    const box = element.getBoundingClientRect();
    if (!box.width || !box.height) continue;
    const style = getComputedStyle(element);
    if ((box.right > innerWidth + 1 || box.left < -1) && !scrolls(element)) say(element, 'beyond the edge');
    const shortened = style.textOverflow === 'ellipsis' && element.title;
    const words = !/^(SELECT|INPUT)$/.test(element.tagName) && style.display !== 'inline' && !shortened;
    if (words && element.scrollWidth > element.clientWidth + 1) say(element, 'cut off');
    const pen = document.createElement('canvas').getContext('2d');
    pen.font = style.font;
    const padding = parseFloat(style.paddingLeft) + parseFloat(style.paddingRight);
    const room = element.clientWidth - padding - (element.tagName === 'SELECT' ? 16 : 0);
    const choice = element.placeholder ?? element.selectedOptions?.[0]?.textContent;
    if (choice && pen.measureText(choice).width > room + 1) say(element, `“${choice}” does not fit`);
  }
  return problems;
}"""

TABLE = (
    "<table><tr><th>Planet</th><th>Moons</th></tr><tr><td>Mars</td><td>2</td></tr>"
    "<tr><td>Jupiter</td><td>97</td></tr></table>"
)


def line(text: str, top: int, confidence: float) -> dict[str, Any]:
    return {"text": text, "box": [60, top, 60 + 9 * len(text), top + 24], "confidence": confidence}


def block(label: str, text: str, top: int, confidence: float = 0.97) -> dict[str, Any]:
    lines = [] if "<table" in text else [line(text.lstrip("# "), top, confidence)]
    box = [60, top, 540, top + (90 if "<table" in text else 24)]
    return {"label": label, "text": text, "boxes": [box], "confidence": confidence, "lines": lines}


def page_of(number: int) -> dict[str, Any]:
    """A page with a doubtful line, a disagreement and a place that was not read."""
    return {
        "number": number,
        "width": 600,
        "height": 800,
        "width_pt": 450.0,
        "height_pt": 600.0,
        "status": "ok",
        "confidence": 0.9,
        "finish_reason": "stop",
        "blocks": [
            block("title", f"# The planets, part {number}", 50),
            block("text", f"Seen in 1998 by observer {number}.", 120),
            block("text", "A llne that is hard to read", 180, 0.6),
            block("table", TABLE, 260),
        ],
        "raw": "",
        "usage": {"prompt_tokens": 0, "completion_tokens": 0, "image_tokens": 0, "seconds": 0},
        "warnings": ["The text was taken from the PDF's own text layer."],
        "error": None,
        "disagreements": [
            {
                "kind": "number",
                "reading": "1998",
                "other_reading": "1993",
                "engine": "rapidocr",
                "box": [120, 120, 170, 144],
                "other_box": None,
            }
        ],
        "unread": [[60, 500, 540, 560]],
        "coverage": 0.996,
    }


def saved_result(folder: Path, pages: int = 3, name: str = "Planets and their moons.json") -> Path:
    path = folder / name
    result = {
        "engine": "fake",
        "model": "fake",
        "mode": None,
        "pages": [page_of(n + 1) for n in range(pages)],
    }
    path.write_text(json.dumps(result))
    return path


def locked_pdf(folder: Path, samples: Path, password: str) -> Path:
    path = folder / "A long name of a report that is locked with a password.pdf"
    with pymupdf.open(samples / "booklet.pdf") as pdf:
        pdf.save(path, encryption=pymupdf.PDF_ENCRYPT_AES_256, user_pw=password)
    return path


@pytest.fixture(scope="module")
def failing_job(server: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A job on the fake engine most of whose files cannot be opened."""
    good = (ROOT / "samples" / "english.png").read_bytes()
    files = [
        ("files", ("letter.png", good)),
        ("files", ("bad one.pdf", b"%PDF-1.7")),
        ("files", ("b.png", b"no")),
    ]
    job: str = httpx.post(f"{server}/jobs", files=files, trust_env=False).json()["id"]
    return job


Screen = Callable[[Page, Path, Path], None]


def welcome(page: Page, _folder: Path, _samples: Path) -> None:
    expect(page.locator(".engine.ready")).to_be_visible()


def options(page: Page, _folder: Path, samples: Path) -> None:
    page.set_input_files("input[data-kind=files]", [samples / "english.png", samples / "german_scan.png"])
    page.locator("details.options > summary").click()
    page.locator("details.options details summary").click()


def trouble(page: Page, folder: Path, samples: Path) -> None:
    page.locator("details.options > summary").click()
    page.locator(".chosen button").click()
    damaged = folder / "damaged.png"
    damaged.write_bytes(b"\x89PNG\r\n\x1a\n and nothing else")
    page.set_input_files("input[data-kind=files]", [locked_pdf(folder, samples, "sesame"), damaged])
    page.locator(".actions .primary").click()
    expect(page.locator(".unlock").first).to_be_visible()
    expect(page.locator(".document-list .trouble")).to_be_visible()
    page.locator(".document-list .choose").first.click()


def document(page: Page, folder: Path, _samples: Path) -> None:
    if page.locator("main .back").is_visible():
        page.locator("main .back").click()
    page.set_input_files("input[data-kind=files]", saved_result(folder))
    page.locator(".document-list .choose", has_text="Planets").click()
    expect(page.locator(".block.kind-table").first).to_be_visible()


def table(page: Page, _folder: Path, _samples: Path) -> None:
    page.locator(".block.kind-table").first.dblclick()
    expect(page.locator(".table-editor textarea").first).to_be_focused()


def download(page: Page, _folder: Path, _samples: Path) -> None:
    page.keyboard.press("Escape")
    page.locator(".menu > button").click()
    expect(page.locator(".menu-list")).to_be_visible()


def review(page: Page, _folder: Path, _samples: Path) -> None:
    page.keyboard.press("Escape")
    page.keyboard.press("F8")
    expect(page.locator(".review")).to_be_focused()


def jobs(page: Page, _folder: Path, _samples: Path) -> None:
    page.keyboard.press("Escape")
    page.locator("header.top button").first.click()
    expect(page.locator(".job .badge.failed").first).to_be_visible()


SCREENS: tuple[Screen, ...] = (welcome, options, trouble, document, table, download, review, jobs)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("language", LANGUAGES)
def test_nothing_is_cut_off(
    open_page: OpenPage,
    server: str,
    failing_job: str,
    samples: Path,
    tmp_path: Path,
    language: str,
    theme: str,
) -> None:
    page = open_page(f"{server}/ui/", language=LANGUAGES[language], color_scheme=theme, expected=("40", "42"))
    # The page lists the jobs that it sent itself; this one was sent for it.
    page.evaluate("id => localStorage.setItem('airgap-jobs', JSON.stringify([id]))", failing_job)
    shots: dict[tuple[str, str], bytes] = {}
    problems = []
    for screen in SCREENS:
        page.set_viewport_size({"width": 1920, "height": 1080})
        if screen is document or screen is trouble:
            page.set_viewport_size({"width": 390, "height": 844})
        screen(page, tmp_path, samples)
        for size, (width, height) in SIZES.items():
            page.set_viewport_size({"width": width, "height": height})
            page.wait_for_timeout(60)
            problems += [f"{screen.__name__}, {size}: {why}" for why in page.evaluate(CUT_OFF)]
            problems += [f"{screen.__name__}, {size}: {why}" for why in out_of_reach(page, screen)]
            shots[screen.__name__, size] = page.screenshot()
    contact_sheets(shots, f"{language}-{theme}")
    assert problems == []


def out_of_reach(page: Page, screen: Screen) -> list[str]:
    """What must be in sight without scrolling."""
    in_sight: dict[Screen, list[str]] = {
        welcome: [".document-list h2"],
        options: [".document-list h2"],
        jobs: ["dialog header button"],
        review: [".review-place button"],
    }
    selectors = in_sight.get(screen, [])
    height = page.viewport_size["height"] if page.viewport_size else 0
    found = []
    for selector in selectors:
        box = page.locator(selector).first.bounding_box()
        if box is not None and box["y"] + box["height"] > height:
            found.append(f"{selector} is below the fold")
    return found


def contact_sheets(shots: dict[tuple[str, str], bytes], name: str) -> None:
    """All screens of one size on one picture."""
    SHEETS.mkdir(parents=True, exist_ok=True)
    for size, (width, height) in SIZES.items():
        small = (width, height) if size == "phone" else (width * 2 // 3, height * 2 // 3)
        columns = 4 if size == "phone" else 2
        rows = -(-len(SCREENS) // columns)
        sheet = Image.new("RGB", (columns * (small[0] + 8), rows * (small[1] + 8)), "magenta")
        for index, screen in enumerate(SCREENS):
            with Image.open(io.BytesIO(shots[screen.__name__, size])) as shot:
                place = (index % columns * (small[0] + 8), index // columns * (small[1] + 8))
                sheet.paste(shot.resize(small, Image.Resampling.LANCZOS), place)
        sheet.save(SHEETS / f"{name}-{size}.png")
