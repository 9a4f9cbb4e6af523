"""Lines torn by justification, from places alone: synthetic lines, 20 pixels high."""

from __future__ import annotations

from airgap.layout.justified import torn_rows
from airgap.layout.lines import Reading, TextLine, joined

HEIGHT, PITCH = 20, 26


def line(x0: float, row: int, x1: float, text: str = "") -> TextLine:
    return TextLine.known((x0, 100 + row * PITCH, x1, 100 + row * PITCH + HEIGHT), text or f"{x0}-{row}")


def texts(lines: list[TextLine]) -> list[list[str]]:
    return sorted([piece.text for piece in row] for row in torn_rows(lines))


def measure(*rows: int, x0: float = 100, x1: float = 300) -> list[TextLine]:
    return [line(x0, row, x1) for row in rows]


def torn(row: int, x0: float = 100, x1: float = 300) -> list[TextLine]:
    return [
        line(x0, row, x0 + 60, f"a{row}"),
        line(x0 + 110, row, x0 + 140, f"b{row}"),
        line(x1 - 30, row, x1, f"c{row}"),
    ]


def test_words_of_one_justified_line_are_put_together() -> None:
    assert texts([*measure(0, 1, 3), *torn(2)]) == [["a2", "b2", "c2"]]


def test_torn_lines_under_one_another_are_put_together_line_by_line() -> None:
    found = texts([*measure(0, 1), *torn(2), *torn(3), *torn(4)])
    assert found == [[f"a{row}", f"b{row}", f"c{row}"] for row in (2, 3, 4)]


def test_the_first_line_of_a_column_may_be_torn() -> None:
    assert texts([*torn(0), *measure(1, 2)]) == [["a0", "b0", "c0"]]


def test_columns_that_stand_closer_than_words_stay_apart() -> None:
    beside = measure(0, 1, 2, 3, x0=312, x1=512)
    assert texts([*measure(0, 1, 3), *torn(2), *beside]) == [["a2", "b2", "c2"]]


def test_rows_of_a_table_stay_as_they_are() -> None:
    rows = [piece for row in range(4) for piece in torn(row)]
    assert texts(rows) == []
    assert texts([line(100, 0, 300, "one line over all columns"), *torn(1), *torn(2)]) == []


def test_a_row_that_ends_short_of_the_measure_stays_as_it_is() -> None:
    assert texts([*measure(0, 1), line(100, 2, 160), line(200, 2, 230)]) == []


def test_a_sum_far_to_the_right_under_a_paragraph_stays_apart() -> None:
    assert texts([*measure(0, 1, x1=900), line(100, 2, 160), line(840, 2, 900)]) == []


def test_pieces_say_what_they_say_one_after_the_other() -> None:
    said = joined([Reading("to the", 1.0), Reading("", 0.0), Reading("weir", 0.7)])
    assert said.text == "to the weir"
    assert abs(said.confidence - 0.88) < 1e-9
    assert joined([]) == Reading("", 0.0)
