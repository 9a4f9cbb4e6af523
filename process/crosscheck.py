"""What two engines read differently on one page: its numbers and its names.

Numbers are compared as runs of digits, counted first over each block and what the other engine read in its
place, then over the rest of the page: where one has a run more often than the other, the number around it is
a disagreement, whatever order the two read in. Names are words with a capital letter; of these only near
misses count, where one engine has a word that the other lacks and the other a similar one. Two numbers that
changed places within a block are not found.

Digits in formulas and pictures are left out, for which the two kinds of engine have different notations.
Pure functions over blocks; must not know engines, images or HTTP.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Literal

from airgap.core.document import Block, Box, Disagreement

MAX_DISAGREEMENTS = 500
_MAX_PAIRINGS = 40_000
_MAX_REGIONS = 400

_NOT_COMPARED = frozenset({"image", "equation", "formula", "figure", "chart"})
_FORMULA = re.compile(r"\\\[.{0,4000}?\\\]|\\\(.{0,4000}?\\\)|\$[^$\n]{1,400}\$", re.DOTALL)
_TAG = re.compile(r"<[^<>]{0,400}>")
_MARKS = re.compile(r"[*_`#|]+")
_NUMBER = re.compile(r"\d+(?:[.,:/'’\-–]?\d+)*")
_RUN = re.compile(r"\d+")
_GROUP_GAPS = frozenset({" ", "\u00a0", "\u202f", "\u2009"})  # between the thousands
_NAME = re.compile(r"[^\W\d_][^\W\d_'’\-]{2,}")
_SIMILAR = 0.6
_NEAR = 2.0  # line heights


@dataclass(frozen=True, slots=True, eq=False)
class _Word:
    """A number (with the runs of digits in it) or a name, and where it stands."""

    kind: Literal["number", "name"]
    text: str
    runs: tuple[str, ...]
    box: Box | None
    joined: bool = False  # only a space parts it from the number before


def compare(blocks: Sequence[Block], others: Sequence[Block], engine: str) -> tuple[Disagreement, ...]:
    """The disagreements between `blocks` and the `others`, read by `engine`; top to bottom."""
    ours, theirs = _words(blocks), _words(others)
    hidden = [box for block in blocks if block.label in _NOT_COMPARED for box in block.boxes]
    theirs = [word for word in theirs if word.box is None or not _inside(word.box, hidden)]
    pairs = [
        *_number_pairs(_of("number", ours), _of("number", theirs)),
        *_similar(*_odd_names(_of("name", ours), _of("name", theirs)), at_least=_SIMILAR),
    ]
    found = [_disagreement(one, other, engine) for one, other in pairs]
    return tuple(sorted(found, key=_height)[:MAX_DISAGREEMENTS])


def _of(kind: str, words: Iterable[_Word]) -> list[_Word]:
    return [word for word in words if word.kind == kind]


def _disagreement(one: _Word | None, other: _Word | None, engine: str) -> Disagreement:
    word = one or other
    assert word is not None
    return Disagreement(
        word.kind,
        one.text if one else "",
        other.text if other else "",
        engine,
        one.box if one else None,
        other.box if other else None,
    )


def _height(one: Disagreement) -> tuple[float, float]:
    box = one.box or one.other_box
    return (box.y0, box.x0) if box else (0.0, 0.0)


# --- words -------------------------------------------------------------------------------------------


def _words(blocks: Iterable[Block]) -> list[_Word]:
    found: list[_Word] = []
    for block in blocks:
        if block.label in _NOT_COMPARED:
            continue
        box = _union(block.boxes)
        if block.lines and "<table" not in block.text:
            for line in block.lines:
                found += _words_of(line.text, line.box)
        else:
            places = _places(block)
            found += [_with_place(word, places) if places else word for word in _words_of(block.text, box)]
    return found


def _places(block: Block) -> dict[str, Box]:
    """Words that stand on one known line of a block each."""
    places: dict[str, Box] = {}
    twice: set[str] = set()
    for line in block.lines:
        for word in _words_of(line.text, line.box):
            twice |= {word.text} & places.keys()
            places[word.text] = line.box
    return {text: box for text, box in places.items() if text not in twice}


def _with_place(word: _Word, places: dict[str, Box]) -> _Word:
    return _Word(word.kind, word.text, word.runs, places.get(word.text, word.box), word.joined)


def _union(boxes: Sequence[Box]) -> Box | None:
    return Box.around(boxes) if boxes else None


def _words_of(text: str, box: Box | None) -> Iterable[_Word]:
    text = _plain(text)
    end = -2
    for match in _NUMBER.finditer(text):
        gap = text[end : match.start()] if end >= 0 else ""
        runs = tuple(_RUN.findall(match[0]))
        yield _Word("number", match[0], runs, box, joined=gap in _GROUP_GAPS)
        end = match.end()
    for match in _NAME.finditer(text):
        if match[0][0].isupper():
            yield _Word("name", match[0], (), box)


def _plain(text: str) -> str:
    text = _TAG.sub("\n", _FORMULA.sub("\n", text))
    text = _MARKS.sub("", html.unescape(text))
    return "".join(str(unicodedata.decimal(c, c)) if c.isdecimal() else c for c in text)


def _inside(box: Box, others: Sequence[Box]) -> bool:
    x, y = (box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2
    return any(other.x0 <= x <= other.x1 and other.y0 <= y <= other.y1 for other in others)


# --- what one has and the other has not --------------------------------------------------------------


def _number_pairs(ours: list[_Word], theirs: list[_Word]) -> list[tuple[_Word | None, _Word | None]]:
    """Block by block, and what these leave over the whole page, where a number may have no counterpart."""
    pairs: list[tuple[_Word | None, _Word | None]] = []
    for mine, yours in _regions(ours, theirs):
        pairs += _similar(*_odd_numbers(mine, yours))
    settled = {id(word) for pair in pairs for word in pair}
    mine, yours = _odd_numbers(*([w for w in words if id(w) not in settled] for words in (ours, theirs)))
    pairs += _similar(mine, yours)
    settled |= {id(word) for pair in pairs for word in pair}
    pairs += [(word, None) for word in mine if id(word) not in settled]
    pairs += [(None, word) for word in yours if id(word) not in settled]
    return pairs


def _regions(ours: Sequence[_Word], theirs: Sequence[_Word]) -> list[tuple[list[_Word], list[_Word]]]:
    """The numbers of each place of ours, and what the other engine has with its middle in that place."""
    by_box: defaultdict[Box, list[_Word]] = defaultdict(list)
    for word in ours:
        if word.box is not None:
            by_box[word.box].append(word)
    smallest_first = sorted(by_box, key=lambda box: box.area)[:_MAX_REGIONS]
    other: defaultdict[Box, list[_Word]] = defaultdict(list)
    for word in theirs:
        if word.box is not None:
            place = next((box for box in smallest_first if _inside(word.box, [box])), None)
            if place is not None:
                other[place].append(word)
    return [(by_box[box], other[box]) for box in smallest_first if other[box]]


def _odd_numbers(mine: Sequence[_Word], yours: Sequence[_Word]) -> tuple[list[_Word], list[_Word]]:
    spare_mine, spare_yours = _spare_runs(mine), _spare_runs(yours)
    both = spare_mine & spare_yours
    spare_mine, spare_yours = spare_mine - both, spare_yours - both
    _settle_groups(mine, spare_mine, spare_yours)
    _settle_groups(yours, spare_yours, spare_mine)
    return _holding(mine, spare_mine), _holding(yours, spare_yours)


def _settle_groups(numbers: Sequence[_Word], spare: Counter[str], others: Counter[str]) -> None:
    """Take off what is the same but for spaces between the thousands: 12 345 here, 12345 there."""
    start = 0
    for end in range(1, len(numbers) + 1):
        if end < len(numbers) and numbers[end].joined and _is_group(numbers[end]):
            continue
        runs = [*numbers[start].runs[-1:], *(word.runs[0] for word in numbers[start + 1 : end])]
        whole = "".join(runs)
        if len(runs) > 1 and others[whole] > 0 and all(spare[run] >= n for run, n in Counter(runs).items()):
            others[whole] -= 1
            spare.subtract(runs)
        start = end


def _is_group(number: _Word) -> bool:
    return len(number.runs[0]) == 3


def _spare_runs(numbers: Iterable[_Word]) -> Counter[str]:
    return Counter(run for number in numbers for run in number.runs)


def _holding(numbers: Sequence[_Word], runs: Counter[str]) -> list[_Word]:
    """As many numbers as there are `runs`: those that hold most of these first."""
    left, found = runs.copy(), list[_Word]()
    places = sorted(range(len(numbers)), key=lambda i: -sum(left[run] > 0 for run in numbers[i].runs))
    for i in places:
        held = [run for run in numbers[i].runs if left[run] > 0]
        if held:
            left.subtract(held)
            found.append(numbers[i])
    return found


def _odd_names(ours: Sequence[_Word], theirs: Sequence[_Word]) -> tuple[list[_Word], list[_Word]]:
    """Names that the other engine has nowhere, in any case and in no compound either."""

    def odd(words: Sequence[_Word], others: Sequence[_Word]) -> list[_Word]:
        known = {word.text.casefold() for word in others}
        run_together = " ".join(known)
        return [
            word
            for word in words
            if (text := word.text.casefold()) not in known
            and text not in run_together
            and not any(len(name) > 3 and name in text for name in known)
        ]

    return odd(ours, theirs), odd(theirs, ours)


# --- pairs -------------------------------------------------------------------------------------------


def _similar(
    ours: Sequence[_Word], theirs: Sequence[_Word], at_least: float = 0.0
) -> list[tuple[_Word, _Word]]:
    """Each word with the most similar one in the same place, the most similar pairs first."""
    found, taken_ours, taken_theirs = list[tuple[_Word, _Word]](), set[int](), set[int]()
    for _, i, j in sorted(_scores(ours, theirs, at_least), reverse=True):
        if i not in taken_ours and j not in taken_theirs:
            taken_ours.add(i)
            taken_theirs.add(j)
            found.append((ours[i], theirs[j]))
    return found


def _scores(ours: Sequence[_Word], theirs: Sequence[_Word], at_least: float) -> list[tuple[float, int, int]]:
    by_length: defaultdict[int, list[int]] = defaultdict(list)
    for j, word in enumerate(theirs):
        by_length[len(word.text)].append(j)
    scores: list[tuple[float, int, int]] = []
    for i, word in enumerate(ours):
        for length in range(len(word.text) - 2, len(word.text) + 3):
            for j in by_length[length]:
                if len(scores) >= _MAX_PAIRINGS:
                    return scores
                other = theirs[j]
                near = _near(word.box, other.box)
                alike = SequenceMatcher(None, word.text, other.text, autojunk=False).ratio()
                if near is not False and alike >= at_least:
                    scores.append((alike + (1.0 if near else 0.0), i, j))
    return scores


def _near(one: Box | None, other: Box | None) -> bool | None:
    """Whether two boxes touch, give or take a little; None where one is not known."""
    if one is None or other is None:
        return None
    slack = _NEAR * min(one.height, other.height)
    return (
        one.x0 - slack <= other.x1
        and other.x0 - slack <= one.x1
        and one.y0 - slack <= other.y1
        and other.y0 - slack <= one.y1
    )
