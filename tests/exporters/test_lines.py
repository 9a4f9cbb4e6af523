"""Lines and words, their places and their turn."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airgap.core.document import Block, Box, Line, Page
from airgap.exporters.lines import PrintedLine, em_width, page_lines, page_turn, shared_out, xml_text
from tests.exporters.factory import TABLE, block

LINES = [("The first line of all", (100, 100, 500, 130)), ("and the second", (100, 140, 420, 170))]


def turned(box, turn: int, width: int = 1000, height: int = 1400) -> Box:
    """A box of a page of that size after the page was turned clockwise."""
    x0, y0, x1, y1 = box
    return {
        0: Box(x0, y0, x1, y1),
        90: Box(height - y1, x0, height - y0, x1),
        180: Box(width - x1, height - y1, width - x0, height - y0),
        270: Box(y0, width - x1, y1, width - x0),
    }[turn]


def page_of(lines, turn: int) -> Page:
    placed = tuple(Line(text, turned(box, turn)) for text, box in lines)
    return Page(1, 1400, 1400, blocks=(Block("text", "", (placed[0].box,), lines=placed),))


@pytest.mark.parametrize("turn", [0, 90, 180, 270])
def test_the_turn_of_a_page_is_told_by_the_order_of_its_lines(turn: int) -> None:
    page = page_of(LINES, turn)
    assert page_turn(page) == turn
    first = page_lines(page)[0][1][0]
    words = first.words()
    assert [word.text for word in words] == ["The", "first", "line", "of", "all"]
    upright = PrintedLine(LINES[0][0], Box(*LINES[0][1]), 0, None, True).words()
    for word, expected in zip(words, upright, strict=True):
        box = expected.box
        want = turned((box.x0, box.y0, box.x1, box.y1), turn)
        assert (word.box.x0, word.box.y0, word.box.x1, word.box.y1) == pytest.approx(
            (want.x0, want.y0, want.x1, want.y1)
        )


def test_single_line_blocks_tell_the_turn_too() -> None:
    blocks = tuple(
        Block("text", text, (turned(box, 180),), lines=(Line(text, turned(box, 180)),)) for text, box in LINES
    )
    assert page_turn(Page(1, 1000, 1400, blocks=blocks)) == 180


def test_cells_read_from_below_do_not_turn_a_page_of_prose() -> None:
    cells = tuple(Line(f"1,{n}00,000", Box(600, 900 - 40 * n, 760, 930 - 40 * n)) for n in range(9))
    table = Block("table", TABLE, (Box(600, 500, 800, 930),), lines=cells)
    page = page_of(LINES, 0)
    assert page_turn(Page(1, 1000, 1400, blocks=(table, *page.blocks))) == 0


def test_a_jump_to_the_next_column_tells_nothing() -> None:
    left, right = (
        Line("foot of a column", Box(100, 900, 480, 930)),
        Line("head of the next", Box(520, 100, 900, 130)),
    )
    page = Page(1, 1000, 1400, blocks=(Block("text", "", (left.box, right.box), lines=(left, right)),))
    assert page_turn(page) == 0


@pytest.mark.parametrize(("text", "turn"), [("arXiv:2510.18234v1 [cs.CV]", 270), ("直排文字由上而下", 90)])
def test_a_line_that_runs_along_the_margin(text: str, turn: int) -> None:
    lines = [*LINES, ("a third line below it", (100, 180, 500, 210))]
    page = page_of([*lines, (text, (20, 300, 50, 900))], 0)
    assert [line.turn for line in page_lines(page)[0][1]] == [0, 0, 0, turn]


def test_prose_without_lines_is_shared_out_over_its_box() -> None:
    text = "word " * 60
    lines = shared_out(block("text", text, (100, 100, 500, 200)))
    assert 4 <= len(lines) <= 8
    assert " ".join(line.text.strip() for line in lines).split() == text.split()
    assert lines[0].box.y0 == 100
    assert lines[-1].box.y1 == pytest.approx(200)
    assert max(map(em_width, (line.text for line in lines))) < 1.5 * min(
        em_width(line.text) for line in lines
    )


def test_text_without_spaces_can_be_broken() -> None:
    lines = shared_out(block("text", "繁體中文" * 20, (0, 0, 400, 100)))
    assert len(lines) > 1
    assert "".join(line.text for line in lines) == "繁體中文" * 20


def test_cells_are_set_on_a_grid() -> None:
    lines = shared_out(block("table", TABLE, (0, 0, 300, 90)))
    places = {line.text.strip(): (line.box.x0, line.box.y0, line.box.x1, line.box.y1) for line in lines}
    assert places["Item"] == pytest.approx((0, 0, 100, 30))
    assert places["Price"] == pytest.approx((100, 0, 300, 30))
    assert places["USD"] == pytest.approx((200, 60, 300, 90))


def test_a_figure_and_a_block_without_a_box_have_no_lines() -> None:
    assert shared_out(block("image", "x")) == []
    assert shared_out(Block("text", "placeless")) == []


def test_what_xml_forbids_is_taken_out() -> None:
    assert xml_text("a\x00b\x1bc\ufffe\ud800d\t\n\U0001f600é") == "abcd\t\n\U0001f600é"


@given(
    st.text(max_size=200),
    st.lists(st.tuples(*[st.floats(0, 5000)] * 4), max_size=3),
    st.sampled_from(["text", "table", "image", "title"]),
)
def test_no_text_and_no_box_make_it_fail(text, corners, label) -> None:
    boxes = tuple(Box(min(a, c), min(b, d), max(a, c), max(b, d)) for a, b, c, d in corners)
    page = Page(1, 5000, 5000, blocks=(Block(label, text, boxes),))
    for _, lines in page_lines(page):
        for line in lines:
            for word in line.words():
                assert line.box.x0 - 1e-6 <= word.box.x0 <= word.box.x1 <= line.box.x1 + 1e-6
