"""How far a recognised page is from its truth: character error rate and two order-insensitive measures.

Both sides are normalised alike, so that markup, typographic variants, leaders, line-end hyphens and
the choice of white space do not count. Pure functions over strings; standard library alone.

    cer   Levenshtein distance / length of the truth; the order of the text counts; reported up to 1
    bag   F1 of the bags of tokens: words, and single characters of CJK; order does not count
    tri   F1 of the bags of character trigrams without white space; order hardly counts
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

CJK = r"\u2e80-\u2fdf\u3000-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff00-\uffef"

_SAME: dict[int, str | None] = {
    **dict.fromkeys(map(ord, "“”„‟«»″〝〞「」『』"), '"'),
    **dict.fromkeys(map(ord, "‘’‚‛‹›′`´"), "'"),
    **dict.fromkeys(map(ord, "‐‑‒–—―−⁃﹣－─━"), "-"),
    **dict.fromkeys(map(ord, "•●○◦▪■□▫◆◇►▶·・‧∙⋅√☑☐✓"), " "),
    **dict.fromkeys((0xAD, 0x200B, 0xFEFF, 0x2060), None),
    ord("…"): "...",
}
_BLOCK_END = re.compile(r"</(?:td|th|tr|p|div|li|h\d|table)>|<br ?/?>", re.I)
_TAGS = (
    "table|thead|tbody|tr|td|th|p|div|span|b|i|u|em|strong|sup|sub|ul|ol|li|h\\d|center|img|hr|caption|small"
    "|code|pre"
)
_TAG = re.compile(rf"</?(?:{_TAGS})(?:\s[^<>]*)?/?>", re.I)
_TABLE_RULE = re.compile(r"^\s*\|?\s*:?-{2,}:?\s*(?:\|\s*:?-{2,}:?\s*)*\|?\s*$", re.M)
_TABLE_ROW = re.compile(r"^\s*\|(.*)\|\s*$", re.M)
_LEADER = re.compile(r"([._\-=~*])(?:\s*\1){3,}")
_HYPHEN = re.compile(r"(?<=[^\W\d_])-\s+(?=[^\W\d_])(?=[a-zß-ÿа-я])")
_CJK_SPACE = re.compile(rf"(?<=[{CJK}]) | (?=[{CJK}])")
_ITEM = re.compile(r"^\s*[-*+]\s+(?=\S)", re.M)
_WORD = re.compile(rf"[{CJK}]|[^\W_]+")
_IS_CJK = re.compile(rf"[{CJK}]")


@dataclass(frozen=True, slots=True)
class Score:
    """The measures of one page, or their mean over several."""

    cer: float
    bag: float
    tri: float


def plain_text(markdown: str) -> str:
    """Markdown and HTML without their marks; cells and lines stay apart."""
    text = re.sub(r"<\|/?(?:ref|det|grounding|img)[^>]*\|>", " ", markdown)
    text = re.sub(r"```[a-z]*\n?", " ", text)
    text = re.sub(r"!\[[^\]]*\]\([^)]*\)", " ", text)
    text = re.sub(r"\[([^\]]*)\]\([^)\s]*\)", r"\1", text)
    text = _TAG.sub(" ", _BLOCK_END.sub("\n", text))
    text = _TABLE_RULE.sub(" ", html.unescape(text))
    if "|" in text:
        text = _TABLE_ROW.sub(_cells_apart, text)
    text = re.sub(r"^\s{0,3}#{1,6}\s+", "", text, flags=re.M)
    text = _ITEM.sub("", re.sub(r"^\s{0,3}>\s?", "", text, flags=re.M))
    text = re.sub(r"(\*\*|__)(?=\S)(.+?)(?<=\S)\1", r"\2", text)
    text = re.sub(r"(?<!\*)\*(?=\S)([^*\n]+?)(?<=\S)\*(?!\*)", r"\1", text)
    return re.sub(r"\\([\\`*_{}\[\]()#+.!|<>~-])", r"\1", text)


def _cells_apart(row: re.Match[str]) -> str:
    return "|".join(part.replace("|", " ") for part in row.group(1).split("\\|"))


def normalise(text: str, casefold: bool = False) -> str:
    """What two texts are compared by."""
    text = unicodedata.normalize("NFKC", text).translate(_SAME)
    text = _LEADER.sub(" ", _ITEM.sub("", text))
    text = re.sub(r"\s+", " ", _HYPHEN.sub("", text)).strip()
    text = _CJK_SPACE.sub("", text)
    return text.casefold() if casefold else text


def edit_distance(a: str, b: str) -> int:
    """Levenshtein distance, bit-parallel (Myers 1999; Hyyrö 2001) on integers of any length."""
    pattern, text = sorted((a, b), key=len)
    if not pattern:
        return len(text)
    occurs: defaultdict[str, int] = defaultdict(int)
    for index, character in enumerate(pattern):
        occurs[character] |= 1 << index
    ones = (1 << len(pattern)) - 1
    last = 1 << (len(pattern) - 1)
    rises, falls, distance = ones, 0, len(pattern)
    for character in text:
        equal = occurs.get(character, 0)
        vertical = equal | falls
        horizontal = (((equal & rises) + rises) ^ rises) | equal
        up = falls | (~(horizontal | rises) & ones)
        down = rises & horizontal
        distance += bool(up & last) - bool(down & last)
        up = ((up << 1) | 1) & ones
        down = (down << 1) & ones
        rises = down | (~(vertical | up) & ones)
        falls = up & vertical
    return distance


def _f1(predicted: Iterable[str], truth: Iterable[str]) -> float:
    a, b = Counter(predicted), Counter(truth)
    total = a.total() + b.total()
    return 2 * (a & b).total() / total if total else 1.0


def _tokens(text: str) -> list[str]:
    tokens: list[str] = []
    for word in _WORD.findall(text):
        tokens += word if _IS_CJK.match(word) else [word]
    return tokens


def _trigrams(text: str) -> list[str]:
    packed = text.replace(" ", "")
    return [packed[start : start + 3] for start in range(max(1, len(packed) - 2))]


def score(markdown: str, truth: str, casefold: bool = False) -> Score:
    """Compare a page's Markdown with its plain true text."""
    predicted, expected = normalise(plain_text(markdown), casefold), normalise(truth, casefold)
    cer = min(1.0, edit_distance(predicted, expected) / max(1, len(expected)))
    return Score(
        cer, _f1(_tokens(predicted), _tokens(expected)), _f1(_trigrams(predicted), _trigrams(expected))
    )


def mean_score(scores: Sequence[Score]) -> Score:
    """The mean of at least one score."""
    count = len(scores)
    return Score(
        sum(score.cer for score in scores) / count,
        sum(score.bag for score in scores) / count,
        sum(score.tri for score in scores) / count,
    )
