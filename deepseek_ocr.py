"""DeepSeek-OCR, the model: its modes, prompts, special tokens, sampling, and its output as blocks.

Facts and pure functions over strings and numbers. This module must not know engines, pixels, tensors,
HTTP or output formats. The model counts positions 0 to 999 over the original page in every mode; those
numbers never leave this file.

The output grammar, `parse` reads it and `to_markup` writes it:

    <|ref|>label<|/ref|><|det|>[[x0, y0, x1, y1], ...]<|/det|>
    text of the block, up to the next reference

Source: DeepSeek-OCR's repository and model card (modes, prompts, the n-gram rule), the tokenizer's
configuration (special tokens), and arXiv:2510.18234 (tokens per mode).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from document import Block, Box, Mode
from errors import InvalidOption

# --- modes -------------------------------------------------------------------------------------------

MAX_CROPS = 6
_UNTILED_SIDE = 640  # upstream fixes this at 640 whatever the size of a tile
_PIXELS_PER_TOKEN = 64  # a patch of 16 pixels, downsampled 4 times


@dataclass(frozen=True, slots=True)
class ModeSpec:
    """Sizes in pixels: the square global view, and the square tile where `crop` cuts the page in tiles."""

    base_size: int
    image_size: int
    crop: bool


MODES: Mapping[Mode, ModeSpec] = MappingProxyType(
    {
        "tiny": ModeSpec(512, 512, False),
        "small": ModeSpec(640, 640, False),
        "base": ModeSpec(1024, 1024, False),
        "large": ModeSpec(1280, 1280, False),
        "gundam": ModeSpec(1024, 640, True),
    }
)
DEFAULT_MODE: Mode = "gundam"


def mode_of_crop_mode(crop_mode: str) -> Mode:
    """The mode behind the `crop_mode` of the API: `singlepage` or `tiling`. Raises `InvalidOption`."""
    modes: dict[str, Mode] = {"singlepage": "base", "tiling": "gundam"}
    if crop_mode not in modes:
        raise InvalidOption(f"`crop_mode` is {crop_mode[:40]!r}.", "Use `singlepage` or `tiling`.")
    return modes[crop_mode]


def tile_grid(width: int, height: int, image_size: int = 640, max_crops: int = MAX_CROPS) -> tuple[int, int]:
    """How many `(columns, rows)` of tiles a page of `width` × `height` pixels is stretched to.

    `(1, 1)` means no tiles. Of the grids with 2 to `max_crops` tiles the one whose shape is nearest to
    the page's wins; on an exact tie the larger, if the page fills more than half of it.
    """
    if width <= _UNTILED_SIDE and height <= _UNTILED_SIDE:
        return 1, 1
    grids = sorted(
        {(c, r) for c in range(1, max_crops + 1) for r in range(1, max_crops + 1) if 2 <= c * r <= max_crops},
        key=lambda grid: (grid[0] * grid[1], grid),
    )
    best, best_difference = (1, 1), float("inf")
    for columns, rows in grids:
        difference = abs(width / height - columns / rows)
        half_filled = width * height > 0.5 * image_size * image_size * columns * rows
        if difference < best_difference or (difference == best_difference and half_filled):
            best, best_difference = (columns, rows), difference
    return best


def num_image_tokens(mode: Mode | ModeSpec, width: int, height: int, max_crops: int = MAX_CROPS) -> int:
    """Tokens that a page of `width` × `height` pixels takes in the prompt, newlines and separator too."""
    spec = mode if isinstance(mode, ModeSpec) else MODES[mode]
    side = -(-spec.base_size // _PIXELS_PER_TOKEN)
    tokens = side * (side + 1) + 1
    if spec.crop:
        columns, rows = tile_grid(width, height, spec.image_size, max_crops)
        if (columns, rows) != (1, 1):
            tile_side = -(-spec.image_size // _PIXELS_PER_TOKEN)
            tokens += tile_side * rows * (tile_side * columns + 1)
    return tokens


# --- special tokens and sampling ---------------------------------------------------------------------

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
WHITELIST_TOKEN_IDS = frozenset({128821, 128822})  # `<td>` and `</td>` repeat in every honest table

MAX_OUTPUT_TOKENS = 8192
# `<td>` and its kin are special tokens: without them a table decodes to one run of words.
SKIP_SPECIAL_TOKENS = False


@dataclass(frozen=True, slots=True)
class NgramRule:
    """No `ngram_size` tokens twice among those that began within the last `window_size`."""

    ngram_size: int
    window_size: int
    whitelist: frozenset[int] = WHITELIST_TOKEN_IDS


NGRAM_RULES: Mapping[Literal["image", "pdf", "eval"], NgramRule] = MappingProxyType(
    {"image": NgramRule(30, 90), "pdf": NgramRule(20, 50), "eval": NgramRule(40, 90)}
)

# --- prompts -----------------------------------------------------------------------------------------

PROMPTS: Mapping[str, str] = MappingProxyType(
    {
        "document": f"{IMAGE}\n{GROUNDING}Convert the document to markdown.",
        "image": f"{IMAGE}\n{GROUNDING}OCR this image.",
        "free": f"{IMAGE}\nFree OCR.",
        "figure": f"{IMAGE}\nParse the figure.",
        "describe": f"{IMAGE}\nDescribe this image in detail.",
    }
)
MAX_PROMPT_CHARS = 8000
_CONTROL_TOKEN = re.compile(r"<[|｜][^<>|｜]{1,64}[|｜]>")
_PROMPT_TOKENS = frozenset({REF, REF_END, GROUNDING})


def locate_prompt(text: str) -> str:
    """The prompt that asks where `text` stands on the page. Raises `InvalidOption`."""
    if not text.strip() or "<|" in text or "<｜" in text:
        raise InvalidOption("The text to locate is empty or holds special tokens.", "Send plain words.")
    return proper_prompt(f"Locate {REF}{text.strip()}{REF_END} in the image.")


def proper_prompt(prompt: str | None) -> str:
    """A user's prompt as the model was trained to see it; none or a blank one asks for the document.

    `<image>` and a newline are put in front where missing, spaces at the end taken off. Raises
    `InvalidOption`, naming the token, for a prompt that holds control tokens other than `<|ref|>`,
    `<|/ref|>`, `<|grounding|>` and one leading `<image>`: dropping them quietly would answer a
    question that was not asked. Table tags such as `<td>` are plain HTML here and pass.
    """
    text = (prompt or "").strip()
    if len(text) > MAX_PROMPT_CHARS:
        raise InvalidOption(f"The prompt is longer than {MAX_PROMPT_CHARS} characters.", "Shorten it.")
    text = text.removeprefix(IMAGE).strip()
    if not text:
        return PROMPTS["document"]
    if IMAGE in text:
        raise InvalidOption(
            "The prompt may hold `<image>` once, at its start.", "Leave it out; the server adds it."
        )
    for token in _CONTROL_TOKEN.findall(text):
        if token not in _PROMPT_TOKENS:
            raise InvalidOption(f"The prompt holds the control token {token!r}.", "Leave it out.")
    return f"{IMAGE}\n{text}"


# --- text --------------------------------------------------------------------------------------------

_MARKER = re.compile(
    r"<\|det\|>[\s\d.,\[\]()+-]*(?:<\|/det\|>)?|<\|/?ref\|>|<\|/det\|>|<\|grounding\|>|<\|(?:User|Assistant)\|>"
    r"|<image>|<｜[^<>|｜]{1,64}｜>"
)
# U+2060 WORD JOINER, which no model writes between these two, is the escape in `to_markup`.
_ESCAPABLE = re.compile("<(\u2060*)([|｜])")
_ESCAPED = re.compile("<\u2060(\u2060*)([|｜])")
_COLON_EQUALS = re.compile(r"\\coloneqq(?![A-Za-z])")
_EQUALS_COLON = re.compile(r"\\eqqcolon(?![A-Za-z])")
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
    number = formula[quad + len("\\quad") :].strip()
    is_number = number.startswith("(") and number.find(")") == len(number) - 1 and len(number) <= 16
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

_OUTSIDE = "boxes lay outside the page and were clamped"
_MALFORMED = "positions could not be read and were left out"
_CUT = "references were unfinished: the output is probably cut off"
_CUT_TABLE = "tables were unfinished and were closed"
_EMPTY_TABLE = "tables came without their content"


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
        tuple(f"{count} {note}" for note, count in parser.notes.items()),
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
        references.append(_Reference(content, boxes, position, len(raw)))
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
    """The text of a block; escapes are undone last, so that what they spell is never taken for markup."""
    return clean_text(_ESCAPED.sub("<\\1\\2", strip_special(parser.raw[start:end])))


def _add_references(parser: _Parser, references: list[_Reference]) -> None:
    bare = [not parser.raw[r.start : r.end].strip() for r in references]
    labelled = any(_LABEL.fullmatch(r.content) for r, b in zip(references, bare, strict=True) if not b)
    holds_words = not labelled and any(r.content not in _KNOWN_LABELS for r in references)
    waiting: list[_Reference] = []  # `table` references whose HTML may follow a caption
    for reference, is_bare in zip(references, bare, strict=True):
        # Three newlines are an empty text of its own, as `to_markup` writes it; fewer, none at all.
        alone = is_bare and parser.raw.count("\n", reference.start, reference.end) < 3
        if waiting and not alone and reference.content.endswith(("_caption", "_footnote")):
            waiting = _add_caption(parser, reference, waiting)
        elif alone and reference.content == "table" and not holds_words:
            waiting.append(reference)
        else:
            _give_up(parser, waiting)
            waiting = []
            is_label = _LABEL.fullmatch(reference.content) is not None
            if alone:
                is_label = reference.content in _KNOWN_LABELS and not holds_words
            _add_block(parser, reference, is_label)
    _give_up(parser, waiting)


def _add_block(parser: _Parser, reference: _Reference, is_label: bool) -> None:
    label, boxes, start, end = reference.content, reference.boxes, reference.start, reference.end
    text = _text(parser, start, end)
    if not is_label:
        joined = clean_text(f"{label}{strip_special(parser.raw[start:end]).rstrip()}")
        if joined or boxes:
            parser.add("text", joined, boxes, start, end)
    elif label == "image":
        parser.add(label, "", boxes, start, start)
        _add_paragraphs(parser, start, end)
    elif label == "table":
        parser.add(label, _closed(parser, text), boxes, start, end)
    else:
        parser.add(label, text, boxes, start, end)


def _add_caption(parser: _Parser, caption: _Reference, tables: list[_Reference]) -> list[_Reference]:
    """Add a caption and the tables whose HTML stands after it; the tables still without are returned."""
    start = position = _find_table(parser, caption.start, caption.end)
    parser.add(caption.content, _text(parser, caption.start, start), caption.boxes, caption.start, start)
    waiting = list(tables)
    while waiting and position < caption.end:
        _add_paragraphs(parser, start, position)
        table = waiting.pop(0)
        end = _table_end(parser, position, caption.end)
        html = _closed(parser, _text(parser, position, end))
        parser.add("table", html, table.boxes, position, end)
        start = end
        position = _find_table(parser, end, caption.end)
    _add_paragraphs(parser, start, caption.end)
    return waiting


def _give_up(parser: _Parser, tables: list[_Reference]) -> None:
    for table in tables:
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
