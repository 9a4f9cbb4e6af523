"""Real loops are caught within bounds; what a printed page can hold is never cut."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from process import loop_guard
from process.loop_guard import LoopDetector, cut_loop, find_loop

OUTPUTS = sorted((Path(__file__).parent.parent / "data" / "model_outputs").glob("*.mmd"))
INTRO = "# Annual report\n\nThe committee met twice in the year and approved the accounts.\n\n"
SENTENCE = "The parties agree that the contract is governed by the law of the land. "
BLOCK = "Name of the applicant:\nAddress of the applicant:\nPlace, date and signature:\n\n"
POSITIONS = "<|det|>[[{}, 20, 300, 40]]<|/det|>"


def grounded(texts: list[str]) -> str:
    refs = (f"<|ref|>text<|/ref|>{POSITIONS.format(i % 999)}\n{text}\n\n" for i, text in enumerate(texts))
    return "".join(refs)


def watch(text: str, piece: int = 7) -> int | None:
    """How many characters the detector let through, fed in pieces; None when it let all through."""
    detector = LoopDetector()
    for start in range(0, len(text), piece):
        if detector.feed(text[start : start + piece]):
            return start + piece
    return len(text) if detector.check() else None


LOOPS = {
    "sentence": (SENTENCE * 20, SENTENCE),
    "three lines": (BLOCK * 20, BLOCK),
    "one character": ("a" * 1000, "a"),
    "dots": (". " * 1000, ". "),
    "one word": ("the " * 400, "the "),
    "chinese": (
        "本合同受中华人民共和国法律管辖并按其解释。" * 25,
        "本合同受中华人民共和国法律管辖并按其解释。",
    ),
    "long paragraph": ((SENTENCE * 3 + "Signed, sealed and delivered by all. ") * 20, None),
    "whole page": ("".join(f"Line {i} says {chr(97 + i % 26) * 9} and more.\n" for i in range(40)) * 8, None),
    "growing list": ("".join(f"{i}. x\n" for i in range(1, 400)), "1. x\n"),
    "growing list in a line": (" ".join(f"{i}. x" for i in range(1, 400)), None),
    "counting down": ("".join(f"Chapter {i} of the book\n" for i in range(900, 700, -1)), None),
    "growing sentence": ("".join(f"{i}. {SENTENCE}\n" for i in range(1, 60)), None),
    "empty cells": ("<table><tr>" + "<td></td>" * 1000, None),
    "empty rows": ("<table>" + "<tr><td></td><td></td></tr>" * 500, None),
    "full rows": ("<table>" + "<tr><td>Transfer</td><td>Bank of the North</td></tr>" * 300, None),
    "grounded": (grounded([SENTENCE] * 30), None),
    "references alone": ("<|ref|>image<|/ref|><|det|>[[1, 2, 3, 4]]<|/det|>\n" * 400, None),
    "latex": ("\\[ " + "\\quad " * 400, None),
}


@pytest.mark.parametrize("name", LOOPS)
def test_a_loop_is_caught_and_cut_to_one_round(name: str) -> None:
    loop, unit = LOOPS[name]
    text = INTRO + loop
    assert watch(text) is not None
    short = cut_loop(text)
    assert text.startswith(short)
    assert INTRO.rstrip() in short
    assert len(short) < len(INTRO) + len(loop) / 4
    if unit is not None:
        assert unit.strip() in short
        assert short.removeprefix(INTRO).count(unit.strip()) <= 2
    assert cut_loop(short) == short


@pytest.mark.parametrize("name", ["sentence", "three lines", "grounded", "growing list", "one character"])
def test_an_endless_loop_costs_a_bounded_number_of_characters(name: str) -> None:
    loop = LOOPS[name][0]
    if name == "growing list":
        loop = "".join(f"{i}. x\n" for i in range(1, 20_000))
    endless = INTRO + (loop * 40 if name != "growing list" else loop)
    seen = watch(endless)
    assert seen is not None
    assert seen <= len(INTRO) + 2500


def test_a_cut_grounded_loop_ends_between_blocks() -> None:
    short = cut_loop(INTRO + grounded(["One line only.", *[SENTENCE] * 30]))
    assert short == INTRO + grounded(["One line only.", SENTENCE])


def test_the_loop_is_described_in_the_offsets_of_the_whole_text() -> None:
    lead = "".join(f"{random.Random(i).random()} words of line {i}\n" for i in range(2000))
    detector = LoopDetector()
    loop = None
    for start in range(0, len(lead), 100):
        assert detector.feed(lead[start : start + 100]) is None
    for _ in range(30):
        loop = loop or detector.feed(SENTENCE)
    assert loop is not None
    assert len(loop.unit) == len(SENTENCE)
    assert abs(loop.start - len(lead)) < len(SENTENCE)
    assert (lead + SENTENCE * 2)[loop.start : loop.keep].startswith(SENTENCE)


def random_table(rows: int, seed: int) -> str:
    rng = random.Random(seed)
    cells = (f"<td>{i}</td><td>{rng.randrange(10**4) / 100:.2f}</td><td></td>" for i in range(rows))
    return "<table>" + "".join(f"<tr>{cell}</tr>" for cell in cells) + "</table>"


def contents() -> str:
    titles = ["Introduction", "Scope", "Terms and definitions", "Requirements", "Annex"]
    lines = [f"{i}. {titles[i % 5]} {'.' * (90 - i % 7)} {i * 3 + i % 4}" for i in range(60)]
    return "\n".join(lines)


PAGES = {
    "empty rows": "<table>" + "<tr><td></td><td></td></tr>" * 60 + "</table>",
    "wide empty rows": "<table>" + ("<tr>" + "<td></td>" * 12 + "</tr>") * 60 + "</table>",
    "a wide row": "<table><tr>" + "<td></td>" * 60 + "</tr></table>",
    "equal rows": "<table>" + "<tr><td>0</td><td>0</td><td>Yes</td></tr>" * 60 + "</table>",
    "equal rows of words": "<table>" + "<tr><td>Not applicable</td><td>None</td></tr>" * 60 + "</table>",
    "numbered empty rows": "".join(f"<tr><td>{i}</td><td></td></tr>" for i in range(1, 121)),
    "numbered rows with words": "".join(f"<tr><td>{i}</td><td>Yes</td></tr>" for i in range(1, 121)),
    "rows that count": "".join(f"<tr><td>{i}</td><td>{i * 5}</td></tr>" for i in range(100)),
    "number rows": random_table(200, 1),
    "markdown rows": "| a | b |\n|---|---|\n" + "|   |   |\n" * 80,
    "contents": contents(),
    "dotted leaders": "\n".join(["." * 110] * 30),
    "lines to write on": "\n".join(["_" * 80] * 30),
    "similar numbers": "\n".join(f"{1000 + random.Random(i).randrange(9)}.00" for i in range(200)),
    "equal numbers": "0.00\n" * 120,
    "an answer sheet": "\n".join(f"{i}. A B C D" for i in range(1, 121)),
    "a hundred square": "\n".join(" ".join(str(10 * r + c) for c in range(1, 11)) for r in range(10)),
    "yes and no": "Yes\n" * 60,
    "a refrain": (SENTENCE + "\n") * 12,
    "address labels": "A. Person\n1 Long Street\nSome Town AB1 2CD\n\n" * 14,
    "statement": "\n".join(
        f"0{i % 9 + 1}.03. Card payment {random.Random(i).random():.2f} EUR" for i in range(90)
    ),
    "a page of thumbnails": "<|ref|>image<|/ref|><|det|>[[1, 2, 3, 4]]<|/det|>\n" * 60,
    "grounded short answers": grounded(["No"] * 60),
}


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("tail", ["", "\n\nThe end of the page, with a word or two more."])
def test_a_real_page_is_never_cut(name: str, tail: str) -> None:
    text = INTRO + PAGES[name] + tail
    assert watch(text) is None
    assert cut_loop(text) == text


@pytest.mark.parametrize("path", OUTPUTS, ids=lambda path: path.stem)
def test_real_outputs_are_never_cut(path: Path) -> None:
    text = path.read_text()
    assert watch(text, 3) is None
    for end in range(0, len(text), 50):
        assert cut_loop(text[:end]) == text[:end]


def naive_period_lengths(text: str) -> dict[int, int]:
    lengths = {}
    for period in range(1, len(text)):
        length = period
        while length < len(text) and text[-length - 1] == text[-length - 1 + period]:
            length += 1
        lengths[period] = length
    return lengths


letters = st.sampled_from("ab")
units = st.text(letters, min_size=1, max_size=30)


@settings(deadline=None)
@given(st.text(letters, max_size=40), units, st.integers(1, 30), st.text(letters, max_size=10))
def test_repetitions_agree_with_a_plain_count(lead: str, unit: str, rounds: int, tail: str) -> None:
    text = lead + unit * rounds + tail
    naive = naive_period_lengths(text)
    found = dict(loop_guard._repetitions(text))
    assert found.items() <= naive.items()
    long = {p: n for p, n in naive.items() if n >= 2 * p + loop_guard._ANCHOR}
    for period, length in long.items():
        assert any(length <= found[p] and period % p == 0 for p in found), (period, length, found)


@settings(deadline=None)
@given(st.text(), st.lists(st.sampled_from(["<|det|>[[1]]<|/det|>", "12", "x", "<|ref|>", " "]), max_size=9))
def test_offsets_in_the_reduced_text_lead_back(lead: str, pieces: list[str]) -> None:
    text = lead + "".join(pieces) + "x"
    reduced = loop_guard._Reduced(text, loop_guard._POSITIONS_OR_NUMBERS)
    for i, c in enumerate(reduced.text):
        original = text[reduced._offset(i)]
        assert original == c or (c == loop_guard._NUMBER and (original.isdigit() or original == c))


@settings(deadline=None)
@given(st.text(st.sampled_from("a1 .<>|\n"), max_size=20), st.integers(0, 400), st.text(max_size=20))
def test_it_never_raises_and_cuts_only_the_end(unit: str, rounds: int, tail: str) -> None:
    text = unit * rounds + tail
    assert text.startswith(cut_loop(text))
    detector = LoopDetector()
    detector.feed(text)
    detector.check()


def test_a_loop_that_is_known_of_needs_few_rounds() -> None:
    text = INTRO + SENTENCE * 4
    assert cut_loop(text) == text
    assert cut_loop(text, certain=True) == INTRO + SENTENCE
    assert cut_loop(INTRO, certain=True) == INTRO


def test_memory_is_bounded() -> None:
    detector = LoopDetector()
    rng = random.Random(3)
    for _ in range(300):
        assert detector.feed("".join(chr(rng.randrange(97, 123)) for _ in range(1000))) is None
    assert len(detector._tail) <= loop_guard._TAIL + loop_guard._CHECK_EVERY


def test_a_short_text_is_no_loop() -> None:
    for text in ("", "a", "aaa", "ab" * 20):
        assert find_loop(text) is None
