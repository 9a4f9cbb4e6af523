"""What the page must always be: usable by all, small, safe with hostile text, and turned inwards."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from playwright.sync_api import Page, Response, expect

from tests.browser.conftest import OpenPage
from tests.browser.helpers import choose, read
from tests.conftest import ROOT

pytestmark = pytest.mark.browser

FIRST_LOAD_BYTES = 300 * 1024

AXE = ROOT / "web/node_modules/axe-core/axe.min.js"

HOSTILE = [
    "<script>window.broken = 1</script>",
    '<img src="http://192.0.2.1/a.png" onerror="window.broken = 2">',
    '<iframe src="http://192.0.2.1/"></iframe>',
    '<a href="javascript:window.broken=3">a link</a>',
    "![](http://192.0.2.1/b.png)",
    "[text](javascript:alert(1))",
    '<table><tr><td style="background:url(http://192.0.2.1/c)" onclick="window.broken=4">a</td></tr></table>',
    '<svg><style>@import "http://192.0.2.1/d.css"</style></svg>',
    '<form action="http://192.0.2.1/"><input autofocus onfocus="window.broken=5"></form>',
    '<math><mtext><table><mglyph><style><!--</style><img title="--&gt;&lt;img src=1 onerror=broken=6&gt;">',
    "\\(\\href{javascript:window.broken=7}{x} \\includegraphics{http://192.0.2.1/e}\\)",
    '<math-tex data-tex="\\href{javascript:window.broken=8}{y}"></math-tex>',
    "$$ \\def\\a{\\a\\a}\\a $$",
]


def violations(page: Page) -> list[str]:
    """What axe-core calls serious or critical."""
    page.evaluate(AXE.read_text())
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{entry['id']}: {entry['help']}: {[node['html'][:120] for node in entry['nodes']][:3]}"
        for entry in found["violations"]
        if entry["impact"] in ("serious", "critical")
    ]


def result(blocks: list[str], label: str = "text") -> dict[str, object]:
    """A saved result with these blocks on its one page."""
    page = {
        "number": 1,
        "width": 600,
        "height": 800,
        "width_pt": None,
        "height_pt": None,
        "status": "degraded",
        "confidence": 0.7,
        "finish_reason": "stop",
        "blocks": [
            {
                "label": label,
                "text": text,
                "boxes": [[10, 10 + 40 * n, 500, 40 + 40 * n]],
                "confidence": 0.5,
                "lines": [],
            }
            for n, text in enumerate(blocks)
        ],
        "raw": "\n".join(blocks),
        "usage": {"prompt_tokens": 0, "completion_tokens": 0, "image_tokens": 0, "seconds": 0},
        "warnings": ["A loop was cut."],
        "error": None,
        "disagreements": [
            {
                "kind": "number",
                "reading": "1998",
                "other_reading": "1993",
                "engine": "rapidocr",
                "box": [10, 10, 60, 40],
                "other_box": None,
            }
        ],
    }
    return {"engine": "fake", "model": "fake", "mode": None, "pages": [page]}


def open_result(page: Page, folder: Path, saved: dict[str, object]) -> None:
    path = folder / "saved.json"
    path.write_text(json.dumps(saved))
    choose(page, [path])
    expect(page.locator(".block").first).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(
    open_page: OpenPage, page_server: str, samples: Path, scheme: str, tmp_path: Path
) -> None:
    page = open_page(page_server, color_scheme=scheme)
    expect(page.locator(".engine.ready")).to_be_visible()
    assert violations(page) == []
    read(page, samples / "booklet.pdf")
    page.locator(".block").nth(1).hover()
    assert violations(page) == []
    page.locator(".block").first.dblclick()
    assert violations(page) == []
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Download").click()
    assert violations(page) == []
    page.keyboard.press("Escape")
    open_result(page, tmp_path, result(["A doubtful block", "<table><tr><th>a</th><td>b</td></tr></table>"]))
    assert violations(page) == []
    page.locator(".block.kind-table, .block").last.dblclick()
    assert violations(page) == []
    page.keyboard.press("Escape")
    page.keyboard.press("F8")
    expect(page.locator(".review")).to_be_focused()
    assert violations(page) == []
    page.keyboard.press("Escape")
    page.set_viewport_size({"width": 390, "height": 844})
    assert violations(page) == []
    page.set_viewport_size({"width": 1440, "height": 900})
    for panel in ("Jobs", "Usage"):
        page.get_by_role("button", name=panel).click()
        expect(page.get_by_role("dialog", name=panel)).to_be_visible()
        assert violations(page) == []
        page.get_by_role("button", name="Close").click()


def test_axe_finds_nothing_serious_about_logins(open_page: OpenPage, guarded_server: str) -> None:
    page = open_page(guarded_server, expected=("401",))
    expect(page.get_by_role("dialog")).to_be_visible()
    assert violations(page) == []


def test_the_first_load_is_small(open_page: OpenPage, page_server: str) -> None:
    page = open_page("about:blank")
    answers: list[Response] = []
    page.on("response", lambda answer: answers.append(answer))
    page.goto(f"{page_server}/ui/")
    expect(page.locator(".engine.ready")).to_be_visible()
    files = [answer for answer in answers if "/ui/" in answer.url]
    sizes = {answer.url.rsplit("/", 1)[-1]: len_compressed(answer) for answer in files}
    assert len(sizes) >= 3
    assert sum(sizes.values()) <= FIRST_LOAD_BYTES, sizes
    assert not [name for name in sizes if "katex" in name.lower()]


def len_compressed(answer: Response) -> int:
    assert answer.headers.get("content-encoding") == "gzip", answer.url
    return int(answer.headers["content-length"])


def test_hostile_text_stays_text(open_page: OpenPage, page_server: str, tmp_path: Path) -> None:
    # The browser reports what the policy forbids even inside the inert document that the sanitiser parses.
    page = open_page(page_server, expected=("inline event handler", "inline style"))
    open_result(page, tmp_path, result(HOSTILE))
    expect(page.locator(".block")).to_have_count(len(HOSTILE))
    expect(page.locator(".katex").first).to_be_visible()
    page.wait_for_timeout(500)
    assert page.evaluate("window.broken") is None
    shown = page.locator(".words")
    for selector in ("script", "iframe", "img", "a", "form", "input", "style", "[onclick]", "[onerror]"):
        assert shown.locator(f".rendered {selector}").count() == 0, selector


def test_formulas_are_typeset_with_our_own_fonts(
    open_page: OpenPage, page_server: str, tmp_path: Path
) -> None:
    page = open_page(page_server)
    fonts: list[str] = []
    page.on("response", lambda answer: fonts.append(answer.url) if ".woff2" in answer.url else None)
    texts = ["\\(a^2 + b^2 = c^2\\)", "\\[\\int_0^1 x\\,dx\\]", "$$\\sum_i i$$", "costs $5 and $6"]
    table = "<table><tr><td>\\(x_1\\)</td></tr></table>"
    open_result(page, tmp_path, result([*texts, table]))
    expect(page.locator(".katex")).to_have_count(4)
    expect(page.locator(".katex-display")).to_have_count(2)
    assert page.evaluate("document.fonts.ready.then(() => true)")
    assert fonts
    assert all(font.startswith(f"{page_server}/ui/assets/") for font in fonts)
    assert page.locator(".katex-strut").first.evaluate("e => e.style.height") != ""


def test_doubts_and_disagreements_are_marked(open_page: OpenPage, page_server: str, tmp_path: Path) -> None:
    page = open_page(page_server)
    open_result(page, tmp_path, result(["in doubt"]))
    expect(page.locator(".block.doubtful")).to_contain_text("not sure")
    expect(page.locator("rect.box.doubtful")).to_have_count(1)
    expect(page.locator(".note.disagreement")).to_contain_text("1998, or 1993")
    expect(page.locator("rect.disagreement")).to_have_count(1)
    expect(page.locator(".note.degraded")).to_contain_text("A loop was cut.")


@pytest.mark.parametrize(
    ("locale", "code", "words"),
    [
        ("en-US", "en", "Drop images, PDFs or a folder"),
        ("zh-TW", "zh-Hant", "拖放圖片、PDF 或資料夾"),
        ("zh-CN", "zh-Hans", "拖放图片、PDF 或文件夹"),
        ("ru-RU", "ru", "Перетащите сюда изображения, PDF или папку"),
    ],
)
def test_the_browsers_language(
    open_page: OpenPage, page_server: str, locale: str, code: str, words: str
) -> None:
    page = open_page(page_server, language=locale)
    expect(page.locator(".drop strong")).to_have_text(words)
    expect(page.locator("html")).to_have_attribute("lang", code)
    page.locator("header select").last.select_option("en")
    expect(page.locator(".drop strong")).to_have_text("Drop images, PDFs or a folder")
    page.reload()
    expect(page.locator(".drop strong")).to_have_text("Drop images, PDFs or a folder")


def test_nothing_inline_is_allowed(open_page: OpenPage, page_server: str) -> None:
    page = open_page(page_server)
    answer = page.reload()
    assert answer is not None
    policy = answer.headers["content-security-policy"]
    assert "unsafe" not in policy
    assert "http" not in policy
    assert "default-src 'none'" in policy
