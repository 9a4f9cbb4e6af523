"""Scripts that PP-OCRv6 cannot read: noticed by what it leaves out, and read by Tesseract where it can be.

PP-OCRv6 small knows CJK, kana, Latin and Greek. Of a line in another script it drops most letters
and is sure of the rest, so its confidence tells nothing; the number of characters for the length of
the inked line does. Tesseract is optional: `open_tesseract` says why it cannot be used.
"""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from airgap.engines.ppocr.strips import between
from airgap.layout.lines import Reading, visual_length
from airgap.layout.quads import Picture

FOREIGN_DENSITY = 0.45
"""Characters per half line height below which a line is in an unknown script. Measured on pages in
eight languages: lines that PP-OCR knows have 0.73 and more, Cyrillic ones 0.08 and less in the mean."""
MIN_ASPECT = 3.0
MIN_LETTERS = 4.0
TESSERACT_STRIP_HEIGHT = 56
STRIP_MARGIN = 12
OSD_PAGE_SIDE = 2400
MIN_ORIENTATION_CONFIDENCE = 1.0
FEWEST_CHARACTERS, USUAL_CHARACTERS = "5", "50"
"""From how many characters on Tesseract says which script a few lines are in, and how a page is turned."""
FEWEST_DASHES, MOSTLY_ONE = 12, 0.85
MIN_CONFIDENCE = 0.5
"""Tesseract's confidence in a line below which it counts as unread."""


@dataclass(frozen=True, slots=True)
class Script:
    """A script by Tesseract's name, its languages by Tesseract's codes, likeliest first, and the code
    that `ReadOptions.language` uses for each."""

    name: str
    languages: tuple[tuple[str, str], ...]


SCRIPTS: tuple[Script, ...] = (
    Script(
        "Cyrillic",
        (
            ("rus", "ru"),
            ("ukr", "uk"),
            ("bel", "be"),
            ("bul", "bg"),
            ("srp", "sr"),
            ("mkd", "mk"),
            ("kaz", "kk"),
            ("kir", "ky"),
            ("tgk", "tg"),
            ("tat", "tt"),
            ("mon", "mn"),
            ("uzb_cyrl", "uz"),
        ),
    ),
    Script("Arabic", (("ara", "ar"), ("fas", "fa"), ("urd", "ur"), ("pus", "ps"), ("uig", "ug"))),
    Script("Hebrew", (("heb", "he"), ("yid", "yi"))),
    Script("Thai", (("tha", "th"),)),
    Script("Devanagari", (("hin", "hi"), ("mar", "mr"), ("nep", "ne"), ("san", "sa"))),
    Script("Hangul", (("kor", "ko"),)),
    Script("Korean", (("kor", "ko"),)),
    Script("Bengali", (("ben", "bn"), ("asm", "as"))),
    Script("Tamil", (("tam", "ta"),)),
    Script("Telugu", (("tel", "te"),)),
    Script("Gujarati", (("guj", "gu"),)),
    Script("Gurmukhi", (("pan", "pa"),)),
    Script("Kannada", (("kan", "kn"),)),
    Script("Malayalam", (("mal", "ml"),)),
    Script("Oriya", (("ori", "or"),)),
    Script("Sinhala", (("sin", "si"),)),
    Script("Georgian", (("kat", "ka"),)),
    Script("Armenian", (("hye", "hy"),)),
    Script("Ethiopic", (("amh", "am"), ("tir", "ti"))),
    Script("Khmer", (("khm", "km"),)),
    Script("Lao", (("lao", "lo"),)),
    Script("Myanmar", (("mya", "my"),)),
    Script("Tibetan", (("bod", "bo"), ("dzo", "dz"))),
)
_BY_NAME = {script.name: script for script in SCRIPTS}
_FOREIGN_LANGUAGES = {code for script in SCRIPTS for code, _ in script.languages}
_CODES = {hint: code for script in SCRIPTS for code, hint in script.languages}


def tesseract_code(language: str) -> str:
    """Tesseract's code for a language such as `ru`, `ru-RU` or `rus`; unknown ones come back unchanged."""
    base = language.lower().replace("_", "-").split("-")[0]
    return language if language in _FOREIGN_LANGUAGES else _CODES.get(base, base)


def is_foreign(strip: Picture, reading: Reading) -> bool:
    """Whether a line is in a script of which PP-OCR leaves most letters out.

    Leaders, rules and wide gaps hold no letters either: only ink as high as letters counts.
    """
    height, width = strip.shape[:2]
    if width < MIN_ASPECT * height:
        return False
    read = visual_length(reading.text)
    if read >= FOREIGN_DENSITY * 2 * width / height:
        return False
    letters = inked_letters(strip)
    return letters >= MIN_LETTERS and read < FOREIGN_DENSITY * letters


def silent_parts(strip: Picture, reading: Reading) -> list[tuple[float, float]]:
    """The stretches of a line with ink like letters in which no letter was read, as shares of its width."""
    spans = [(start, stop, between(strip, start, stop)) for start, stop in reading.silent]
    return [(start, stop) for start, stop, part in spans if part.size and inked_letters(part) >= MIN_LETTERS]


def is_rule(text: str) -> bool:
    """Whether what was read is a dotted or dashed rule, taken for one letter again and again."""
    letter, times = Counter(text).most_common(1)[0] if text else ("", 0)
    return letter.isalpha() and times >= FEWEST_DASHES and times >= MOSTLY_ONE * len(text)


def inked_letters(strip: Picture) -> float:
    """How many letters half as wide as the strip is high the ink of letter height would make."""
    import cv2

    grey = cv2.cvtColor(strip, cv2.COLOR_BGR2GRAY)
    if int(grey.max()) - int(grey.min()) < 40:
        return 0.0
    _, ink = cv2.threshold(grey, 0, 255, cv2.THRESH_BINARY_INV + cv2.THRESH_OTSU)
    if ink.mean() > 127:
        ink = cv2.bitwise_not(ink)
    height = strip.shape[0]
    count, _, stats, _ = cv2.connectedComponentsWithStats(ink)
    covered = np.zeros(strip.shape[1], bool)
    for x, _, wide, high, _ in stats[1:count]:
        if high >= 0.25 * height and wide <= 8 * height:
            covered[x : x + wide] = True
    return float(2 * covered.sum() / height)


def find_tessdata(directory: str | None) -> Path | None:
    """Where Tesseract's language data lie: the given directory, `TESSDATA_PREFIX`, or the usual places."""
    prefix = os.environ.get("TESSDATA_PREFIX")
    if directory:
        candidates = [Path(directory)]
    elif prefix:
        candidates = [Path(prefix), Path(prefix) / "tessdata"]
    else:
        candidates = sorted(Path("/usr/share/tesseract-ocr").glob("*/tessdata"), reverse=True)
        candidates += [Path("/usr/share/tessdata"), Path("/usr/local/share/tessdata")]
        candidates += [Path("/usr/share/tesseract/tessdata")]
    return next((path for path in candidates if any(path.glob("*.traineddata"))), None)


class Tesseract:
    """Tesseract through tesserocr; one API object per thread and language, freed by `close`."""

    def __init__(self, api: Any, data: Path, preferred: Sequence[str] = ()) -> None:
        self._tesserocr = api
        self._data = data
        self.languages = frozenset(path.stem for path in data.glob("*.traineddata")) - {"osd"}
        self._preferred = [tesseract_code(language) for language in preferred]
        self._local = threading.local()
        self._lock = threading.Lock()
        self._apis: list[Any] = []

    def foreign_languages(self) -> list[str]:
        """Installed languages of the scripts that PP-OCR cannot read, likeliest first."""
        ordered = [code for script in SCRIPTS for code, _ in script.languages if code in self.languages]
        return list(dict.fromkeys(ordered))

    def choose(self, script: Script, hint: str | None) -> str | None:
        """The installed language to read a script with: the hint's, a preferred one, or the likeliest."""
        codes = [code for code, _ in script.languages if code in self.languages]
        wished = [tesseract_code(hint)] if hint else []
        return next((code for code in [*wished, *self._preferred, *codes] if code in codes), None)

    def detect_script(self, strips: Sequence[Picture], above: float = 0.0) -> Script | None:
        """The script of some lines, where it is one that PP-OCR cannot read and Tesseract is surer than
        `above`."""
        if not (self._data / "osd.traineddata").is_file() or not strips:
            return None
        api = self._api("osd", "OSD_ONLY")
        api.SetVariable("min_characters_to_try", FEWEST_CHARACTERS)
        api.SetImage(_as_image(_stack(strips)))
        with suppress(RuntimeError):
            found = api.DetectOrientationScript()
            if found and found["script_conf"] > above:
                return _BY_NAME.get(found["script_name"])
        return None

    def detect_orientation(self, picture: Picture) -> int | None:
        """How many quarters to turn a page clockwise to set it upright; None where it cannot be told."""
        import cv2

        if not (self._data / "osd.traineddata").is_file():
            return None
        scale = min(1.0, OSD_PAGE_SIDE / max(picture.shape[:2]))
        api = self._api("osd", "OSD_ONLY")
        api.SetVariable("min_characters_to_try", USUAL_CHARACTERS)
        api.SetImage(_as_image(cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)))
        with suppress(RuntimeError):
            found = api.DetectOrientationScript()
            if found and found["orient_conf"] > MIN_ORIENTATION_CONFIDENCE:
                return (360 - int(found["orient_deg"])) % 360 // 90
        return None

    def read(self, strip: Picture, language: str) -> Reading:
        """One line in a language; from any thread."""
        api = self._api(language, "SINGLE_LINE")
        api.SetImage(_as_image(_framed(strip)))
        api.SetSourceResolution(300)
        text = " ".join(api.GetUTF8Text().split())
        confidence = max(0, api.MeanTextConf()) / 100
        api.Clear()
        return Reading(text, confidence if text else 0.0)

    def close(self) -> None:
        """Free every API object; no thread may be reading."""
        with self._lock:
            for api in self._apis:
                api.End()
            self._apis.clear()
        self._local = threading.local()

    def _api(self, language: str, mode: str) -> Any:
        held: dict[str, Any] = self._local.__dict__.setdefault("apis", {})
        if language not in held:
            segmentation = getattr(self._tesserocr.PSM, mode)
            held[language] = self._tesserocr.PyTessBaseAPI(
                path=str(self._data), lang=language, psm=segmentation
            )
            with self._lock:
                self._apis.append(held[language])
        return held[language]


def open_tesseract(directory: str | None, preferred: Sequence[str] = ()) -> tuple[Tesseract | None, str]:
    """Tesseract, or None and why it cannot be used."""
    try:
        import tesserocr
    except ImportError:
        return None, "the Python package tesserocr is not installed"
    data = find_tessdata(directory)
    if data is None:
        return None, "no Tesseract language data are installed"
    return Tesseract(tesserocr, data, preferred), ""


def _framed(strip: Picture) -> Picture:
    """The strip with a margin in the colour of its paper, as Tesseract wants one."""
    import cv2

    paper = [float(value) for value in np.percentile(strip.reshape(-1, 3), 90, axis=0)]
    margin = STRIP_MARGIN
    framed: Picture = cv2.copyMakeBorder(
        strip, margin, margin, margin, margin, cv2.BORDER_CONSTANT, value=paper
    )
    return framed


def _stack(strips: Sequence[Picture]) -> Picture:
    """Strips under one another, as a page of text."""
    import cv2

    framed = [_framed(strip) for strip in strips]
    width = max(strip.shape[1] for strip in framed)
    padded = [
        cv2.copyMakeBorder(strip, 0, 0, 0, width - strip.shape[1], cv2.BORDER_REPLICATE) for strip in framed
    ]
    return np.vstack(padded)


def _as_image(picture: Picture) -> Any:
    from PIL import Image

    return Image.fromarray(np.ascontiguousarray(picture[..., ::-1]))
