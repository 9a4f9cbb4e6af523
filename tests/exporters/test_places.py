"""Where text stands on pages and on paper: turns, lines that are shared out, tables of models, sizes."""

from __future__ import annotations

import io
import math
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from airgap.core.document import Block, Box, Line, Page
from airgap.exporters.html_tables import Cell, Table, parse_table
from airgap.exporters.lines import (
    PrintedLine,
    _breakable,
    _broken,
    _line_turn,
    _slice,
    em_width,
    page_lines,
    page_turn,
    shared_out,
    xml_text,
)
from airgap.exporters.page_size import page_dpi, page_points, stated_dpi
from tests.exporters.factory import PictureSource

# --- which way text runs -------------------------------------------------------------------------


def page_of(*runs: list[tuple[float, float, float, float]], label: str = "text", text: str = "words") -> Page:
    blocks = [
        Block(label, "", (Box(0, 0, 1, 1),), lines=tuple(Line(text, Box(*box), 0.9) for box in run))
        for run in runs
    ]
    return Page(1, 1000, 1000, blocks=tuple(blocks))


def pair(
    dx: float, dy: float, wide: float = 100, high: float = 10
) -> list[tuple[float, float, float, float]]:
    return [(300, 300, 300 + wide, 300 + high), (300 + dx, 300 + dy, 300 + dx + wide, 300 + dy + high)]


@pytest.mark.parametrize(
    ("dx", "dy", "turn"),
    [
        (0, 12, 0),
        (0, -12, 180),
        (0, 5, None),
        (0, 5.5, 0),
        (0, 39, 0),
        (0, 40, None),
        (99, 12, 0),
        (100, 12, None),
        (99, -12, 180),
        (100, -12, None),
        (0, -5, None),
        (0, -39, 180),
        (0, -40, None),
    ],
)
def test_lines_that_follow_each_other_tell_the_turn(dx: float, dy: float, turn: int | None) -> None:
    upright = page_turn(page_of(pair(dx, dy), pair(dx, dy)))
    assert upright == (turn or 0)
    upended = page_turn(page_of([(y0, x0, y1, x1) for x0, y0, x1, y1 in pair(dx, -dy)]))
    assert upended == {0: 90, 180: 270, None: 0}[turn]


def test_turns_are_weighed_by_how_much_text_follows() -> None:
    up, down = pair(0, -12), pair(0, 12)
    page = page_of(down, up, up)
    assert page_turn(page) == 180
    long = Block("text", "", lines=tuple(Line("w" * 40, Box(*box), 0.9) for box in down))
    assert page_turn(Page(1, 1, 1, blocks=(*page.blocks, long))) == 0
    assert page_turn(page_of(up, text="ab ")) == 0, "two letters say nothing"
    assert page_turn(page_of(up, text="abc")) == 180


def test_prose_is_asked_before_first_lines_and_these_before_tables() -> None:
    prose, table = page_of(pair(0, 12)).blocks, page_of(pair(0, -12), pair(0, -12), label="table").blocks
    assert page_turn(Page(1, 1, 1, blocks=(*table, *prose))) == 0
    assert page_turn(Page(1, 1, 1, blocks=table)) == 180
    singles = page_of([pair(0, -12)[1]], [pair(0, -12)[0]]).blocks
    assert page_turn(Page(1, 1, 1, blocks=singles)) == 0
    assert (
        page_turn(Page(1, 1, 1, blocks=(*singles[::-1], *page_of(pair(0, 12), label="table").blocks))) == 180
    )


@pytest.mark.parametrize(
    ("text", "wide", "high", "page", "turn"),
    [
        ("ab", 10, 18, 0, 270),
        ("ab", 10, 17.9, 0, 0),
        ("a", 10, 90, 0, 0),
        ("漢字", 10, 90, 0, 90),
        ("漢a", 10, 90, 0, 90),
        ("漢ab", 10, 90, 0, 270),
        ("ab", 18, 10, 90, 0),
        ("ab", 10, 18, 90, 90),
        ("漢字", 90, 10, 270, 0),
    ],
)
def test_a_line_whose_shape_contradicts_runs_up_or_down(
    text: str, wide: float, high: float, page: int, turn: int
) -> None:
    assert _line_turn(text, Box(0, 0, wide, high), page) == turn


@pytest.mark.parametrize(
    ("turn", "box"),
    [
        (0, Box(110, 50, 150, 70)),
        (90, Box(100, 52, 200, 60)),
        (180, Box(150, 50, 190, 70)),
        (270, Box(100, 60, 200, 68)),
    ],
)
def test_a_word_is_cut_from_its_line_in_reading_direction(turn: int, box: Box) -> None:
    found = _slice(Box(100, 50, 200, 70), 0.1, 0.5, turn)
    assert [found.x0, found.y0, found.x1, found.y1] == pytest.approx([box.x0, box.y0, box.x1, box.y1])


def test_how_wide_letters_are() -> None:
    widths = {
        "漢": 1.0,
        "\u0301": 0.0,
        "i": 0.3,
        "m": 0.85,
        "A": 0.65,
        "a": 0.53,
        "M": 0.85,
        " ": 0.3,
        "—": 0.85,
    }
    assert {c: em_width(c) for c in widths} == widths
    assert em_width("ai") == pytest.approx(0.83)


def test_lines_without_text_or_place_are_left_out() -> None:
    lines = (
        Line(" a \n b ", Box(0, 0, 10, 10), 0.5),
        Line("\x00", Box(0, 0, 10, 10)),
        Line("c", Box(0, 0, 0.009, 10)),
        Line("d", Box(0, 0, 0.01, 10)),
    )
    [(_, found)] = page_lines(Page(1, 100, 100, blocks=(Block("text", "", (), lines=lines),)))
    assert [(line.text, line.exact, line.confidence) for line in found] == [
        ("a b", True, 0.5),
        ("d", True, None),
    ]
    [(_, shared)] = page_lines(Page(1, 100, 100, blocks=(Block("text", "a b", (Box(0, 0, 90, 10),), 0.7),)))
    assert [(line.text, line.exact, line.confidence) for line in shared] == [("a b", False, 0.7)]
    first, second = shared[0].words()
    assert (first.text, second.text) == ("a", "b")
    edges = [first.box.x0, first.box.x1, second.box.x0, second.box.x1]
    assert edges == pytest.approx([0, 90 * 0.53 / 1.36, 90 * 0.83 / 1.36, 90])
    assert (first.box.y0, first.box.y1) == (0, 10)
    assert xml_text("a\x00\x0b\ud800\ufffe\x85b\t\n") == "a\x85b\t\n"


# --- text that is shared out ---------------------------------------------------------------------


def shares(text: str, *boxes: tuple[float, ...], label: str = "text") -> list[tuple[str, tuple[float, ...]]]:
    lines = shared_out(Block(label, text, tuple(Box(*box) for box in boxes)))
    return [(line.text.strip(), (line.box.x0, line.box.y0, line.box.x1, line.box.y1)) for line in lines]


def test_several_boxes_share_the_text_by_area() -> None:
    found = shares("a b c d", (0, 0, 100, 10), (0, 20, 300, 30))
    assert found == [("a", (0, 0, 100, 10)), ("b c d", (0, 20, 300, 30))]
    assert shares("a b c d", (0, 0, 100, 0.001), (0, 20, 300, 30)) == [("a b c d", (0, 20, 300, 30))]
    assert shares("a b", (0, 0, 0.001, 10)) == []
    assert shares("a b", (0, 0, 10, 10), label="image") == []


def test_a_table_is_set_on_a_grid_and_one_beside_words_is_not() -> None:
    table = "<table><tr><td>a</td><td>b</td></tr><tr><td colspan=2>c</td></tr></table>"
    assert shares(f" {table}\n", (0, 0, 100, 40)) == [
        ("a", (0, 0, 50, 20)),
        ("b", (50, 0, 100, 20)),
        ("c", (0, 20, 100, 40)),
    ]
    assert len(shares(f"words {table}", (0, 0, 400, 10))) == 1
    assert len(shares(f"{table}{table}", (0, 0, 400, 10))) == 1
    assert shares("<table></table>", (0, 0, 100, 40)) == []


def test_prose_is_broken_into_as_many_lines_as_its_shape_suggests() -> None:
    words = _breakable("word " * 40)
    assert len(words) == 40

    def rows(width: float, height: float) -> int:
        return len(_broken(words, Box(0, 0, width, height)))

    total = sum(map(em_width, words))
    for width, height in ((1000.0, 20.0), (300.0, 100.0), (100.0, 300.0), (50.0, 900.0)):
        expected = math.ceil(math.sqrt(total * height / (1.25 * width)) - 0.35)
        assert rows(width, height) == min(expected, 40)
    [(text, box), *_] = _broken(words, Box(10, 20, 310, 120))
    count = rows(300, 100)
    assert [box.x0, box.y0, box.x1, box.y1] == pytest.approx([10, 20, 310, 20 + 100 / count])
    lengths = [len(line) for line, _ in _broken(words, Box(10, 20, 310, 120))]
    assert max(lengths) - min(lengths) <= 5
    assert len(text) in lengths
    assert _broken([], Box(0, 0, 1, 1)) == []
    assert [line for line, _ in _broken(["\u0301"], Box(0, 0, 10, 10))] == ["\u0301"]
    assert _breakable("漢字 ab, c") == ["漢", "字 ", "ab, ", "c"]


# --- tables of models ----------------------------------------------------------------------------


def grid(source: str) -> tuple[int, int, list[tuple[int, int, str, int, int]]]:
    rows, columns, placed = parse_table(source).placed()
    return rows, columns, [(r, c, cell.text, cell.rowspan, cell.colspan) for r, c, cell in placed]


def test_spans_are_cut_where_they_would_overlap_or_leave_the_table() -> None:
    assert grid("<tr><td rowspan=9>a<td colspan=3>b<tr><td>c<td>d<td>e<td>f") == (
        2,
        5,
        [
            (0, 0, "a", 2, 1),
            (0, 1, "b", 1, 3),
            (1, 1, "c", 1, 1),
            (1, 2, "d", 1, 1),
            (1, 3, "e", 1, 1),
            (1, 4, "f", 1, 1),
        ],
    )
    assert grid("<tr><td>a<td rowspan=2>b<tr><td colspan=3>c<td>d")[2][2:] == [
        (1, 0, "c", 1, 1),
        (1, 2, "d", 1, 1),
    ]


def test_tables_are_bounded() -> None:
    wide = Table([[Cell("x") for _ in range(401)]])
    assert wide.placed()[1] == 400
    assert len(wide.placed()[2]) == 400
    spans = parse_table(
        '<tr><td colspan="201">a<td colspan=0>b<td colspan=1000000>c<td rowspan=1000000>d'
    ).rows[0]
    assert [(cell.colspan, cell.rowspan) for cell in spans] == [(200, 1), (1, 1), (1, 1), (1, 1)]
    assert parse_table("<tr><td colspan = '9' rowspan=\"3\">a").rows[0][0] == Cell("a", 3, 9)
    huge = Table([[Cell("x", 200, 200) for _ in range(3)] for _ in range(1000)])
    assert sum(cell.rowspan * cell.colspan for _, _, cell in huge.placed()[2]) <= 200_000
    assert Table([[Cell("a", 1, 300), Cell("b", 1, 300)]]).placed()[2][1][2].colspan == 100


def test_what_is_read_of_a_table() -> None:
    rows = parse_table(
        "<table><thead><tr><th>A <b>x</b></th><td>b<table><tr><td>in</td><td>ner</td></tr></table>c</td></tr>"
        "<tr></tr><tr><td>1 < 2</td><td>  d \n e"
    ).rows
    assert [[(cell.text, cell.header) for cell in row] for row in rows] == [
        [("A <b>x</b>", True), ("b in nerc", False)],
        [("1 < 2", False), ("d e", False)],
    ]
    bare = Cell()
    assert (bare.text, bare.rowspan, bare.colspan, bare.header) == ("", 1, 1, False)
    assert parse_table("<td>a").rows == [[Cell("a")]]
    inline = "".join(f"<{tag}>x</{tag}>" for tag in ("b", "strong", "i", "em", "u", "sub", "sup"))
    assert parse_table(f"<td>{inline}<br><div>y</div>").rows[0][0].text == f"{inline}<br>y"
    assert parse_table("</table></table><tr><td>a").rows == [[Cell("a")]]
    nested = "<table><tr><td>a<table><tr><td>b</td></tr></table>c</td>"
    assert parse_table(f"</table></table>{nested}").rows == parse_table(nested).rows == [[Cell("a bc")]]
    assert parse_table("x<tr>y<td>a</td>z").rows == [[Cell("a")]]


# --- paper ---------------------------------------------------------------------------------------


def stated(**info: Any) -> bytes:
    buffer = io.BytesIO()
    Image.new("L", (10, 10)).save(buffer, "PNG", **info)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("dpi", "believed"),
    [
        ((300, 300), 300),
        ((99, 99), None),
        ((101, 101), 101),
        ((2399, 2399), 2399),
        ((2402, 2402), None),
        (None, None),
    ],
)
def test_a_resolution_is_believed_within_bounds(
    tmp_path: Path, dpi: tuple[int, int] | None, believed: float | None
) -> None:
    data = stated(**({"dpi": dpi} if dpi else {}))
    found = stated_dpi(data)
    assert found == (None if believed is None else pytest.approx(believed, abs=0.1))
    (tmp_path / "a.png").write_bytes(data)
    assert stated_dpi(tmp_path / "a.png") == found
    assert stated_dpi(b"nonsense") is None


def test_how_large_a_page_is_on_paper() -> None:
    pdf = Page(1, 200, 300, width_pt=100.0, height_pt=150.0)
    assert (page_points(pdf, None), page_dpi(pdf, None)) == ((100, 150), 144)
    bare = Page(1, 1000, 2000)
    assert page_dpi(bare, None) == pytest.approx(2000 * 72 / 841.89)
    assert page_points(bare, None) == pytest.approx((841.89 / 2, 841.89))
    known = PictureSource({}, path=stated(dpi=(300, 300)))
    assert page_points(bare, known) == pytest.approx((240, 480), abs=0.1)
    assert page_dpi(bare, PictureSource({}, path=stated(dpi=(300, 300)), kind="pdf")) == page_dpi(bare, None)
    poster = Page(1, 100_000, 10)
    assert page_dpi(poster, known) == pytest.approx(100_000 * 72 / 14_400)
    assert page_points(poster, known) == pytest.approx((14_400, 3))
    assert page_dpi(Page(1, 0, 0), None) == pytest.approx(72 / 841.89)
    assert page_points(Page(1, 0, 0), None) == (3, 3)
    assert page_points(Page(1, 10, 10, width_pt=20_000.0, height_pt=1.0), None) == (14_400, 3)


def test_a_line_of_hundreds_of_thousands_of_words_is_cut_once() -> None:
    words = PrintedLine("ab " * 200_000 + "ab", Box(0, 0, 200_001 * 3, 10), 0, None, exact=True).words()
    assert len(words) == 200_001
    assert words[-1].box.x1 == pytest.approx(600_003)
