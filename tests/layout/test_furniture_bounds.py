"""Headers, footers, page numbers and margins at their bounds, on pages of 800 × 1,000 pixels."""

from __future__ import annotations

import pytest

from airgap.layout.areas import Area
from airgap.layout.furniture import (
    PAGE_NUMBER,
    Furniture,
    _is_alone,
    _is_beside,
    find_furniture,
    number_places,
)
from airgap.layout.lines import TextLine
from tests.layout.turning import first

WIDTH, HEIGHT = 800, 1000


def line(x0: float, y0: float, x1: float, height: float = 20, text: str = "word") -> TextLine:
    return TextLine.known((x0, y0, x1, y0 + height), text)


def body(top: float = 130, count: int = 20, pitch: float = 30) -> list[TextLine]:
    return [line(100, top + pitch * n, 700) for n in range(count)]


def found(*more: TextLine, text: list[TextLine] | None = None, areas: tuple[Area, ...] = ()) -> Furniture:
    return find_furniture([*(body() if text is None else text), *more], areas, WIDTH, HEIGHT)


# --- rows at the edges ---------------------------------------------------------------------------


def test_a_header_ends_above_nine_hundredths_and_a_footer_begins_below_the_rest() -> None:
    assert first(range(75, 65, -1), lambda top: found(line(100, top, 300)).header) == 69
    assert first(range(905, 915), lambda top: found(line(100, top, 300)).footer) == 911


def test_white_of_more_than_a_line_sets_furniture_apart() -> None:
    assert first(range(75, 85), lambda top: found(line(100, 40, 300), text=body(top)).header) == 81
    rows = body(920 - 30 * 20)

    def footer(white: int) -> bool:
        return bool(found(line(100, rows[-1].y1 + white, 300), text=rows).footer)

    assert first(range(15, 25), footer) == 21


def test_furniture_is_not_larger_than_text_by_more_than_a_quarter() -> None:
    assert first(range(30, 20, -1), lambda high: found(line(100, 40, 300, high)).header) == 24
    assert first(range(30, 20, -1), lambda high: found(line(100, 940, 300, high)).footer) == 24
    both = [line(100, 40, 300), line(400, 40, 500, 30)]
    assert not found(*both).header


def test_two_rows_of_furniture_at_most() -> None:
    def header(count: int) -> int:
        return len(found(*(line(100, 10 + 22 * n, 300) for n in range(count)), text=body(140)).header)

    assert [header(count) for count in (1, 2, 3)] == [1, 2, 0]
    lower = [line(100, 960 - 22 * n, 300) for n in range(2)]
    assert list(found(*lower, text=body(140)).footer) == lower


def test_a_page_of_few_rows_has_no_furniture() -> None:
    def header(count: int, rows: int) -> int:
        edge = [line(100, 10 + 22 * n, 300) for n in range(rows)]
        return len(found(*edge, text=body(140, count)).header)

    assert [header(count, 1) for count in (2, 3)] == [0, 1]
    assert [header(count, 2) for count in (2, 3)] == [0, 2]


# --- what the network says -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("label", "place", "kept"),
    [
        ("header", (90, 80, 310, 119), True),
        ("header", (90, 80, 310, 120), False),
        ("text", (90, 80, 310, 119), False),
        ("footer", (90, 80, 310, 119), False),
    ],
)
def test_a_networks_header_ends_above_twelve_hundredths(
    label: str, place: tuple[float, float, float, float], kept: bool
) -> None:
    """A second line close above the text, which nothing else sets apart."""
    furniture = found(line(100, 95, 300), areas=(Area(label, 0.9, place),))
    assert bool(furniture.header) is kept
    assert len(furniture.text) + len(furniture.header) == 21


@pytest.mark.parametrize(
    ("label", "place", "kept"),
    [
        ("footer", (90, 881, 310, 920), True),
        ("footer", (90, 880, 310, 920), False),
        ("header", (90, 881, 310, 920), False),
    ],
)
def test_a_networks_footer_begins_below_the_rest(
    label: str, place: tuple[float, float, float, float], kept: bool
) -> None:
    text = body(885 - 30 * 20)
    furniture = found(line(100, 885, 300), text=text, areas=(Area(label, 0.9, place),))
    assert bool(furniture.footer) is kept


# --- numbers -------------------------------------------------------------------------------------


def numbers(*more: TextLine, text: list[TextLine] | None = None) -> list[TextLine]:
    lines = [*(body() if text is None else text), *more]
    assert number_places(lines, HEIGHT) == list(found(*more, text=text).page_number)
    return number_places(lines, HEIGHT)


def number(x0: float, y0: float, x1: float) -> TextLine:
    return line(x0, y0, x1, text="12")


def test_page_numbers_stand_in_the_outer_twelve_hundredths() -> None:
    around = [*body(30, 5, 60), *body(450, 18)]
    assert first(range(115, 105, -1), lambda top: numbers(number(720, top, 750), text=around)) == 110
    assert first(range(865, 875), lambda top: numbers(number(720, top, 750), text=around)) == 870


def test_page_numbers_are_short() -> None:
    assert first(range(170, 150, -1), lambda wide: numbers(number(300, 950, 300 + wide))) == 160


def test_a_number_far_below_all_rows_is_the_pages_wherever_the_text_ends() -> None:
    text = body(200, 7)

    def apart(white: int, count: int = 7) -> list[TextLine]:
        rows = text[:count]
        return numbers(number(380, rows[-1].y1 + white, 410), text=rows)

    assert first(range(35, 45), apart) == 41
    assert [bool(apart(60, count)) for count in (6, 7)] == [False, True]
    assert first(range(160, 150, -1), lambda top: numbers(number(380, top - 20, 410), text=text)) == 159
    two = [number(300, 600, 330), number(500, 600, 530)]
    assert not numbers(*two, text=text)


def test_a_number_stands_alone() -> None:
    one = line(300, 500, 340)

    def near(x: float, y: float, x1: float = 40) -> bool:
        other = line(x, y, x + x1)
        return not _is_alone(one, [one, other])

    assert first(range(370, 350, -1), lambda x: near(x, 520)) == 359
    assert first(range(230, 260), lambda x: near(x, 520)) == 241
    assert first(range(545, 530, -1), lambda y: near(300, y)) == 539
    assert first(range(455, 470), lambda y: near(300, y)) == 461
    assert _is_alone(one, [one])


def test_numbers_of_the_upper_half_come_before_the_text() -> None:
    def labels(y: float) -> tuple[list[str | None], list[str | None]]:
        furniture = Furniture((), (), (number(300, y, 330),), (), ())
        return [r.label for r in furniture.above(1000)], [r.label for r in furniture.below(1000)]

    assert labels(489) == (["page_number"], [])
    assert labels(490) == ([], ["page_number"])
    one, two, three = number(0, 10, 20), number(0, 980, 20), number(0, 500, 20)
    full = Furniture((one,), (two,), (three,), (one,), ())
    assert [region.label for region in full.above(1000)] == ["header"]
    assert [region.label for region in full.below(1000)] == ["margin", "footer", "page_number"]


def test_a_number_in_the_header_is_no_part_of_it() -> None:
    furniture = found(line(100, 40, 300), number(600, 40, 640), line(100, 960, 300), number(600, 960, 640))
    assert [len(group) for group in (furniture.header, furniture.footer, furniture.page_number)] == [1, 1, 2]
    assert len(furniture.text) == 20


@pytest.mark.parametrize(
    "text",
    [
        *("1", "1234", "(12)", "[12]", "|12|", "· 12 ·", "• 12", "— 12 —", "– 12 –", "p. 3", "s. 3", "стр 3"),
        *("стр. 3", "pages 3", "page 3 / 9", "Seite 3 von 9", "3 / 9", "第5页", "第 5 頁 共 9 頁", "IV"),
        *("xxxviii", "page 3 из 4"),
    ],
)
def test_what_page_numbers_say(text: str) -> None:
    assert PAGE_NUMBER.fullmatch(text)


@pytest.mark.parametrize("text", ["12345", "12 13", "p 3", "abc", "3 of", "第 5", "", "1/2/3", "page"])
def test_what_page_numbers_do_not_say(text: str) -> None:
    assert not PAGE_NUMBER.fullmatch(text)


# --- margins -------------------------------------------------------------------------------------


def beside(x0: float, x1: float, height: float, *others: TextLine) -> bool:
    stamp = TextLine.known((x0, 100, x1, 100 + height), "stamp")
    return _is_beside(stamp, [stamp, *others], WIDTH)


def test_a_margins_line_is_high_and_at_the_side() -> None:
    assert first(range(50, 70), lambda high: beside(20, 40, high)) == 60
    assert first(range(70, 60, -1), lambda x: beside(x - 20, x, 100)) == 63
    assert first(range(730, 740), lambda x: beside(x, x + 20, 100)) == 737
    assert not beside(400, 420, 100)


def test_nothing_but_high_lines_stands_further_out() -> None:
    assert first(range(35, 45), lambda x: beside(20, 40, 100, line(x, 300, 300))) == 41
    assert first(range(765, 755, -1), lambda x: beside(760, 780, 100, line(500, 300, x))) == 759
    assert beside(20, 40, 100, line(5, 300, 15, 100))
    assert beside(760, 780, 100, line(785, 300, 795, 100))
    assert not beside(20, 40, 100, line(5, 300, 15, 10))
    assert not beside(760, 780, 100, line(785, 300, 795, 10))
    assert list(found(TextLine.known((20, 200, 40, 300), "s")).margin) != []
