"""The output grammar of DeepSeek-OCR: `parse` reads it, `to_markup` writes it.

    <|ref|>label<|/ref|><|det|>[[x0, y0, x1, y1], ...]<|/det|>
    text of the block, up to the next reference

The output of a model that looked at a stranger's page is hostile input: nothing here evaluates it,
raises on it, or takes more than linear time. The model counts positions 0 to 999 over the original page
in every mode; those numbers never leave this file. It must not know modes, prompts or engines.
"""

from __future__ import annotations

import re
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from airgap.core.document import Block, Box

# --- special tokens ----------------------------------------------------------------------------------

BOS, EOS, PAD = "<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>", "<｜▁pad▁｜>"
IMAGE, GROUNDING = "<image>", "<|grounding|>"
REF, REF_END, DET, DET_END = "<|ref|>", "<|/ref|>", "<|det|>", "<|/det|>"

SPECIAL_TOKEN_IDS: Mapping[str, int] = MappingProxyType(
    {
        BOS: 0,
        EOS: 1,
        PAD: 2,
        IMAGE: 128815,
        REF: 128816,
        REF_END: 128817,
        DET: 128818,
        DET_END: 128819,
        GROUNDING: 128820,
        "<td>": 128821,
        "</td>": 128822,
        "<tr>": 128823,
        "</tr>": 128824,
        "<|User|>": 128825,
        "<|Assistant|>": 128826,
    }
)

# --- text --------------------------------------------------------------------------------------------

_MARKER = re.compile(
    r"<\|det\|>[\s\d.,\[\]()+-]*(?:<\|/det\|>)?|<\|/?ref\|>|<\|/det\|>|<\|grounding\|>|<\|(?:User|Assistant)\|>"
    r"|<｜[^<>|｜]{1,64}｜>"
)
# U+2060 WORD JOINER, which no model writes between these two, is the escape in `to_markup`.
_ESCAPABLE = re.compile("<(\u2060*)([|｜])")
_ESCAPED = re.compile("<\u2060(\u2060*)([|｜])")
_COLON_EQUALS = re.compile(r"\\coloneqq(?![A-Za-z])")
_EQUALS_COLON = re.compile(r"\\eqqcolon(?![A-Za-z])")
# A digit or a Roman numeral inside: `(x > 0)` is a condition, and stays.
_EQUATION_NUMBER = re.compile(r"\((?=[^()]{0,12}\d|[ivxIVX]+\)|\*\))[\w.:*'′ –-]{1,12}\)")
_BLANK_LINES = re.compile(r"\n{3,}")


def strip_special(raw: str) -> str:
    """`raw` without special tokens, stray positions and a marker that was cut off at its end."""
    start = raw.rfind("<", max(0, len(raw) - max(map(len, SPECIAL_TOKEN_IDS))))
    tail = raw[start:] if start >= 0 else ""
    if len(tail) > 1 and tail[1] in "|｜" and any(token.startswith(tail) for token in SPECIAL_TOKEN_IDS):
        raw = raw[:start]
    return _MARKER.sub("", raw)


def clean_text(text: str) -> str:
    """Without `<center>` around it, runs of blank lines, and two LaTeX macros that few renderers know."""
    text = text.strip()
    if text.startswith("<center>") and text.endswith("</center>"):
        text = text[len("<center>") : -len("</center>")].strip()
    text = _COLON_EQUALS.sub(":=", _EQUALS_COLON.sub("=:", text))
    return _BLANK_LINES.sub("\n\n", text)


def clean_formula(text: str) -> str:
    r"""Drop equation numbers, `\quad (…)`, at the end of single-line `\[ … \]` formulas, and trim these."""
    parts: list[str] = []
    for line in text.split("\n"):
        position = 0
        while (start := line.find("\\[", position)) >= 0 and (end := line.find("\\]", start)) >= 0:
            parts += (line[position:start], "\\[", _without_number(line[start + 2 : end]), "\\]")
            position = end + 2
        parts += (line[position:], "\n")
    return "".join(parts[:-1])


def _without_number(formula: str) -> str:
    formula = formula.strip()
    quad = formula.rfind("\\quad")
    if quad < 0:
        return formula
    is_number = _EQUATION_NUMBER.fullmatch(formula[quad + len("\\quad") :].strip())
    return formula[:quad].strip() if is_number else formula


# --- output grammar ----------------------------------------------------------------------------------

_SCALE = 999
_KNOWN_LABELS = frozenset(
    {"title", "sub_title", "text", "list", "code", "formula", "equation", "header", "footer", "footnote"}
    | {"image", "image_caption", "figure", "figure_caption", "chart", "page_number"}
    | {"table", "table_caption", "table_footnote"}
)
_LABEL = re.compile(r"[a-z][a-z0-9_-]{0,39}")
_DET_NUMBERS = re.compile(r"[\s\d.,\[\]()+-]*")
_INNER_LIST = re.compile(r"\[([^\[\]]*)\]")
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)")
_MAX_DIGITS = 20  # reading a number of a million digits is not linear
_HEADING = re.compile(r"(#{1,6}) \S[^\n]*")
_BLANK_LINE = re.compile(r"\n[ \t]*\n")
_MAX_LABEL_TAIL = 100
_MAX_DET_GARBAGE = 4096

_OUTSIDE = "Boxes outside the page, clamped"
_MALFORMED = "Positions that could not be read, left out"
_CUT = "References that were unfinished, as in an output that was cut off"
_CUT_TABLE = "Tables that were unfinished, closed"
_EMPTY_TABLE = "Tables without their content"


@dataclass(frozen=True, slots=True)
class Parsed:
    """Blocks in reading order; `spans` are each block's `(start, end)` of text in the raw output."""

    blocks: tuple[Block, ...]
    warnings: tuple[str, ...]
    spans: tuple[tuple[int, int], ...]


@dataclass(slots=True)
class _Reference:
    """A reference and where the text after it stands."""

    content: str
    content_start: int
    boxes: tuple[Box, ...]
    start: int
    end: int


@dataclass(slots=True)
class _Parser:
    raw: str
    width: int
    height: int
    notes: Counter[str] = field(default_factory=Counter)
    found: list[tuple[Block, tuple[int, int]]] = field(default_factory=list)

    def add(self, label: str, text: str, boxes: tuple[Box, ...], start: int, end: int) -> None:
        self.found.append((Block(label, text, boxes), (start, end)))


def parse(raw: str, width: int, height: int) -> Parsed:
    """The blocks in DeepSeek-OCR's output `raw` for a page of `width` × `height` pixels.

    Never raises, evaluates nothing, and takes time linear in `raw`. Position `v` becomes the exact
    `v / 999 * size` in pixels. Beyond the grammar in the module's docstring it reads

    - flat positions `[x0, y0, x1, y1]`, several boxes, fractions, corners in either order, and positions
      off the page (clamped, with a warning);
    - a `table` reference followed at once by its caption's, with the HTML after the caption: each block
      gets its own text, in the order of the texts;
    - references that hold the recognised text itself ("OCR this image"): `text` blocks;
    - text with no reference (before the first, or an output without grounding): a block without boxes
      per paragraph, heading, display formula and table;
    - an output that was cut off anywhere, with a warning.
    """
    parser = _Parser(raw, width, height)
    lead_end, references = _scan(parser)
    _add_paragraphs(parser, 0, lead_end)
    _add_references(parser, references)
    return Parsed(
        tuple(block for block, _ in parser.found),
        tuple(f"{note}: {count}" for note, count in parser.notes.items()),
        tuple(span for _, span in parser.found),
    )


def to_markup(label: str, boxes: Sequence[Box], text: str, width: int, height: int) -> str:
    """One block in the model's own markup, so that `parse` gives it back: label, text, rounded boxes.

    Every `<|` in `text` is escaped (and given back by `parse`), so that words on a page cannot forge
    markup. A label is reduced to `a-z0-9_-`. The text of an `image` is dropped: that noun has none.
    """
    label = re.sub(r"[^a-z0-9_-]+", "_", label.lower()).lstrip("0123456789_-")[:40] or "text"
    positions = ",".join(
        "[{},{},{},{}]".format(
            *(
                min(_SCALE, max(0, round(value * _SCALE / size))) if size > 0 else 0
                for value, size in ((box.x0, width), (box.y0, height), (box.x1, width), (box.y1, height))
            )
        )
        for box in boxes
    )
    body = "" if label == "image" else _ESCAPABLE.sub("<\u2060\\1\\2", text.strip())
    return f"{REF}{label}{REF_END}{DET}[{positions}]{DET_END}\n{body}\n\n"


def _scan(parser: _Parser) -> tuple[int, list[_Reference]]:
    """Where the text before the first reference ends, and all references.

    Linear: every search starts where the last one ended, and the first that fails ends the loop.
    """
    raw, references, lead_end, position = parser.raw, list[_Reference](), len(parser.raw), 0
    while (start := raw.find(REF, position)) >= 0:
        close = raw.find(REF_END, start + len(REF))
        if close < 0:
            tail = raw[start + len(REF) : start + len(REF) + _MAX_LABEL_TAIL + 1]
            if len(tail) > _MAX_LABEL_TAIL or "\n" in tail:
                start = len(raw)  # too long for a label that was cut off: kept as text
            parser.notes[_CUT] += 1
        else:
            start = raw.rfind(REF, start, close)
        if references:
            references[-1].end = start
        else:
            lead_end = start
        if close < 0:
            break
        boxes, position = _read_det(parser, close + len(REF_END))
        content = strip_special(raw[start + len(REF) : close]).strip()
        references.append(_Reference(content, start + len(REF), boxes, position, len(raw)))
    return lead_end, references


def _read_det(parser: _Parser, position: int) -> tuple[tuple[Box, ...], int]:
    """The boxes of the `<|det|>` at `position`, if one stands there, and where the text begins."""
    raw = parser.raw
    if not raw.startswith(DET, position):
        return (), position
    position += len(DET)
    match = _DET_NUMBERS.match(raw, position)
    end = match.end() if match else position
    if raw.startswith(DET_END, end):
        return _boxes(parser, raw[position:end]), end + len(DET_END)
    if end == len(raw):
        parser.notes[_CUT] += 1
        return (), end
    parser.notes[_MALFORMED] += 1
    close = raw.find("<|", end, end + _MAX_DET_GARBAGE)
    if close >= 0 and raw.startswith(DET_END, close):
        return (), close + len(DET_END)
    return _boxes(parser, raw[position:end]), end


def _boxes(parser: _Parser, positions: str) -> tuple[Box, ...]:
    groups = [_numbers(group) for group in _INNER_LIST.findall(positions) or [positions]]
    if len(groups) > 1 and all(len(group) == 2 for group in groups):
        groups = [[number for group in groups for number in group]]  # corners, each in its own list
    boxes: list[Box] = []
    for numbers in groups:
        if len(numbers) % 4:
            parser.notes[_MALFORMED] += 1
        for i in range(0, len(numbers) - 3, 4):
            clamped = [min(float(_SCALE), max(0.0, number)) for number in numbers[i : i + 4]]
            if clamped != numbers[i : i + 4]:
                parser.notes[_OUTSIDE] += 1
            x0, y0, x1, y1 = (
                v / _SCALE * size for v, size in zip(clamped, (parser.width, parser.height) * 2, strict=True)
            )
            boxes.append(Box(min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)))
    return tuple(boxes)


def _numbers(group: str) -> list[float]:
    return [float(number[:_MAX_DIGITS]) for number in _NUMBER.findall(group)]


def _text(parser: _Parser, start: int, end: int) -> str:
    return clean_text(_unescaped(parser, start, end))


def _unescaped(parser: _Parser, start: int, end: int) -> str:
    """Escapes are undone last, so that what they spell is never taken for markup."""
    return _ESCAPED.sub("<\\1\\2", strip_special(parser.raw[start:end]))


def _add_references(parser: _Parser, references: list[_Reference]) -> None:
    bare = [not parser.raw[r.start : r.end].strip() for r in references]
    labelled = any(_LABEL.fullmatch(r.content) for r, b in zip(references, bare, strict=True) if not b)
    holds_words = not labelled and any(r.content not in _KNOWN_LABELS for r in references)
    waiting = deque[_Reference]()  # `table` references whose HTML may follow a caption
    for reference, is_bare in zip(references, bare, strict=True):
        # Three newlines are an empty text of its own, as `to_markup` writes it; fewer, none at all.
        alone = is_bare and parser.raw.count("\n", reference.start, reference.end) < 3
        if waiting and not alone and reference.content.endswith(("_caption", "_footnote")):
            _add_caption(parser, reference, waiting)
        elif alone and reference.content == "table" and not holds_words:
            waiting.append(reference)
        else:
            _give_up(parser, waiting)
            known = reference.content in _KNOWN_LABELS and not (alone and holds_words)
            if known or (not alone and _is_open_label(parser, reference)):
                _add_block(parser, reference)
            else:
                _add_words(parser, reference)
    _give_up(parser, waiting)


def _is_open_label(parser: _Parser, reference: _Reference) -> bool:
    """Whether an unknown content can be a label: in form, and with its text on a line of its own."""
    line = parser.raw[reference.start : reference.start + 8].lstrip(" \t\r")
    return line.startswith("\n") and _LABEL.fullmatch(reference.content) is not None


def _add_words(parser: _Parser, reference: _Reference) -> None:
    """A reference around words of the page itself; what follows on its line goes on with them."""
    text = clean_text(reference.content + _unescaped(parser, reference.start, reference.end))
    if text or reference.boxes:
        parser.add("text", text, reference.boxes, reference.content_start, reference.end)


def _add_block(parser: _Parser, reference: _Reference) -> None:
    label, boxes, start, end = reference.content, reference.boxes, reference.start, reference.end
    if label == "image":
        parser.add(label, "", boxes, start, start)
        _add_paragraphs(parser, start, end)
        return
    text = _text(parser, start, end)
    parser.add(label, _closed(parser, text) if label == "table" else text, boxes, start, end)


def _add_caption(parser: _Parser, caption: _Reference, tables: deque[_Reference]) -> None:
    """Add a caption, and those of `tables` (taken off it) whose HTML stands after the caption."""
    start = position = _find_table(parser, caption.start, caption.end)
    parser.add(caption.content, _text(parser, caption.start, start), caption.boxes, caption.start, start)
    while tables and position < caption.end:
        _add_paragraphs(parser, start, position)
        start = _table_end(parser, position, caption.end)
        html = _closed(parser, _text(parser, position, start))
        parser.add("table", html, tables.popleft().boxes, position, start)
        position = _find_table(parser, start, caption.end)
    _add_paragraphs(parser, start, caption.end)


def _give_up(parser: _Parser, tables: deque[_Reference]) -> None:
    while tables:
        table = tables.popleft()
        parser.notes[_EMPTY_TABLE] += 1
        parser.add("table", "", table.boxes, table.start, table.start)


def _find_table(parser: _Parser, start: int, end: int) -> int:
    table = parser.raw.find("<table", start, end)
    return table if table >= 0 else end


def _table_end(parser: _Parser, start: int, end: int) -> int:
    close = parser.raw.find("</table>", start, end)
    return close + len("</table>") if close >= 0 else end


def _closed(parser: _Parser, html: str) -> str:
    """A table that was cut off gets its closing tags: it would swallow the rest of a page."""
    if html.rfind("<table") <= html.rfind("</table>"):
        return html
    parser.notes[_CUT_TABLE] += 1
    if html.rfind("<") > html.rfind(">"):
        html = html[: html.rfind("<")]
    for tag in ("td", "th", "tr", "table"):
        if max(html.rfind(f"<{tag}>"), html.rfind(f"<{tag} ")) > html.rfind(f"</{tag}>"):
            html += f"</{tag}>"
    return html


def _add_paragraphs(parser: _Parser, start: int, end: int) -> None:
    """Add text that no reference announced: one block per paragraph, heading, formula and table."""
    for piece_start, piece_end in _pieces(parser, start, end):
        text = _text(parser, piece_start, piece_end)
        if text.startswith("<table"):
            parser.add("table", _closed(parser, text), (), piece_start, piece_end)
        elif heading := _HEADING.fullmatch(text):
            parser.add("title" if heading[1] == "#" else "sub_title", text, (), piece_start, piece_end)
        elif text:
            is_formula = text.startswith("\\[") and text.endswith("\\]")
            parser.add("equation" if is_formula else "text", text, (), piece_start, piece_end)


def _pieces(parser: _Parser, start: int, end: int) -> Iterator[tuple[int, int]]:
    while start < end:
        table = _find_table(parser, start, end)
        for blank in _BLANK_LINE.finditer(parser.raw, start, table):
            yield start, blank.start()
            start = blank.end()
        yield start, table
        start = _table_end(parser, table, end)
        yield table, start
