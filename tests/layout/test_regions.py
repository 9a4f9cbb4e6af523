"""Reading order from places alone: synthetic lines, 20 pixels high."""

from __future__ import annotations

import random

import pytest

from airgap.layout.lines import Inset, TextLine
from airgap.layout.regions import Region, find_gutter, insert_figure, regions, rows

HEIGHT = 20
PITCH = 28


def line(x0: float, y0: float, x1: float, text: str = "word " * 8) -> TextLine:
    return TextLine.known((x0, y0, x1, y0 + HEIGHT), text)


def column(x0: float, x1: float, top: float, count: int, name: str) -> list[TextLine]:
    return [line(x0, top + i * PITCH, x1 - (60 if i % 5 == 4 else 0), f"{name}{i}") for i in range(count)]


def order(lines: list[TextLine]) -> list[str]:
    return [line.text for region in regions(lines) for line in region.lines]


def names(prefix: str, count: int) -> list[str]:
    return [f"{prefix}{i}" for i in range(count)]


def test_two_columns_under_a_title_and_above_a_footer() -> None:
    lines = [line(100, 50, 900, "title"), line(480, 800, 520, "footer")]
    lines += column(100, 480, 120, 20, "a") + column(520, 900, 120, 20, "b")
    random.Random(1).shuffle(lines)
    assert order(lines) == ["title", *names("a", 20), *names("b", 20), "footer"]


def test_three_columns_are_read_one_after_another() -> None:
    lines = column(50, 350, 50, 15, "a") + column(380, 680, 50, 15, "b") + column(710, 1010, 50, 15, "c")
    random.Random(2).shuffle(lines)
    assert order(lines) == names("a", 15) + names("b", 15) + names("c", 15)


def test_rows_of_a_table_are_read_across() -> None:
    lines = []
    for row in range(12):
        for index, x in enumerate((100, 400, 600, 800)):
            lines.append(line(x, 100 + row * PITCH, x + 70, f"{row}.{index}"))
    random.Random(3).shuffle(lines)
    assert order(lines) == [f"{row}.{index}" for row in range(12) for index in range(4)]


def test_a_numeric_column_beside_its_labels_is_no_text_column() -> None:
    lines = []
    for row in range(10):
        lines.append(line(100, 100 + row * PITCH, 420, f"item {row}"))
        lines.append(line(700, 100 + row * PITCH, 780, f"{row}.00"))
    assert order(lines) == [text for row in range(10) for text in (f"item {row}", f"{row}.00")]


def test_a_caption_set_into_two_columns_does_not_end_them() -> None:
    lines = column(100, 480, 100, 30, "a") + column(520, 900, 100, 30, "b")
    lines = [item for item in lines if not 500 < item.y0 < 600]
    for i, y in enumerate((510, 540, 570)):
        lines += [
            line(100, y, 380, f"left{i}"),
            line(430, y, 570, f"caption{i}"),
            line(620, y, 900, f"right{i}"),
        ]
    found = order(lines)
    assert found.index("a29") < found.index("b0")
    assert [text for text in found if text.startswith("caption")] == ["caption0", "caption1", "caption2"]
    assert found.index("left2") - found.index("left0") == 2


def test_sums_under_a_table_take_none_of_its_rows_along() -> None:
    lines = [line(100, 60, 900, "title")]
    for row in range(4):
        right = 760 if row < 3 else 775
        cells = ((100, 300, "item"), (450, 470, "count"), (560, 620, "price"), (right, 830, "sum"))
        lines += [line(x0, 100 + row * PITCH + (x0 > 100), x1, f"{text}{row}") for x0, x1, text in cells]
    lines += [line(778, 240 + i * PITCH, 920, f"total{i}") for i in range(3)]
    lines.append(line(100, 340, 710, "account"))
    rows = [f"{text}{row}" for row in range(4) for text in ("item", "count", "price", "sum")]
    assert order(lines) == ["title", *rows, "total0", "total1", "total2", "account"]


def articles(headline: TextLine) -> list[TextLine]:
    """Two articles of three columns each, the columns of either of one length."""
    lines = [headline]
    for top, name in ((100, "a"), (500, "b")):
        for index, x0 in enumerate((50, 380, 710)):
            lines += column(x0, x0 + 300, top, 12, f"{name}{index}.")
    return lines


def test_an_article_is_read_whole_before_the_headline_of_the_next() -> None:
    headline = TextLine.known((50, 450, 330, 484), "headline")
    first = [text for index in range(3) for text in names(f"a{index}.", 12)]
    second = [text for index in range(3) for text in names(f"b{index}.", 12)]
    assert order(articles(headline)) == [*first, "headline", *second]


def test_a_headline_beside_text_is_of_its_column_alone() -> None:
    headline = TextLine.known((50, 450, 330, 484), "headline")
    lines = [*articles(headline), line(380, 455, 680, "beside")]
    found = order(lines)
    assert found.index("b0.11") < found.index("a1.0")


def test_a_large_line_with_nothing_to_its_right_below_parts_no_columns() -> None:
    lines = column(50, 350, 100, 30, "a") + column(380, 680, 100, 12, "b")
    lines = [item for item in lines if not (item.text.startswith("a") and 440 < item.y0 < 490)]
    lines.append(TextLine.known((50, 450, 330, 484), "headline"))
    found = order(lines)
    assert found.index("a29") < found.index("b0")


def test_printed_line_numbers_are_taken_out_of_the_text() -> None:
    lines = []
    for i in range(12):
        lines += [line(60, 100 + i * PITCH, 80, str(i + 1)), line(120, 100 + i * PITCH, 800, f"text{i}")]
    found = regions(lines)
    assert [region.side for region in found] == [True, False]
    assert [item.text for item in found[0].lines] == [str(i + 1) for i in range(12)]
    assert [item.text for item in found[1].lines] == names("text", 12)


def test_numbers_that_do_not_count_up_stay_in_their_rows() -> None:
    lines = []
    for i in range(12):
        lines += [line(60, 100 + i * PITCH, 80, str(i * 7 % 5)), line(120, 100 + i * PITCH, 800, f"text{i}")]
    assert [region.side for region in regions(lines)] == [False]


def test_a_single_column_has_no_gutter() -> None:
    assert find_gutter(column(100, 900, 100, 30, "a"), HEIGHT) is None


def test_rows_join_the_parts_of_a_printed_row_from_left_to_right() -> None:
    found = rows([line(500, 103, 700, "b"), line(100, 100, 400, "a"), line(100, 140, 400, "c")])
    assert [[item.text for item in row] for row in found] == [["a", "b"], ["c"]]


def test_short_words_whose_boxes_touch_are_one_row() -> None:
    words = [line(170, 100, 220, "U.P"), line(220, 101, 277, "Iss"), line(260, 102, 309, "Exc")]
    assert [[word.text for word in row] for row in rows(words)] == [["U.P", "Iss", "Exc"]]
    stamped = [line(400, 100, 470, "1.02"), line(430, 108, 500, "DAIM")]  # printed over each other
    assert len(rows(stamped)) == 2


@pytest.mark.parametrize("seed", range(5))
def test_every_line_comes_back_once_whatever_the_places(seed: int) -> None:
    generator = random.Random(seed)
    lines = []
    for i in range(200):
        x0, y0 = generator.uniform(0, 900), generator.uniform(0, 1300)
        place = (x0, y0, x0 + generator.uniform(1, 500), y0 + generator.uniform(1, 60))
        lines.append(TextLine.known(place, str(i)))
    assert sorted(order(lines)) == sorted(item.text for item in lines)


def test_no_lines_give_no_regions() -> None:
    assert regions([]) == []


def test_a_figure_goes_among_the_rows_of_its_column() -> None:
    ordered = regions(column(100, 480, 100, 10, "a") + column(520, 900, 100, 10, "b"))
    figure = Inset((560, 240, 860, 250), "image")
    insert_figure(ordered, figure)
    assert [row for row in ordered[0].rows if row == [figure]] == []
    assert [figure] in ordered[1].rows


def test_a_figure_below_everything_comes_last() -> None:
    ordered = regions(column(100, 480, 100, 3, "a"))
    figure = Inset((100, 500, 480, 900), "image")
    insert_figure(ordered, figure)
    assert ordered[-1] == Region([[figure]])


def test_only_doubtful_layouts_wait_for_characters() -> None:
    def refuse() -> None:
        raise AssertionError("layout asked for the characters of plain prose")

    lines = column(100, 480, 120, 20, "a") + column(520, 900, 120, 20, "b")
    unread = [TextLine((i.x0, i.y0, i.x1, i.y1), n, refuse) for n, i in enumerate(lines)]  # type: ignore[arg-type]
    assert len(regions(unread)) == 2


def test_a_conversation_is_read_from_top_to_bottom() -> None:
    lefts = [30 if n % 2 == 0 else 380 for n in range(8)]
    said = [line(x, 40 + 90 * n, x + 300) for n, x in enumerate(lefts)]
    times = [line(x + 240, 66 + 90 * n, x + 300) for n, x in enumerate(lefts)]
    [region] = regions([*said, *times])
    assert [row[0].y0 for row in region.rows] == sorted(line.y0 for line in (*said, *times))


def test_columns_whose_boxes_meet_in_one_row_stay_columns() -> None:
    """As found on a typeset page: the boxes of one row reach into each other by half a line's height."""
    left = [line(146, 100 + 20 * row, 632, f"a{row}") for row in range(20)]
    right = [line(639, 100 + 20 * row, 1127, f"b{row}") for row in range(20)]
    left[9], right[9] = line(146, 280, 636, "a9"), line(625, 280, 1127, "b9")
    assert order([*left, *right]) == [*names("a", 20), *names("b", 20)]
