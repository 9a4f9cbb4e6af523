"""Scripts that PP-OCR cannot read: noticed, handed to Tesseract, or named as unreadable."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from airgap.engines.ppocr.foreign import ForeignLines
from airgap.engines.ppocr.networks import load_networks, model_directory
from airgap.engines.ppocr.scripts import (
    SCRIPTS,
    Tesseract,
    find_tessdata,
    inked_letters,
    is_foreign,
    open_tesseract,
    silent_parts,
    tesseract_code,
)
from airgap.engines.ppocr.strips import STRIP_HEIGHT, cut_strip
from airgap.layout.lines import Reading, TextLine, done
from airgap.layout.quads import Picture

SAMPLES = Path(__file__).resolve().parents[3] / "samples"
CYRILLIC = SCRIPTS[0]


def strip_of(text: str) -> Picture:
    picture = np.full((STRIP_HEIGHT, 40 + 22 * len(text), 3), 255, np.uint8)
    cv2.putText(picture, text, (10, 36), cv2.FONT_HERSHEY_SIMPLEX, 1.0, (0, 0, 0), 2)
    return picture


def test_a_line_of_which_most_letters_are_missing_is_foreign() -> None:
    strip = strip_of("many letters stand here")
    assert is_foreign(strip, Reading("m h.", 0.95))
    assert not is_foreign(strip, Reading("many letters stand here", 0.95))


def test_leaders_rules_and_gaps_are_not_foreign() -> None:
    dots = strip_of("")
    dots = np.full((STRIP_HEIGHT, 600, 3), 255, np.uint8)
    dots[34:38, 20:580:14] = 0
    rule = np.full((STRIP_HEIGHT, 900, 3), 255, np.uint8)
    rule[30:34, 20:880] = 0
    gap = np.full((STRIP_HEIGHT, 900, 3), 255, np.uint8)
    gap[:, :60] = strip_of("ab")[:, :60]
    for strip in (dots, rule, gap):
        assert not is_foreign(strip, Reading("", 0.0))


def test_white_on_black_counts_as_ink() -> None:
    strip = strip_of("white letters on black")
    assert inked_letters(255 - strip) == pytest.approx(inked_letters(strip), rel=0.1)


def test_a_stretch_with_ink_and_without_letters_is_a_silent_part() -> None:
    strip = strip_of("many letters stand here")
    assert silent_parts(strip, Reading("many", 0.95, silent=((0.2, 1.0),))) == [(0.2, 1.0)]
    strip[:, strip.shape[1] // 4 :] = 255
    assert silent_parts(strip, Reading("many", 0.95, silent=((0.25, 1.0),))) == []


def test_wide_characters_count_twice() -> None:
    strip = strip_of("x" * 20)
    assert not is_foreign(strip, Reading("字" * 8, 0.9))


@pytest.mark.parametrize(
    ("language", "code"), [("ru", "rus"), ("ru-RU", "rus"), ("rus", "rus"), ("uk", "ukr"), ("xx", "xx")]
)
def test_language_codes(language: str, code: str) -> None:
    assert tesseract_code(language) == code


def test_language_data_are_looked_for_where_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_tessdata(str(tmp_path)) is None
    (tmp_path / "rus.traineddata").touch()
    assert find_tessdata(str(tmp_path)) == tmp_path
    monkeypatch.setenv("TESSDATA_PREFIX", str(tmp_path))
    assert find_tessdata(None) == tmp_path


def test_no_language_data_is_a_reason_not_an_error(tmp_path: Path) -> None:
    tesseract, reason = open_tesseract(str(tmp_path))
    assert tesseract is None
    assert "installed" in reason


def test_the_hint_then_the_site_then_likelihood_chooses_the_language(tmp_path: Path) -> None:
    for code in ("rus", "ukr", "bul"):
        (tmp_path / f"{code}.traineddata").touch()
    assert Tesseract(None, tmp_path).choose(CYRILLIC, None) == "rus"
    assert Tesseract(None, tmp_path, ["bg"]).choose(CYRILLIC, None) == "bul"
    assert Tesseract(None, tmp_path, ["bg"]).choose(CYRILLIC, "uk") == "ukr"
    assert Tesseract(None, tmp_path).choose(CYRILLIC, "fr") == "rus"
    assert Tesseract(None, tmp_path).choose(SCRIPTS[1], None) is None


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as executor:
        yield executor


def lines_of(*texts: str) -> list[TextLine]:
    return [TextLine.known((0, 40 * i, 600, 40 * i + 24), text, 0.9, index=i) for i, text in enumerate(texts)]


def test_without_tesseract_foreign_lines_are_left_out_and_named(pool: ThreadPoolExecutor) -> None:
    foreign = ForeignLines(lambda index, height: strip_of("letters " * 4), pool, None, "there is none")
    lines = lines_of("a .", "letters " * 4, "x")
    settled = [foreign.settle(line, line.start().result(), lines) for line in lines]
    assert settled[1] is None
    assert [reading.text for reading in (settled[0], settled[2]) if reading is not None] == ["", ""]
    assert foreign.unreadable == [lines[0], lines[2]]
    (warning,) = foreign.warnings
    assert "2 lines" in warning
    assert "there is none" in warning
    assert "tesseract-ocr-rus" in warning


def test_a_page_that_is_read_has_no_warning(pool: ThreadPoolExecutor) -> None:
    foreign = ForeignLines(lambda index, height: strip_of("letters " * 4), pool, None, "there is none")
    lines = lines_of(*["letters " * 4] * 3)
    assert [foreign.settle(line, line.start().result(), lines) for line in lines] == [None, None, None]
    assert foreign.warnings == []


def test_a_part_without_letters_is_named_and_the_line_kept(pool: ThreadPoolExecutor) -> None:
    foreign = ForeignLines(lambda index, height: strip_of("letters " * 4), pool, None, "there is none")
    reading = Reading("letters letters letters", 0.95, silent=((0.4, 0.7),))
    line = TextLine((0, 0, 600, 24), 0, lambda: done(reading))
    assert foreign.settle(line, reading, [line]) is None
    assert foreign.silent == [(line, 0.4, 0.7)]
    (warning,) = foreign.warnings
    assert "1 line" in warning


needs_russian = pytest.mark.skipif(
    (data := find_tessdata(None)) is None or not (data / "rus.traineddata").is_file(),
    reason="Tesseract's Russian data are not installed (Debian: tesseract-ocr-rus)",
)


@pytest.fixture(scope="module")
def russian_strips() -> list[Picture]:
    """A few printed Russian lines, as the detector cuts them."""
    networks = load_networks(model_directory(), 1)
    with Image.open(SAMPLES / "russian.png") as image:
        picture = np.ascontiguousarray(np.asarray(image.convert("RGB"))[..., ::-1])
    quads = networks.detector.detect(picture, 1280)
    widest = sorted(quads, key=lambda quad: quad[0][0] - quad[1][0])[:6]
    strips = [cut_strip(picture, quad) for quad in widest]
    assert all(is_foreign(strip, networks.recognizer.read(strip)) for strip in strips)
    return strips


@pytest.mark.tesseract
@needs_russian
def test_tesseract_names_the_script_and_reads_the_lines(russian_strips: list[Picture]) -> None:
    tesseract, reason = open_tesseract(None)
    assert tesseract is not None, reason
    assert tesseract.detect_script(russian_strips) == CYRILLIC
    reading = tesseract.read(russian_strips[0], "rus")
    assert sum("а" <= character.lower() <= "я" for character in reading.text) > 20
    assert reading.confidence > 0.7
    tesseract.close()


@pytest.mark.tesseract
@needs_russian
def test_a_missing_language_names_its_package(
    russian_strips: list[Picture], pool: ThreadPoolExecutor, tmp_path: Path
) -> None:
    assert data is not None
    (tmp_path / "osd.traineddata").symlink_to(data / "osd.traineddata")
    tesseract, _ = open_tesseract(str(tmp_path))
    foreign = ForeignLines(lambda index, height: russian_strips[index], pool, tesseract)
    lines = lines_of(*["."] * len(russian_strips))
    assert all(foreign.settle(line, line.start().result(), lines) == Reading("", 0.0) for line in lines)
    (warning,) = foreign.warnings
    assert "Cyrillic" in warning
    assert "tesseract-ocr-rus" in warning
    assert tesseract is not None
    tesseract.close()
