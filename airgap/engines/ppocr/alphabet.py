"""Accents that PP-OCR invents: on worn English print it reads `Dâta` for `Data`, and nearly as likely `Data`.

Its alphabet is that of all languages at once. Where a page's language has no accents, given or seen by its
lines, a doubtful accent is not taken; one that is plainly there (`naïve`, `Café`) stays. It knows strings and
probabilities, and nothing of pictures.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from functools import cache

from airgap.core.languages import is_latin
from airgap.layout.lines import Reading, TextLine

UNACCENTED = frozenset({"en"})
"""Languages whose words go without accents, but for what they borrow."""
LATIN_SHARE = 0.005
"""Letters that English lacks among a page's Latin ones below which its language has none: in English 0.0005,
in Italian and German 0.01 to 0.02, in other languages of Europe more."""
SAMPLE_LINES, FEWEST_LETTERS = 12, 60
SURE, AS_LIKELY = 0.5, 0.1
"""An accent is doubtful if its letter has a probability below `SURE`, or the bare letter more than
`AS_LIKELY` of it. Measured on 22 scanned English pages: of 11 invented ones 10 are doubtful, of 5 real
ones none."""


@cache
def bare(character: str) -> str | None:
    """The ASCII letter under an accented one; None for every other character."""
    letter = unicodedata.normalize("NFD", character)[0]
    return letter if letter != character and letter.isascii() and letter.isalpha() else None


def is_doubtful(accented: float, unaccented: float) -> bool:
    """Whether an accent may be invented, by the probabilities of its letter with and without it."""
    return accented < SURE or unaccented > AS_LIKELY * accented


class Alphabet:
    """Whether the language of a page has accents: by the hint, else by its longest lines, read once."""

    def __init__(self, lines: Sequence[TextLine], language: str | None) -> None:
        self._lines = lines
        known = language is not None and is_latin(language)
        self._has_accents = language not in UNACCENTED if known else None

    def settled(self, reading: Reading) -> Reading:
        """The reading without doubtful accents, where the page's language has none."""
        if reading.plain is None or self.has_accents:
            return reading
        return Reading(reading.plain, reading.confidence)

    @property
    def has_accents(self) -> bool:
        if self._has_accents is None:
            longest = sorted(self._lines, key=lambda line: (-line.width, line.index))[:SAMPLE_LINES]
            readings = [line.start().result() for line in longest]
            self._has_accents = has_accents([reading.plain or reading.text for reading in readings])
        return self._has_accents


def has_accents(texts: Sequence[str]) -> bool:
    """Whether texts are of a language with accents; so where they are too short to tell."""
    latin = [letter for letter in "".join(texts) if is_latin_letter(letter)]
    own = sum(not letter.isascii() for letter in latin)
    return len(latin) < FEWEST_LETTERS or own > LATIN_SHARE * len(latin)


@cache
def is_latin_letter(character: str) -> bool:
    return character.isalpha() and unicodedata.name(character, "").startswith("LATIN")
