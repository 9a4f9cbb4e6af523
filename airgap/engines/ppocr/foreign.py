"""The lines of a page that are in a script PP-OCR cannot read: to Tesseract, or named as unreadable.

Decided region by region, so that a page may mix scripts. Nothing is guessed silently: what could not
be read is left out of the text, listed in `unreadable`, and said in the page's warnings.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future

from airgap.engines.ppocr.scripts import (
    MIN_CONFIDENCE,
    TESSERACT_STRIP_HEIGHT,
    Script,
    Tesseract,
    is_foreign,
    silent_parts,
)
from airgap.engines.ppocr.strips import STRIP_HEIGHT, between
from airgap.layout.lines import Reading, TextLine, done, visual_length
from airgap.layout.quads import Picture

SCRIPT_LINES = 12
TRIAL_LINES = 3
TRIAL_CONFIDENCE = 0.6
DOUBTFUL_DENSITY = 0.75
"""In a region whose lines are mostly foreign, a line with fewer characters than this is taken for one too."""
TRIAL_LANGUAGES = 6
FEW_LETTERS = 16.0
"""A single line with room for fewer letters may as well be a signature: PP-OCR's reading is kept."""
SHORT, SURE = 12.0, 0.95
"""In such a region a line shorter than this is taken for foreign unless PP-OCR is surer than this."""
DOUBTED, TRUSTED, MOST = 0.88, 0.92, 0.5
"""PP-OCR is hardly ever less sure than `DOUBTED` of a script that it knows. A region that consists of such
lines for the greater part is asked after its script, and then loses all lines that it does not trust."""
FEWEST_LETTERS, SCRIPT_SURE = 4.0, 1.5
UNREAD = Reading("", 0.0)
LATIN_WORD = re.compile(r"[A-Za-z]{3}")


class ForeignLines:
    """`strip(index, height)` cuts line `index` out of the page, `height` pixels high.

    `tesseract` is None where it cannot be used, and `no_tesseract` says why. `language` is a hint.
    """

    def __init__(
        self,
        strip: Callable[[int, int], Picture],
        pool: Executor,
        tesseract: Tesseract | None,
        no_tesseract: str = "",
        language: str | None = None,
    ) -> None:
        self._strip = strip
        self._pool = pool
        self._tesseract = tesseract
        self._no_tesseract = no_tesseract
        self._hint = language
        self._known: dict[int, bool] = {}
        self._asked: set[int] = set()
        self._pending: dict[int, Future[Reading]] = {}
        self._kept: set[int] = set()
        self._given_up: Counter[str] = Counter()
        self.unreadable: list[TextLine] = []
        self.silent: list[tuple[TextLine, float, float]] = []

    @property
    def warnings(self) -> list[str]:
        """Why lines were left out, and how many."""
        said = [
            f"{count} line{'s' if count > 1 else ''} left out as unreadable: {reason}"
            for reason, count in self._given_up.items()
        ]
        count = len({line.index for line, _, _ in self.silent})
        lines = "1 line" if count == 1 else f"{count} lines"
        return [*said, f"Within {lines} something that looks like letters was not read."] if count else said

    def settle(self, line: TextLine, reading: Reading, region: Sequence[TextLine]) -> Reading | None:
        """The last word on a line of a region, or None where PP-OCR's reading stands."""
        if line.index not in self._pending and line.index not in self._kept:
            if reading.confidence < DOUBTED and line.index not in self._asked:
                self._ask_after_script(region)
            if not self._is_foreign(line, reading):
                return self._settle_parts(line, reading) if reading.silent else None
            self._resolve(region)
        if line.index in self._kept:
            return None
        result = self._pending[line.index].result()
        if result is UNREAD or result.confidence >= MIN_CONFIDENCE:
            return result
        self._give_up([line], "Tesseract is not sure of what it reads there.")
        return UNREAD

    def _settle_parts(self, line: TextLine, reading: Reading) -> Reading | None:
        """Tesseract's reading of a line whose silent parts are in a script it knows; else these are noted."""
        strip = self._strip(line.index, STRIP_HEIGHT)
        parts = silent_parts(strip, reading)
        read = (
            self._read_parts(line, reading, strip, parts) if parts and self._tesseract is not None else None
        )
        if read is None:
            self.silent += [(line, start, stop) for start, stop in parts]
        return read

    def _read_parts(
        self, line: TextLine, reading: Reading, strip: Picture, parts: Sequence[tuple[float, float]]
    ) -> Reading | None:
        tesseract = self._tesseract
        assert tesseract is not None
        script = tesseract.detect_script([between(strip, *part) for part in parts])
        language = tesseract.choose(script, self._hint) if script is not None else None
        if language is None:
            return None
        read = self._read_later(line, language, reading).result()
        is_more = visual_length(read.text) > visual_length(reading.text)
        return read if read.confidence >= MIN_CONFIDENCE and is_more else None

    def _ask_after_script(self, region: Sequence[TextLine]) -> None:
        """Take the lines of a region of which PP-OCR is unsure for foreign, if Tesseract says they are."""
        self._asked.update(line.index for line in region)
        readings = [(line, line.start().result()) for line in region]
        doubted = [line for line, reading in readings if reading.confidence < DOUBTED]
        letters = sum(line.capacity for line in doubted)
        is_most = sum(line.width for line in doubted) > MOST * sum(line.width for line in region)
        if self._tesseract is None or not is_most or letters < FEWEST_LETTERS:
            return
        strips = [self._strip(line.index, STRIP_HEIGHT) for line in doubted[:SCRIPT_LINES]]
        if self._tesseract.detect_script(strips, SCRIPT_SURE) is not None:
            self._known.update(
                (line.index, True) for line, reading in readings if reading.confidence < TRUSTED
            )

    def _is_foreign(self, line: TextLine, reading: Reading) -> bool:
        if line.index not in self._known:
            # Most lines have letters enough: only the others are looked at once more.
            is_thin = visual_length(reading.text) < DOUBTFUL_DENSITY * line.capacity
            self._known[line.index] = is_thin and is_foreign(self._strip(line.index, STRIP_HEIGHT), reading)
        return self._known[line.index]

    def _resolve(self, region: Sequence[TextLine]) -> None:
        """Decide for all undecided lines of a region at once who reads them."""
        undecided = [o for o in region if o.index not in self._pending and o.index not in self._kept]
        readings = {other.index: other.start().result() for other in undecided}
        foreign = [other for other in undecided if self._is_foreign(other, readings[other.index])]
        language, reason = self._choose(foreign)
        if language is not None:
            if sum(line.width for line in foreign) > 0.5 * sum(line.width for line in region):
                foreign = [line for line in undecided if _is_doubtful(line, readings[line.index])]
            for line in foreign:
                self._pending[line.index] = self._read_later(line, language, readings[line.index])
        elif reason is not None:
            self._give_up(foreign, reason)
            self._pending.update({line.index: done(UNREAD) for line in foreign})
        else:
            self._kept.update(line.index for line in foreign)

    def _choose(self, foreign: Sequence[TextLine]) -> tuple[str | None, str | None]:
        """Tesseract's language for some lines, or why they cannot be; neither where PP-OCR may be right."""
        is_little = len(foreign) == 1 and foreign[0].capacity < FEW_LETTERS
        if self._tesseract is None:
            reason = (
                f"they are in a script that PP-OCR does not know, and {self._no_tesseract}. Install "
                "tesserocr and Tesseract's data for the language, for Russian Debian's tesseract-ocr-rus."
            )
            return None, None if is_little else reason
        strips = [self._strip(line.index, STRIP_HEIGHT) for line in foreign[:SCRIPT_LINES]]
        script = self._tesseract.detect_script(strips)
        if script is not None:
            language = self._tesseract.choose(script, self._hint)
            return language, None if language else _missing_language(script)
        language = self._by_trial(foreign)
        if language is not None or is_little:
            return language, None
        installed = ", ".join(self._tesseract.foreign_languages()) or "none"
        return None, (
            "they are in a script that neither PP-OCR nor the installed Tesseract languages "
            f"({installed}) know. Install Tesseract's data for the language, for Arabic Debian's package "
            "tesseract-ocr-ara."
        )

    def _by_trial(self, foreign: Sequence[TextLine]) -> str | None:
        """The installed language that Tesseract is surest of on a few of the lines."""
        if self._tesseract is None:
            return None
        sample = sorted(foreign, key=lambda line: -line.width)[:TRIAL_LINES]
        best, best_confidence = None, TRIAL_CONFIDENCE
        for language in self._tesseract.foreign_languages()[:TRIAL_LANGUAGES]:
            strips = [self._strip(line.index, TESSERACT_STRIP_HEIGHT) for line in sample]
            confidence = sum(self._tesseract.read(strip, language).confidence for strip in strips) / len(
                strips
            )
            if confidence > best_confidence:
                best, best_confidence = language, confidence
        return best

    def _read_later(self, line: TextLine, language: str, reading: Reading) -> Future[Reading]:
        tesseract = self._tesseract
        assert tesseract is not None
        if LATIN_WORD.search(reading.text) and "eng" in tesseract.languages:
            language += "+eng"
        index = line.index
        return self._pool.submit(lambda: tesseract.read(self._strip(index, TESSERACT_STRIP_HEIGHT), language))

    def _give_up(self, lines: Sequence[TextLine], reason: str) -> None:
        self.unreadable += lines
        self._given_up[reason] += len(lines)


def _is_doubtful(line: TextLine, reading: Reading) -> bool:
    if line.capacity < SHORT and reading.confidence < SURE:
        return True
    return visual_length(reading.text) < DOUBTFUL_DENSITY * line.capacity


def _missing_language(script: Script) -> str:
    packages = ", ".join(f"tesseract-ocr-{code.replace('_', '-')}" for code, _ in script.languages[:3])
    return (
        f"they are in {script.name} script, which PP-OCR does not know, and Tesseract has no data for it. "
        f"Install the language's Debian package, for instance {packages}."
    )
