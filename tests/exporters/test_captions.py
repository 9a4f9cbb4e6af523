"""Captions stand with what they are of: in one `<figure>`, on one page in Word."""

from __future__ import annotations

import io
import re

import docx
import pytest

from airgap.core.document import Block, Box, Page
from airgap.exporters import export
from airgap.exporters.captions import with_captions
from airgap.exporters.json_export import blocks_to_list
from tests.exporters.factory import PictureSource, document, picture

BOX = (Box(10, 10, 50, 50),)
BLOCKS = {
    "F": Block("figure", "", BOX),
    "T": Block("table", "<table><tr><td>1</td></tr></table>", BOX),
    "f": Block("figure_caption", "Figure 1"),
    "t": Block("table_caption", "Table 1"),
    "c": Block("caption", "Either"),
    "e": Block("table_caption", " "),
    "x": Block("text", "Words"),
}


@pytest.mark.parametrize(
    ("order", "pairs"),
    [
        ("Ff", ["Ff"]),
        ("fF", ["fF"]),
        ("FfFf", ["Ff", "Ff"]),
        ("tT", ["tT"]),
        ("Tt", ["Tt"]),
        ("TtT", ["T", "tT"]),
        ("tTtT", ["tT", "tT"]),
        ("cF", ["cF"]),
        ("TcT", ["T", "cT"]),
        ("Ft", ["F", "t"]),
        ("Tf", ["T", "f"]),
        ("Fxf", ["F", "x", "f"]),
        ("Te", ["T", "e"]),
        ("", []),
    ],
)
def test_the_caption_beside_it_of_its_kind(order: str, pairs: list[str]) -> None:
    names = {id(block): name for name, block in BLOCKS.items()}
    found = with_captions([BLOCKS[name] for name in order])
    assert ["".join(names[id(block)] for block in group) for group in found] == pairs


@pytest.mark.parametrize(
    ("order", "belongs"),
    [
        ("xFf", {2: 1}),
        ("fFx", {0: 1}),
        ("TtT", {1: 2}),
        ("FfFf", {1: 0, 3: 2}),
        ("Ft", {}),
        ("xf", {}),
        ("Te", {}),
    ],
)
def test_json_says_which_block_a_caption_belongs_to(order: str, belongs: dict[int, int]) -> None:
    said = blocks_to_list([BLOCKS[name] for name in order])
    assert {i: block["caption_of"] for i, block in enumerate(said) if "caption_of" in block} == belongs


def test_html_has_both_in_one_figure() -> None:
    page = Page(1, 200, 300, blocks=(BLOCKS["F"], BLOCKS["f"], BLOCKS["t"], BLOCKS["T"], BLOCKS["x"]))
    text = export("html", document(page), PictureSource({1: picture()})).decode()
    shape = re.findall(r"</?(?:figure|figcaption|div|img|table)", text)
    assert shape == [
        *(
            "<figure",
            "<div",
            "<figure",
            "<img",
            "</figure",
            "</div",
            "<figcaption",
            "</figcaption",
            "</figure",
        ),
        *("<figure", "<figcaption", "</figcaption", "<div", "<table", "</table", "</div", "</figure"),
    ]


def test_word_parts_no_caption_from_its_figure_or_table() -> None:
    page = Page(1, 200, 300, blocks=(BLOCKS["F"], BLOCKS["f"], BLOCKS["t"], BLOCKS["T"], BLOCKS["x"]))
    word = docx.Document(io.BytesIO(export("docx", document(page), PictureSource({1: picture()}))))
    kept = [(p.text, bool(p.paragraph_format.keep_with_next)) for p in word.paragraphs]
    assert kept == [("", True), ("Figure 1", False), ("Table 1", True), ("", False), ("Words", False)]
