"""What looks like writing and was not read is found; what only looks like ink is not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from airgap.core.document import Block, Box, Line
from process.ink_ledger import is_placed, loose_places, places_of, take_account

A4 = (1190, 1684)
SENTENCE = "The quick brown fox jumps over 13 lazy dogs"

Colour = tuple[int, int, int]


def written(
    text: str = SENTENCE,
    at: tuple[int, int] = (150, 400),
    *,
    size: int = 24,
    ink: Colour = (20, 20, 20),
    paper: Colour = (255, 255, 255),
    page: Image.Image | None = None,
) -> tuple[Image.Image, Box]:
    """A page with one line of text, and the line's box."""
    page = Image.new("RGB", A4, paper) if page is None else page.copy()
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(size)
    draw.text(at, text, fill=ink, font=font)
    return page, Box(*draw.textbbox(at, text, font=font))


def textured(seed: int = 3, noise: float = 9, size: tuple[int, int] = A4) -> Image.Image:
    """Paper with grain, a shadow from one side and a dark border, as a poor scanner gives it."""
    grain = np.random.default_rng(seed).normal(0, noise, size[::-1])
    values = 215 - np.linspace(0, 60, size[0])[None, :] + grain
    values[:, -14:] = 30
    return Image.fromarray(values.clip(0, 255).astype(np.uint8)).convert("RGB")


def photograph(size: tuple[int, int], seed: int = 5) -> Image.Image:
    """Soft blotches of all tones and sizes."""
    chance = np.random.default_rng(seed)
    whole = np.zeros(size[::-1], np.float64)
    for step in (6, 17, 40):
        cells = chance.normal(0, 1, (size[1] // step + 1, size[0] // step + 1))
        picture = Image.fromarray(cells.astype(np.float32)).resize(size, Image.Resampling.BICUBIC)
        whole += np.asarray(picture) * step
    grey = (whole - whole.min()) / (whole.max() - whole.min()) * 255
    return Image.fromarray(grey.astype(np.uint8)).convert("RGB")


def overlap(one: Box, other: Box) -> float:
    """The share of `one` that lies in `other`."""
    width = min(one.x1, other.x1) - max(one.x0, other.x0)
    height = min(one.y1, other.y1) - max(one.y0, other.y0)
    return max(0.0, width) * max(0.0, height) / one.area


PAPERS: dict[str, tuple[Colour, Colour]] = {
    "black-on-white": ((0, 0, 0), (255, 255, 255)),
    "white-on-black": ((255, 255, 255), (0, 0, 0)),
    "yellow-on-blue": ((250, 220, 60), (20, 40, 120)),
    "red-on-cream": ((170, 30, 30), (250, 240, 205)),
    "grey-on-white": ((140, 140, 140), (255, 255, 255)),
}


@pytest.mark.parametrize(("ink", "paper"), PAPERS.values(), ids=PAPERS)
@pytest.mark.parametrize("size", [14, 24, 60, 200])
def test_a_line_that_was_not_read_is_found(ink: Colour, paper: Colour, size: int) -> None:
    page, line = written(
        "Invoice 42" if size > 60 else SENTENCE[:24], (60, 400), size=size, ink=ink, paper=paper
    )
    account = take_account(page, [])
    assert account.coverage == 0
    assert max(overlap(place, line) for place in account.unread) > 0.9
    assert sum(overlap(line, place) for place in account.unread) > 0.5


def test_it_is_found_on_poor_paper() -> None:
    page, line = written(page=textured())
    (place,) = take_account(page.filter(ImageFilter.GaussianBlur(0.8)), []).unread
    assert overlap(line, place) > 0.5


def test_it_is_found_on_a_label_and_on_a_button() -> None:
    page = Image.new("RGB", A4, "white")
    ImageDraw.Draw(page).rectangle((140, 390, 760, 440), fill=(200, 200, 205))
    ImageDraw.Draw(page).rectangle((140, 590, 760, 640), fill=(20, 60, 140))
    page, label = written(at=(150, 400), page=page)
    page, button = written(at=(150, 600), page=page, ink=(255, 255, 255))
    unread = take_account(page, []).unread
    assert all(any(overlap(line, place) > 0.4 for place in unread) for line in (label, button))


def test_what_was_read_is_accounted_for() -> None:
    page, line = written()
    account = take_account(page, [line])
    assert (account.unread, account.coverage) == ((), 1.0)


def test_coverage_is_the_share_of_the_ink() -> None:
    page, first = written()
    page, second = written(at=(150, 900), page=page)
    account = take_account(page, [first])
    assert account.coverage == pytest.approx(0.5, abs=0.05)
    assert overlap(second, account.unread[0]) > 0.5


def test_a_cell_that_was_not_read_is_found_among_those_that_were() -> None:
    page, boxes = Image.new("RGB", A4, "white"), list[Box]()
    draw = ImageDraw.Draw(page)
    for row in range(8):
        draw.line((100, 195 + 40 * row, 900, 195 + 40 * row), fill=(0, 0, 0), width=2)
        for column in range(4):
            page, box = written(f"{37 + 11 * row + column}", (120 + 200 * column, 200 + 40 * row), page=page)
            boxes.append(box)
    for missing in boxes:
        account = take_account(page, [box for box in boxes if box != missing])
        assert any(overlap(place, missing) > 0.5 for place in account.unread)
    assert take_account(page, boxes).unread == ()


def drawn_rules() -> Image.Image:
    page = Image.new("RGB", A4, "white")
    draw = ImageDraw.Draw(page)
    for step in range(20):
        draw.line((80, 100 + 60 * step, 1100, 104 + 60 * step), fill=(0, 0, 0), width=2)
    for step in range(8):
        draw.line((80 + 140 * step, 100, 80 + 140 * step, 1240), fill=(60, 60, 60), width=3)
    draw.rectangle((60, 80, 1120, 1260), outline=(0, 0, 0), width=6)
    return page


def leaders() -> Image.Image:
    page = Image.new("RGB", A4, "white")
    draw = ImageDraw.Draw(page)
    for row in range(12):
        for step in range(60):
            draw.ellipse((100 + 14 * step, 200 + 50 * row, 107 + 14 * step, 207 + 50 * row), fill=(0, 0, 0))
    return page


def boxes_to_tick() -> Image.Image:
    page = Image.new("RGB", A4, "white")
    for row in range(12):
        x0, y0 = 200, 200 + 70 * row
        ImageDraw.Draw(page).rectangle((x0, y0, x0 + 18, y0 + 18), outline=(0, 0, 0), width=2)
    return page


def bar_code() -> Image.Image:
    page, x = Image.new("RGB", A4, "white"), 100
    for width in np.random.default_rng(1).integers(2, 9, 80).tolist():
        ImageDraw.Draw(page).rectangle((x, 500, x + width, 560), fill=(0, 0, 0))
        x += width + 4
    return page


def specks() -> Image.Image:
    page = Image.new("RGB", A4, "white")
    chance = np.random.default_rng(2)
    for x, y, size in zip(
        chance.integers(0, 1190, 150), chance.integers(0, 1684, 150), chance.integers(1, 7, 150), strict=True
    ):
        ImageDraw.Draw(page).ellipse((int(x), int(y), int(x + size), int(y + size)), fill=(0, 0, 0))
    return page


def picture() -> Image.Image:
    page = Image.new("RGB", A4, "white")
    page.paste(photograph((800, 600)), (150, 300))
    return page


NO_WRITING = {
    "white": Image.new("RGB", A4, "white"),
    "black": Image.new("RGB", A4, "black"),
    "one-pixel": Image.new("RGB", (1, 1), "white"),
    "strip": Image.new("RGB", (20_000, 9), "white"),
    "poor-paper": textured(),
    "rules": drawn_rules(),
    "leaders": leaders(),
    "boxes-to-tick": boxes_to_tick(),
    "bar-code": bar_code(),
    "specks": specks(),
    "picture": picture(),
    "photograph": photograph(A4),
}


@pytest.mark.parametrize("page", NO_WRITING.values(), ids=NO_WRITING)
def test_what_is_no_writing_is_not_unread(page: Image.Image) -> None:
    assert take_account(page, []).unread == ()


@given(
    x=st.integers(20, 500),
    y=st.integers(20, 1500),
    size=st.integers(16, 44),
    seed=st.integers(0, 50),
    dark=st.booleans(),
)
@settings(max_examples=25, deadline=None)
def test_a_line_is_found_wherever_it_stands(x: int, y: int, size: int, seed: int, dark: bool) -> None:
    paper = textured(seed, noise=3)
    page, line = written("Ledger of ink, 12345", (x, y), size=size, page=paper)
    if dark:
        page = page.point([255 - level for level in range(256)] * 3)
    unread = take_account(page, []).unread
    assert sum(overlap(line, place) for place in unread) > 0.4
    assert all(
        0 <= box.x0 < box.x1 <= page.width + 1 and 0 <= box.y0 < box.y1 <= page.height + 1 for box in unread
    )
    assert take_account(page, [line]).unread == ()


@given(scale=st.sampled_from([0.7, 1.0, 1.5, 2.4, 4.0]))
@settings(max_examples=5, deadline=None)
def test_boxes_are_pixels_of_the_page_at_any_resolution(scale: float) -> None:
    page, line = written()
    page = page.resize((round(A4[0] * scale), round(A4[1] * scale)), Image.Resampling.LANCZOS)
    (place,) = take_account(page, []).unread
    expected = Box(line.x0 * scale, line.y0 * scale, line.x1 * scale, line.y1 * scale)
    assert overlap(expected, place) > 0.5
    assert overlap(place, expected) > 0.8


def test_places_are_lines_where_they_are_known_and_figures_whole() -> None:
    line = Line("read", Box(0, 0, 10, 10), 0.9)
    whole = Box(0, 0, 100, 100)
    assert places_of([Block("text", "read", (whole,), lines=(line, Line(" ", Box(0, 20, 10, 30))))]) == [
        line.box
    ]
    assert places_of([Block("image", "", (whole,))]) == [whole]
    assert places_of([Block("unreadable", "", (whole,))]) == []
    (place,) = places_of([Block("text", "read", (whole,))])
    assert overlap(whole, place) == 1


def test_text_without_a_place_is_not_placed() -> None:
    assert is_placed([Block("text", "read", (Box(0, 0, 1, 1),)), Block("image", "")])
    assert not is_placed([Block("text", "read")])


def test_a_line_of_print_in_a_figure_is_no_part_of_it() -> None:
    figure = Box(150, 300, 950, 900)
    page, line = written("Wenatchee Falls, 1911", (300, 980), size=26, page=picture())
    block = Block("image", "", (Box(figure.x0, figure.y0, figure.x1, 1040),))
    account = take_account(page, places_of([block]), (), loose_places([block]))
    (place,) = account.unread
    assert overlap(line, place) > 0.5
    assert take_account(picture(), places_of([block]), (), loose_places([block])).unread == ()
    read = [block, Block("text", "read", (), lines=(Line("read", line),))]
    assert take_account(page, places_of(read), (), loose_places(read)).unread == ()


def test_the_box_of_a_line_aslant_does_not_account_for_what_else_stands_in_it() -> None:
    page, lines = Image.new("RGB", A4, "white"), list[Line]()
    for row in range(8):
        page, box = written(f"Item {row} of the bill", (150, 300 + 60 * row), page=page)
        lines.append(Line("read", box))
    stamp = Image.new("L", (600, 80))
    ImageDraw.Draw(stamp).text((4, 0), "PAID", fill=255, font=ImageFont.load_default(70))
    turned = stamp.rotate(-35, expand=True)
    page.paste((190, 40, 60), (600, 250), turned)
    whole = [Block("text", "read", (), lines=(*lines, Line("PAID", Box(560, 250, 1050, 730))))]
    assert take_account(page, places_of(whole), (), loose_places(whole)).unread == ()
    page, lost = written("Subtotal 16.98", (700, 640), page=page)
    (place,) = take_account(page, places_of(whole), (), loose_places(whole)).unread
    assert overlap(lost, place) > 0.5


def test_a_headline_is_not_loose() -> None:
    lines = [Line("read", Box(100, 40 * row, 500, 40 * row + 20)) for row in range(1, 9)]
    headline = Line("HEADLINE", Box(100, 400, 900, 520))
    blocks = [Block("text", "read", (), lines=(*lines, headline))]
    assert loose_places(blocks) == [headline.box]
    page, _ = written("HEADLINE", (110, 405), size=100)
    assert take_account(page, places_of(blocks), (), loose_places(blocks)).unread == ()


@pytest.mark.parametrize("text", ["7", "A", "7   A", "42"])
@pytest.mark.parametrize("size", [24, 60, 240])
def test_letters_alone_on_a_page_are_found(text: str, size: int) -> None:
    page, line = written(text, (500, 700), size=size)
    account = take_account(page, [])
    assert account.unread
    assert all(overlap(place, line) > 0.5 for place in account.unread)


def test_marks_of_a_binder_and_of_a_staple_are_no_letters() -> None:
    page = Image.new("RGB", A4, "white")
    draw = ImageDraw.Draw(page)
    for y in (500, 1000):
        draw.ellipse((40, y, 68, y + 28), fill=(20, 20, 20))
    draw.line((60, 60, 100, 74), fill=(60, 60, 60), width=4)
    assert take_account(page, []).unread == ()
