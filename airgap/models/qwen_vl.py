"""Qwen2-VL, Qwen2.5-VL and Qwen3-VL, the models: their tasks, chat form, box conventions and output.

Facts and pure functions over strings and numbers, the counterpart of `deepseek_ocr.py`. This module must
not know engines, pixels, tensors, HTTP or output formats. Output is hostile input: nothing is evaluated.

Boxes: Qwen2-VL and Qwen3-VL count 0 to 1000 over the picture; Qwen2.5-VL counts pixels of the picture as
its processor resized it (`resized`). They come as JSON (`bbox_2d`), as HTML (`data-bbox`), or, from
Qwen2-VL, as `<|box_start|>(x0,y0),(x1,y1)<|box_end|>`.

Sources: the model cards and cookbooks of Qwen2-VL, Qwen2.5-VL and Qwen3-VL (prompts, box conventions),
their tokenizer and preprocessor configurations (tokens, sizes), arXiv:2409.12191 and arXiv:2502.13923.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

from airgap.core.document import Block, Box
from airgap.core.errors import InvalidOption
from airgap.models import deepseek_grammar
from airgap.models.deepseek_grammar import Parsed

Version = Literal["2", "2.5", "3"]

ARCHITECTURES: Mapping[str, Version] = MappingProxyType(
    {
        "Qwen2VLForConditionalGeneration": "2",
        "Qwen2_5_VLForConditionalGeneration": "2.5",
        "Qwen3VLForConditionalGeneration": "3",
    }
)
MODEL_TYPES: Mapping[Version, str] = MappingProxyType({"2": "qwen2_vl", "2.5": "qwen2_5_vl", "3": "qwen3_vl"})

IM_START, IM_END = "<|im_start|>", "<|im_end|>"
VISION = "<|vision_start|><|image_pad|><|vision_end|>"
IMAGE_PAD = "<|image_pad|>"
END_OF_TEXT = "<|endoftext|>"
SPECIAL_TOKENS = (IM_START, IM_END, "<|vision_start|>", IMAGE_PAD, "<|vision_end|>", END_OF_TEXT)
_SYSTEM = "You are a helpful assistant."

# --- profiles ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Profile:
    """What a size of the model wants; `max_pixels` bounds a picture."""

    name: str
    max_pixels: int


# An A4 page at 150 dots per inch has 2.2 million pixels; more costs tokens and wins little.
PROFILES: tuple[Profile, ...] = (
    Profile("2B", 1280 * 28 * 28),
    Profile("7B", 2560 * 28 * 28),
)


def profile(hidden_size: int) -> Profile:
    """The profile for a decoder of this width: 1536 to 2048 are the 2B and 3B models, above the 7B."""
    return PROFILES[0] if hidden_size <= 2048 else PROFILES[1]


# --- prompts -----------------------------------------------------------------------------------------

TASKS: Mapping[str, str] = MappingProxyType(
    {
        "text": "Read all the text in the image, in reading order. Answer with the text alone.",
        "markdown": "Convert the document in the image to Markdown, in reading order. Write tables as HTML "
        "and formulas as LaTeX. Answer with the Markdown alone.",
        "table": "Convert every table in the image to an HTML table. Answer with the HTML alone.",
        "key_value": "Extract the fields of this document and their values. Answer with one JSON object "
        "whose keys are the names of the fields as printed.",
        "layout": "Find every block of the document: titles, paragraphs, tables, formulas and pictures. "
        'Answer with a JSON list of objects {"bbox_2d": [x0, y0, x1, y1], "label": ..., "text": ...}.',
    }
)
MAX_PROMPT_CHARS = 8000

_LANGUAGES = MappingProxyType(
    {
        "ar": "Arabic", "bg": "Bulgarian", "cs": "Czech", "da": "Danish", "de": "German", "el": "Greek",
        "en": "English", "es": "Spanish", "fa": "Persian", "fi": "Finnish", "fr": "French", "he": "Hebrew",
        "hi": "Hindi", "hu": "Hungarian", "id": "Indonesian", "it": "Italian", "ja": "Japanese",
        "ko": "Korean", "nl": "Dutch", "no": "Norwegian", "pl": "Polish", "pt": "Portuguese",
        "ro": "Romanian", "ru": "Russian", "sv": "Swedish", "th": "Thai", "tr": "Turkish", "uk": "Ukrainian",
        "vi": "Vietnamese", "zh": "Chinese", "zh-Hans": "Simplified Chinese", "zh-CN": "Simplified Chinese",
        "zh-Hant": "Traditional Chinese", "zh-TW": "Traditional Chinese", "zh-HK": "Traditional Chinese",
    }
)  # fmt: skip
_CONTROL_TOKEN = re.compile(r"<\|[^<>|]{1,64}\|>")
_OF_DEEPSEEK = re.compile(r"<image>|<\|grounding\|>")


def prompt(text: str | None, language: str | None = None) -> str:
    """What to say to the model: the name of a task, a user's own words, or nothing, which is `markdown`.

    The markup of DeepSeek-OCR's prompts is taken off, so that a client's prompts work with either family.
    Raises `InvalidOption` for control tokens and for a prompt that is too long.
    """
    words = _OF_DEEPSEEK.sub("", text or "").strip()
    if len(words) > MAX_PROMPT_CHARS:
        raise InvalidOption(f"The prompt is longer than {MAX_PROMPT_CHARS} characters.", "Shorten it.")
    found = _CONTROL_TOKEN.search(words)
    if found:
        raise InvalidOption(f"The prompt holds the control token {found[0]!r}.", "Leave it out.")
    words = TASKS.get(words, words) or TASKS["markdown"]
    if language is None:
        return words
    name = _LANGUAGES.get(language, f"the language with the code {language}")
    return f"{words} The document is in {name}; keep that language."


def chat(text: str, version: Version, *, image: bool) -> str:
    """The turn of a user, in ChatML as the models were trained; Qwen3-VL has no system message."""
    system = "" if version == "3" else f"{IM_START}system\n{_SYSTEM}{IM_END}\n"
    picture = VISION if image else ""
    return f"{system}{IM_START}user\n{picture}{text}{IM_END}\n{IM_START}assistant\n"


# --- names and sizes ---------------------------------------------------------------------------------

_NAME = re.compile(r"qwen[-_.]?(2\.5|2|3)?[-_.]?(?:\w+[-_.])?vl", re.IGNORECASE)


def is_name(name: str) -> bool:
    """Whether a model by this name, such as `Qwen/Qwen2.5-VL-7B-Instruct`, is of this family."""
    return _NAME.search(name) is not None


def version_of_name(name: str) -> Version:
    found = _NAME.search(name)
    version = found[1] if found else None
    return version if version in ("2", "2.5", "3") else "2.5"  # type: ignore[return-value]


def resized(
    width: int, height: int, *, factor: int = 28, min_pixels: int = 3136, max_pixels: int = 12_845_056
) -> tuple[int, int]:
    """The `(width, height)` to which the processor scales a picture: multiples of `factor`, within bounds."""
    w, h = (max(factor, round(side / factor) * factor) for side in (width, height))
    if w * h > max_pixels:
        shrink = (width * height / max_pixels) ** 0.5
        w, h = (max(factor, int(side / shrink / factor) * factor) for side in (width, height))
    elif w * h < min_pixels:
        grow = (min_pixels / (width * height)) ** 0.5
        w, h = (-int(-side * grow // factor) * factor for side in (width, height))
    return w, h


@dataclass(frozen=True, slots=True)
class Geometry:
    """A page of `width` × `height` pixels, on which the model counts to `across` and `down`."""

    width: int
    height: int
    across: float
    down: float


def geometry(version: Version, width: int, height: int, seen: tuple[int, int] | None = None) -> Geometry:
    """How the model counts on a page; `seen` is the resized size, which only Qwen2.5-VL counts in."""
    if version != "2.5":
        return Geometry(width, height, 1000, 1000)
    across, down = seen or resized(width, height)
    return Geometry(width, height, across, down)


def geometry_of_name(name: str, width: int, height: int) -> Geometry:
    """The same for a model on another server, whose processor has the published settings."""
    return geometry(version_of_name(name), width, height)


# --- output ------------------------------------------------------------------------------------------

_MAX_JSON = 1_000_000
_FENCE = re.compile(r"\A\s*```[a-zA-Z]*[ \t]*\n(.*?)(?:\n```\s*)?\Z", re.DOTALL)
_QWEN2_BOX = re.compile(
    r"(?:<\|object_ref_start\|>(?P<ref>[^<]{0,2000})<\|object_ref_end\|>)?"
    r"<\|box_start\|>\((?P<a>\d{1,6}),(?P<b>\d{1,6})\),\((?P<c>\d{1,6}),(?P<d>\d{1,6})\)<\|box_end\|>"
)
_LABELS = MappingProxyType(
    {"h1": "title", "h2": "sub_title", "h3": "sub_title", "h4": "sub_title", "p": "text", "img": "image"}
    | {"table": "table", "figure": "image", "formula": "equation", "li": "text", "div": "text"}
    | {"paragraph": "text", "heading": "sub_title", "picture": "image", "key_value": "text"}
)
_ROW = re.compile(r"\A\s*\|.*\|\s*\Z")
_RULE = re.compile(r"\A\s*\|(?:\s*:?-{2,}:?\s*\|)+\s*\Z")
_TOO_DEEP = "The answer's JSON could not be read; it is given as text"


def parse(raw: str, page: Geometry) -> Parsed:
    """The blocks in an answer. Never raises. Where no positions are found, paragraphs without boxes.

    `spans` name the whole answer for blocks whose own place in it is not known.
    """
    fenced = _FENCE.match(raw)
    text = fenced[1] if fenced else raw
    warnings: tuple[str, ...] = ()
    blocks: list[Block] = []
    if text.lstrip()[:1] in ("[", "{") and '"bbox' in text:
        entries = _json(text)
        blocks = [block for entry in entries for block in _from_json(entry, page)]
        warnings = () if blocks else (_TOO_DEEP,)
    elif "data-bbox" in text:
        blocks = _Html(page).blocks_of(text)
    elif "<|box_start|>" in text:
        blocks = list(_from_qwen2(text, page))
    if blocks:
        return Parsed(tuple(blocks), warnings, ((0, len(raw)),) * len(blocks))
    plain = deepseek_grammar.parse(_CONTROL_TOKEN.sub("", text), page.width, page.height)
    return Parsed(
        tuple(_with_html_table(block) for block in plain.blocks),
        (*warnings, *plain.warnings),
        ((0, len(raw)),) * len(plain.blocks),
    )


def _box(numbers: Any, page: Geometry) -> tuple[Box, ...]:
    """Nothing for what is no box; corners in either order, clamped to the page."""
    if not isinstance(numbers, list) or len(numbers) != 4:
        return ()
    values = [float(n) for n in numbers if isinstance(n, int | float) and abs(n) < 1e7]
    if len(values) != 4:
        return ()
    x = sorted(min(1.0, max(0.0, value / page.across)) * page.width for value in values[0::2])
    y = sorted(min(1.0, max(0.0, value / page.down)) * page.height for value in values[1::2])
    return (Box(x[0], y[0], x[1], y[1]),)


def _json(text: str) -> list[Any]:
    """The objects of a list; of one that was cut off, those that are whole."""
    if len(text) > _MAX_JSON:
        return []
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return list(_whole_objects(text))
    return content if isinstance(content, list) else [content]


def _whole_objects(text: str) -> Iterator[Any]:
    decoder, place = json.JSONDecoder(), text.find("{")
    while place >= 0:
        try:
            entry, end = decoder.raw_decode(text, place)
        except (ValueError, RecursionError):
            return
        yield entry
        place = text.find("{", end)


def _from_json(entry: Any, page: Geometry) -> Iterator[Block]:
    if not isinstance(entry, dict):
        return
    boxes = _box(entry.get("bbox_2d", entry.get("bbox")), page)
    words = next((entry[key] for key in ("text", "text_content", "content") if key in entry), None)
    label = entry.get("label", entry.get("type", entry.get("category", "text")))
    if words is None and isinstance(label, str) and _label(label) == "text":
        words = "" if label in ("text", "paragraph") else label  # text spotting puts the words there
    if boxes or words:
        kind = _label(label) if isinstance(label, str) else "text"
        yield Block(kind, "" if kind == "image" else _clean(words), boxes)


def _clean(words: Any) -> str:
    return deepseek_grammar.clean_text(words) if isinstance(words, str) else ""


def _label(name: str) -> str:
    name = re.sub(r"[^a-z0-9_]+", "_", name.strip().lower())[:40]
    known = {"title", "sub_title", "text", "table", "image", "equation", "list", "code", "header", "footer"}
    known |= {"page_number", "footnote", "chart", "image_caption", "table_caption", "caption"}
    return name if name in known else _LABELS.get(name, "text")


def _from_qwen2(text: str, page: Geometry) -> Iterator[Block]:
    matches = list(_QWEN2_BOX.finditer(text))
    ends = [*(match.start() for match in matches), len(text)]
    before = _CONTROL_TOKEN.sub("", text[: ends[0]]).strip()
    if before:
        yield Block("text", _clean(before))
    for match, end in zip(matches, ends[1:], strict=True):
        after = text[match.end() : end]
        words = f"{match['ref'] or ''} {_CONTROL_TOKEN.sub('', after)}"
        numbers: list[Any] = [int(match[name]) for name in "abcd"]
        yield Block("text", _clean(words), _box(numbers, page))


_ELEMENT = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9]{0,15})((?:\s[^<>]{0,1000})?)/?>")
_BBOX = re.compile(r"""data-bbox\s{0,3}=\s{0,3}["']([^"'<>]{0,100})["']""")
_SPAN = re.compile(r"""\b(rowspan|colspan)\s{0,3}=\s{0,3}["']?(\d{1,3})\b""", re.ASCII)
_NUMBERS = re.compile(r"\d{1,6}(?:\.\d{1,3})?", re.ASCII)
_TABLE_TAGS = frozenset({"table", "tr", "td", "th"})


class _Html:
    """Elements with `data-bbox` become blocks; a table keeps its HTML, all else its text.

    Takes time linear in the text, whatever it is: every search is bounded and none starts anew.
    """

    def __init__(self, page: Geometry) -> None:
        self._page = page
        self._blocks: list[Block] = []
        self._clear()

    def _clear(self) -> None:
        self._label, self._boxes, self._parts, self._depth = "", tuple[Box, ...](), list[str](), 0

    def blocks_of(self, text: str) -> list[Block]:
        place = 0
        for match in _ELEMENT.finditer(text):
            self._words(text[place : match.start()])
            place = match.end()
            name = match[2].lower()
            if match[1]:
                self._end(name)
            else:
                self._start(name, match[3])
        self._words(text[place:])
        self._flush()
        return self._blocks

    def _start(self, name: str, attributes: str) -> None:
        place = _BBOX.search(attributes)
        if place and not self._depth:
            self._flush()
            numbers: list[Any] = [float(number) for number in _NUMBERS.findall(place[1])]
            self._label, self._boxes = _LABELS.get(name, "text"), _box(numbers, self._page)
        if name == "table":
            self._depth += 1
            self._label = "table"
        if self._depth and name in _TABLE_TAGS:
            spans = "".join(f' {key}="{value}"' for key, value in _SPAN.findall(attributes))
            self._parts.append(f"<{name}{spans}>")
        elif name == "br":
            self._parts.append("\n")

    def _end(self, name: str) -> None:
        if self._depth and name in _TABLE_TAGS:
            self._parts.append(f"</{name}>")
            self._depth -= name == "table"

    def _words(self, text: str) -> None:
        words = html.unescape(text)
        self._parts.append(html.escape(words, quote=False) if self._depth else words)

    def _flush(self) -> None:
        text = "" if self._label == "image" else _clean("".join(self._parts))
        if text or self._boxes:
            self._blocks.append(Block(self._label or "text", text, self._boxes))
        self._clear()


def _with_html_table(block: Block) -> Block:
    """A table written with bars becomes HTML, as everywhere in this project."""
    lines = block.text.split("\n")
    if len(lines) < 2 or not all(_ROW.match(line) for line in lines) or not _RULE.match(lines[1]):
        return block
    rows = [_cells(line) for i, line in enumerate(lines) if i != 1]
    body = "".join("<tr>" + "".join(f"<td>{html.escape(c)}</td>" for c in row) + "</tr>" for row in rows)
    return Block("table", f"<table>{body}</table>", block.boxes, block.confidence, block.lines)


def _cells(line: str) -> list[str]:
    inner = line.strip()[1:-1]
    return [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", inner)]
