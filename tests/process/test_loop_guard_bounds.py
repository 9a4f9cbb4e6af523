"""How many rounds are a loop, to the round; where it is cut, to the character; what is remembered."""

from __future__ import annotations

import random
import string

import pytest

from process.loop_guard import Loop, LoopDetector, _repetitions, cut_loop, find_loop

LEAD = "# \n\n"


def letters(count: int) -> str:
    """So many letters without a repetition of their own."""
    rng = random.Random(count)
    return "".join(rng.choice(string.ascii_letters) for _ in range(count))


def is_loop_from(rounds: int, unit: str, ending: str = "") -> bool:
    """Whether so many rounds are a loop and one less is none."""
    loop = find_loop(LEAD + unit * rounds + ending)
    return (
        loop is not None and loop.rounds == rounds and find_loop(LEAD + unit * (rounds - 1) + ending) is None
    )


@pytest.mark.parametrize(
    ("count", "rounds"),
    [(600, 5), (599, 8), (200, 8), (199, 15), (60, 15), (59, 20), (20, 20), (19, 80), (5, 80), (4, 150)],
)
def test_rounds_of_running_text(count: int, rounds: int) -> None:
    assert is_loop_from(rounds, letters(count))


@pytest.mark.parametrize(("unit", "rounds"), [("a. ", 150), ("a", 500), (".", 500), (". ", 200)])
def test_rounds_of_next_to_nothing(unit: str, rounds: int) -> None:
    """Of one letter, of one character, and of no letter at all."""
    assert is_loop_from(rounds, unit)


@pytest.mark.parametrize(("length", "rounds"), [(100, 160), (81, 197), (80, 200), (79, 200)])
def test_sixteen_thousand_characters_of_the_same_are_a_loop(length: int, rounds: int) -> None:
    rng = random.Random(length)
    unit = "".join(rng.choice("!?#$%&*()/.,-+") for _ in range(length - 1)) + ";"
    assert is_loop_from(rounds, unit)


@pytest.mark.parametrize(("count", "rounds"), [(200, 15), (199, 40), (40, 40), (39, 120), (5, 120), (1, 120)])
@pytest.mark.parametrize("row", ["<tr><td>{}</td></tr>", "<td>{} ", "<tr>{} ", "<th>{}</th>", "| {} |\n"])
def test_rounds_of_rows(count: int, rounds: int, row: str) -> None:
    assert is_loop_from(rounds, row.format(letters(count)))


def test_one_bar_or_no_line_end_is_no_row() -> None:
    assert is_loop_from(20, f"{letters(40)}|\n")
    assert is_loop_from(20, f"|{letters(40)}| ")


def test_a_long_row_is_a_loop_sooner() -> None:
    row = f"<tr><td>{letters(1600 - 18)}</td></tr>"
    assert len(row) == 1600
    assert is_loop_from(10, row)


def test_letters_of_tags_do_not_count_wherever_the_round_begins() -> None:
    cell = f"<td>{letters(39)}</td>"
    assert is_loop_from(120, cell)
    assert find_loop(LEAD + cell * 60 + "<td") is None
    assert find_loop(LEAD + f"<td>{letters(41)}</td>" * 60 + "<td") is not None


def test_a_letter_of_a_script_without_spaces_counts_twice() -> None:
    chinese = "".join(chr(0x4E00 + n) for n in range(30))
    assert is_loop_from(15, chinese)
    assert is_loop_from(20, chinese[:29])


@pytest.mark.parametrize(
    ("row", "count", "rounds"),
    [
        ("{} {}\n", 40, 40),
        ("{} {}\n", 20, 40),
        ("{} {}\n", 19, 160),
        ("{} {}\n", 1, 160),
        ("<tr><td>{}</td><td>{}</td></tr>", 40, 60),
        ("<tr><td>{}</td><td>{}</td></tr>", 39, 160),
        ("<tr><td>{}</td><td>{}</td></tr>", 1, 160),
    ],
)
def test_rounds_of_what_counts(row: str, count: int, rounds: int) -> None:
    def counting(rounds: int) -> str:
        return LEAD + "".join(row.format(100 + n, letters(count)) for n in range(rounds))

    loop = find_loop(counting(rounds))
    assert loop is not None
    assert loop.rounds == rounds
    assert find_loop(counting(rounds - 1)) is None


def test_numbers_alone_count_long() -> None:
    assert find_loop(LEAD + "".join(f"{1000 + n}; " for n in range(400))) is not None
    assert find_loop(LEAD + "".join(f"{1000 + n}; " for n in range(399))) is None


@pytest.mark.parametrize(("uneven", "found"), [(0, True), (4, True), (5, False), (12, False)])
def test_nine_steps_of_ten_are_a_count(uneven: int, found: bool) -> None:
    """41 numbers, 40 steps, some of which are others."""
    number, text = 100, LEAD
    for n in range(41):
        text += f"{number} {letters(40)}\n"
        number += 10 + n if n < uneven else 3
    assert (find_loop(text) is not None) is found


def test_every_number_of_a_round_has_to_count() -> None:
    rng = random.Random(5)
    both = "".join(f"{n} {letters(40)} {2 * n}\n" for n in range(50))
    assert find_loop(LEAD + both) is not None
    one = "".join(f"{n} {letters(40)} {rng.randrange(1000)}\n" for n in range(50))
    assert find_loop(LEAD + one) is None


def test_positions_wander_and_do_not_count() -> None:
    rng = random.Random(7)
    blocks = "".join(
        f"<|ref|>text<|/ref|><|det|>[[{rng.randrange(999)}, 2]]<|/det|>\n{letters(70)}\n" for _ in range(20)
    )
    loop = find_loop(LEAD + blocks)
    assert loop is not None
    assert (loop.rounds, loop.start) == (20, len(LEAD) - 1)
    assert cut_loop(LEAD + blocks) == LEAD + blocks[: blocks.index("<|ref|>", 1)]


@pytest.mark.parametrize("certain", [2, 3])
def test_three_rounds_do_where_it_is_certain(certain: int) -> None:
    plain, counting = letters(70) * certain, "".join(f"{n} {letters(70)}\n" for n in range(certain))
    assert (find_loop(LEAD + plain, certain=True) is not None) is (certain == 3)
    assert (find_loop(LEAD + counting, certain=True) is not None) is (certain == 3)


def test_the_period_is_bounded() -> None:
    assert is_loop_from(5, letters(2048))
    assert find_loop(LEAD + letters(2049) * 12) is None


def test_a_repetition_is_a_period_and_two_dozen_characters() -> None:
    assert _repetitions("x" + "ab" * 13) == [(2, 26)]
    assert _repetitions("x" + "b" + "ab" * 12) == []


@pytest.mark.parametrize(
    ("unit", "kept"),
    [
        ("<|ref|>{}\n\n", "<|ref|>{}\n\n"),
        ("{}\n\nmore\n", "{}\n\nmore\n{}\n\n"),
        ("{}\nmore. ", "{}\nmore. {}\n"),
        ("x<tr>{}. ", "x<tr>{}. x"),
        ("{}. more ", "{}. more {}. "),
        ("{}。more ", "{}。more {}。"),
        ("{} more", "{} more{} "),
        ("{}", "{}"),
        ("{} ", "{} "),
    ],
)
def test_the_cut_is_at_the_best_boundary_of_the_second_round(unit: str, kept: str) -> None:
    word = letters(70)
    assert cut_loop(LEAD + unit.format(word) * 50) == LEAD + kept.format(word, word)


def test_a_loop_tells_unit_rounds_and_places() -> None:
    unit = letters(69) + " "
    assert find_loop(LEAD + unit * 16) == Loop(unit, 16, len(LEAD), len(LEAD) + 70)


def test_a_detector_looks_every_512_characters() -> None:
    detector = LoopDetector()
    assert [n for n in range(1, 1100) if detector.feed("a")] == [512, 1024]
    whole = LoopDetector()
    assert whole.feed("a" * 511) is None
    assert whole.feed("a") == Loop("a", 512, 0, 1)


def test_a_long_delta_is_looked_at_in_pieces() -> None:
    assert LoopDetector().feed("a" * 5000) == Loop("a", 512, 0, 1)


def test_a_look_on_demand_starts_the_count_anew() -> None:
    detector = LoopDetector()
    detector.feed("a" * 505)
    assert detector.check() == Loop("a", 505, 0, 1)
    assert detector.feed("a" * 511) is None
    assert detector.feed("a") == Loop("a", 1017, 0, 1)


def test_what_is_remembered_is_24_000_characters() -> None:
    detector = LoopDetector()
    unit = letters(100)
    for _ in range(300):
        detector.feed(unit)
    loop = detector.check()
    assert loop is not None
    assert (loop.start, loop.keep, loop.rounds, loop.unit) == (6000, 6100, 240, unit)
