"""Accents that are there stay, invented ones go, whatever the page is written in."""

from __future__ import annotations

import numpy as np
import pytest

from airgap.engines.ppocr.alphabet import Alphabet, bare, has_accents, is_doubtful
from airgap.engines.ppocr.networks import Networks, load_networks, model_directory
from airgap.layout.lines import Reading, TextLine

ENGLISH = "All human beings are born free and equal in dignity and rights, with reason and conscience."
GERMAN = "Alle Menschen sind frei und gleich an Würde und Rechten geboren, mit Vernunft begabt und Gewissen."
DOUBTFUL = Reading("Contractual & Dâta Šervices", 0.9, "Contractual & Data Services")


@pytest.fixture(scope="module")
def loaded() -> Networks:
    return load_networks(model_directory(), 1)


def alphabet(*texts: str, language: str | None = None) -> Alphabet:
    lines = [TextLine.known((0, 20.0 * y, 600, 20.0 * y + 15), text, index=y) for y, text in enumerate(texts)]
    return Alphabet(lines, language)


def test_an_accented_letter_knows_its_bare_one() -> None:
    assert [bare(letter) for letter in "éŠằAя漢1"] == ["e", "S", "a", None, None, None, None]


@pytest.mark.parametrize(
    ("accented", "unaccented", "doubtful"),
    [(0.74, 0.2, True), (0.39, 0.03, True), (0.912, 0.077, False), (0.99, 0.0, False), (0.5, 0.05, False)],
)
def test_an_accent_is_doubtful_by_its_probabilities(
    accented: float, unaccented: float, doubtful: bool
) -> None:
    assert is_doubtful(accented, unaccented) is doubtful


def test_texts_tell_whether_their_language_has_accents() -> None:
    assert not has_accents([ENGLISH])
    assert has_accents([GERMAN])
    assert has_accents(["Total"]), "too short to tell"
    assert has_accents([ENGLISH + " Łódź, straße, blåbær"]), "letters of their own count as accents do"
    assert not has_accents([ENGLISH * 5, "a Café"]), "what English borrows makes it no other language"


def test_doubtful_accents_go_where_the_page_has_none() -> None:
    assert alphabet(ENGLISH).settled(DOUBTFUL).text == "Contractual & Data Services"
    assert alphabet(GERMAN).settled(DOUBTFUL) is DOUBTFUL
    sure = Reading("a naïve Café", 0.9)
    assert alphabet(ENGLISH).settled(sure) is sure


def test_the_hint_decides_where_it_is_one_of_latin_letters() -> None:
    assert alphabet(GERMAN, language="en").settled(DOUBTFUL).text == "Contractual & Data Services"
    assert alphabet(ENGLISH, language="cs").settled(DOUBTFUL) is DOUBTFUL
    assert alphabet(ENGLISH, language="ru").settled(DOUBTFUL).text == "Contractual & Data Services"


def test_what_is_doubted_is_said_letter_by_letter(loaded: Networks) -> None:
    recognizer = loaded.recognizer
    letters = list(recognizer._characters)
    steps = np.zeros((5, len(letters)), np.float32)
    read = (
        ("D", 0.9, None, 0),
        ("â", 0.6, "a", 0.3),
        ("t", 0.9, None, 0),
        ("", 0.9, None, 0),
        ("é", 0.9, "e", 0.05),
    )
    for step, (letter, sure, other, less) in zip(steps, read, strict=True):
        step[letters.index(letter)] = sure
        if other:
            step[letters.index(other)] = less
    found = recognizer._decode(steps, 40, 40)
    assert (found.text, found.plain) == ("Dâté", "Daté")
    assert recognizer._decode(steps[2:], 24, 24).plain is None
