"""Program text at its bounds: rows of one pitch, ten pixels a character."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from airgap.layout.code import (
    _indents,
    _is_code,
    _pitch,
    _set_apart,
    _underscores,
    _unfolded,
    _with_blanks,
    _with_underscores,
    code_of,
)
from airgap.layout.lines import Inset, Reading, TextLine

PAPER = np.full((800, 900, 3), 255, np.uint8)
PROGRAM = ("def f(x):", "    y = x[1]", "    return g(y)", "", "print(f(2), f(3))")


def line(text: str, column: float = 0, row: float = 0, wide: float | None = None) -> TextLine:
    x, y = 40 + 10 * column, 40 + 24 * row
    return TextLine.known((x, y, x + (10 * len(text) if wide is None else wide), y + 18), text)


def program(*texts: str) -> list[list[TextLine]]:
    return [
        [line(text.strip(), len(text) - len(text.lstrip()), number)]
        for number, text in enumerate(texts or PROGRAM)
        if text.strip()
    ]


def unsure(place: tuple[float, float, float, float]) -> Reading:
    return Reading("never mind", 0.79)


def code(rows: list[list[TextLine]], read=unsure) -> str | None:
    found = code_of(rows, read, PAPER)
    return None if found is None else found[0]


# --- what is a program ---------------------------------------------------------------------------


def test_a_program_has_four_rows() -> None:
    assert code(program()) == "\n".join(PROGRAM)
    assert code(program(*PROGRAM[:3])) is None
    rows = program()
    for row in rows[3:]:
        row[0].replace(line("").start())
    assert code(rows) is None


def test_a_program_is_asked_for_on_its_first_rows_alone() -> None:
    plain = ("some words here", "and here more", "that are plain", "to their end of")
    code_rows = ("f(x) = y", "g(x) = [y]", "h(x) = {y}", "i(x) = z;")
    assert code(program(*plain[:3], *code_rows)) is not None
    assert code(program(*plain, *code_rows, *code_rows)) is None


def pieces(count: int) -> list[list[TextLine]]:
    """Ten rows of code, so many of them in two pieces."""
    rows = []
    for n in range(10):
        text = f"f{n}(x) = {'y' * n};"
        rows.append([line(text[:2], 0, n), line(text[3:], 4, n)] if n < count else [line(text, 0, n)])
    return rows


def test_rows_in_many_pieces_are_no_program() -> None:
    assert [code(pieces(count)) is not None for count in (8, 9)] == [True, False]


def test_a_set_text_is_no_program() -> None:
    """Rows close under one another that reach as far as each other."""

    def found(stacked: int) -> bool:
        long = [f"call({n}, 'an argument');"[:24].ljust(24, ";") for n in range(stacked)]
        short = [f"f({'x' * n})" for n in range(1, 11 - stacked)]
        return code(program(*long, *short)) is not None

    answers = [found(stacked) for stacked in range(8)]
    assert answers == sorted(answers, reverse=True)
    assert answers.index(False) == 4


@pytest.mark.parametrize(
    ("texts", "is_code"),
    [
        (["(" + "x" * 15, "x" * 9 + ";"], True),
        (["x;" + "x" * 29 + ";", "x" * 9 + "a"], False),
        (["f(x)", "g(x)", "words", "words", "words"], True),
        (["f(x)", "words (a) <b> +c", "words (a) <b> +c"], False),
        ([""], False),
    ],
)
def test_a_program_has_signs_and_rows_that_read_like_one(texts: list[str], is_code: bool) -> None:
    assert _is_code([[line(text)] for text in texts]) is is_code


def test_signs_are_six_of_a_hundred_characters() -> None:
    assert [_is_code([[line("f(" + "x" * n + ")")]]) for n in (30, 31)] == [True, False]
    assert [_is_code([[line("f((" + "x" * n + ")")]]) for n in (46, 47)] == [True, False]


def table(count: int, label: str = "table") -> Inset:
    return Inset((40, 400, 400, 500), label, [line("f(x)", 0, 10 + n) for n in range(count)])


def test_lines_of_tables_count_where_they_are_half_at_most() -> None:
    loose = [line("g(x)", 0, n) for n in range(4)]
    assert len(_unfolded([*loose, table(4)])) == 8
    assert _unfolded([*loose, table(5)]) == []
    assert _unfolded([*loose, table(1, "image")]) == []
    assert _unfolded(loose) == loose


# --- the pitch -----------------------------------------------------------------------------------


def pitch(*widths: tuple[int, float]) -> float | None:
    return _pitch([line("x" * count, 0, n, wide) for n, (count, wide) in enumerate(widths)])


def test_a_pitch_is_told_by_four_lines_of_different_length() -> None:
    assert pitch((4, 46), (6, 66), (8, 86), (10, 106)) == pytest.approx(10)
    assert pitch((4, 46), (6, 66), (10, 106)) is None
    assert pitch((4, 46), (6, 66), (8, 86), (9, 96)) is None
    assert pitch((3, 36), (6, 66), (8, 86), (9, 96)) is None
    assert pitch((3, 900), (4, 46), (6, 66), (8, 86), (10, 106)) == pytest.approx(10)
    assert pitch((4, 106), (6, 86), (8, 66), (10, 46)) is None


def test_three_of_four_lines_keep_the_pitch_within_seven_tenths_of_a_character() -> None:
    exact = [(count, 10.0 * count + 6) for count in range(10, 80, 10)]

    def keeps(off: float, count: int) -> bool:
        longer = ((length, wide + off) for length, wide in exact[7 - count :])
        return pitch(*exact[: 7 - count], *longer) is not None

    assert [keeps(6.9, 2), keeps(7.1, 1), keeps(7.1, 2)] == [True, True, False]
    assert pitch(*exact, (80, 856)) == 10
    assert pitch(*exact[:3], (80, 956), (90, 1156)) is None


# --- indentation and gaps ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("starts", "indents"),
    [
        ((40, 40), [0, 0]),
        ((40, 79, 121), [0, 4, 8]),
        ((40, 55, 70), [0, 2, 4]),
        ((40, 54, 54), [0, 1, 1]),
        ((40, 80, 129), [0, 4, 8]),
        ((40, 80, 130), [0, 4, 9]),
        ((60, 40), [2, 0]),
    ],
)
def test_by_how_many_characters_rows_are_set_in(starts: tuple[float, ...], indents: list[int]) -> None:
    assert _indents(starts, 10) == indents


def test_pieces_of_a_row_stand_as_far_apart_as_they_do() -> None:
    def row(gap: float) -> str:
        return _set_apart([line("ab"), line("cd", 2 + gap), line("e", 5 + gap)], 10)

    assert [row(gap) for gap in (0, 1, 1.6, 3)] == ["ab cd e", "ab cd e", "ab  cd e", "ab   cd e"]


def test_a_row_in_pieces_is_read_again_as_a_whole() -> None:
    rows = program()
    rows[-1] = [line("print(f(2),", 0, 4), line("f(3))", 12, 4)]
    rows[-1][1].y0 -= 3
    rows[-1][0].y1 += 2
    asked: list[tuple[float, float, float, float]] = []

    def sure(place: tuple[float, float, float, float]) -> Reading:
        asked.append(place)
        return Reading("print(whole)", 0.8)

    assert code(rows, sure) == "\n".join([*PROGRAM[:4], "print(whole)"])
    assert asked == [(40, 133, 210, 156)]
    assert code(rows) == "\n".join(PROGRAM)


def test_an_empty_line_is_where_the_distance_is_that_of_three() -> None:
    def texts(gap: float) -> list[str]:
        tops = (0, 1, 2, 2 + gap, 3 + gap)
        return _with_blanks([[line("x", 0, top)] for top in tops], list("abcde"))

    assert texts(1.6) == ["a", "b", "c", "d", "e"]
    assert texts(1.65) == ["a", "b", "c", "", "d", "e"]


# --- underscores ---------------------------------------------------------------------------------


def test_underscores_are_put_where_they_were_read() -> None:
    assert _with_underscores("_a_b", [2, 3]) == "__a___b"
    assert _with_underscores("a_", [4]) == "a____"
    assert _with_underscores("a_b", []) == "a_b"
    assert _with_underscores("a_b", [1, 2]) == "a_b"


def strokes(
    *spans: tuple[int, int], y: int = 16, high: int = 2, ground: int = 255, ink: int = 0
) -> list[int]:
    picture = np.full((60, 300, 3), ground, np.uint8)
    for x0, x1 in spans:
        picture[20 + y : 20 + y + high, 40 + x0 : 40 + x1] = ink
    return _underscores(picture, (40, 20, 240, 40), 10)


def test_strokes_below_the_letters_are_underscores() -> None:
    assert strokes((0, 20), (50, 60)) == [2, 1]
    assert strokes((0, 7), (50, 60)) == [1]
    assert strokes((0, 8), (50, 60)) == [1, 1]
    assert strokes((0, 16), (50, 74)) == [2, 2]
    assert strokes((0, 20), y=12) == []
    assert strokes((0, 20), y=13) == [2]
    assert strokes((0, 20), y=14, high=6) == [2]
    assert strokes((180, 200)) == [2]
    assert strokes((0, 20), ground=20, ink=250) == [2]
    assert strokes((0, 20), y=4, high=14) == []
    assert _underscores(PAPER, (950, 20, 990, 40), 10) == []
    assert _underscores(PAPER, (-20, -10, -5, -2), 10) == []


@pytest.mark.parametrize(("grey", "found"), [(151, [2, 2]), (154, [2])])
def test_a_faint_stroke_is_none(grey: int, found: list[int]) -> None:
    picture = np.full((60, 300, 3), 255, np.uint8)
    picture[36:38, 40:60] = 0
    picture[36:38, 100:120] = grey
    assert _underscores(picture, (40, 20, 240, 40), 10) == found


def test_what_stands_above_a_stroke_makes_it_part_of_a_letter() -> None:
    def found(columns: int) -> bool:
        picture = np.full((60, 300, 3), 255, np.uint8)
        cv2.rectangle(picture, (40, 36), (59, 37), (0, 0, 0), -1)
        picture[25:33, 40 : 40 + columns] = 0
        return _underscores(picture, (40, 20, 240, 40), 10) == [2]

    assert [found(columns) for columns in (1, 2)] == [True, False]


def test_underscores_of_a_program_are_counted_on_the_page() -> None:
    picture = PAPER.copy()
    rows = program("x_ = f(1)", "y = g(x, 2)", "return [x, y, 3]", "z(x);")
    picture[54:56, 50:70] = 0
    found = code_of(rows, unsure, picture)
    assert found is not None
    assert found[0].splitlines()[0] == "x__ = f(1)"
    assert found[1] == tuple(row[0] for row in rows)
