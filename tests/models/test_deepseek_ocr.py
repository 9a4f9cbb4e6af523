"""The facts of DeepSeek-OCR, what makes a prompt proper, and cleaning."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import deepseek_ocr
from airgap.core.document import MODES as MODE_NAMES
from airgap.core.document import Mode
from airgap.core.errors import InvalidOption
from deepseek_ocr import MODES, PROMPTS, ModeSpec, clean_formula, clean_text, proper_prompt

DATA = Path(__file__).parents[1] / "data"
RECORDS = json.loads((DATA / "reference" / "preprocess.json").read_text())


# --- facts -------------------------------------------------------------------------------------------


def spec_of(record: dict[str, Any]) -> ModeSpec:
    return ModeSpec(record["base_size"], record["image_size"], record["crop"])


@pytest.mark.parametrize("mode", sorted({record["mode"] for record in RECORDS}))
def test_tokens_and_tiles_agree_with_the_authors_preprocessing(mode: str) -> None:
    records = [record for record in RECORDS if record["mode"] == mode]
    assert len(records) == 32
    for record in records:
        width, height, max_crops = record["width"], record["height"], record["max_crops"]
        spec = spec_of(record)
        if mode in MODES:
            assert MODES[cast(Mode, mode)] == spec
        assert deepseek_ocr.num_image_tokens(spec, width, height, max_crops) == record["num_image_tokens"]
        if record["crop"]:
            grid = deepseek_ocr.tile_grid(width, height, record["image_size"], max_crops)
            assert list(grid) == record["tiles"]


def test_the_modes_are_those_of_the_nouns() -> None:
    assert tuple(MODES) == MODE_NAMES


@pytest.mark.parametrize(
    ("mode", "tokens"), [("tiny", 73), ("small", 111), ("base", 273), ("large", 421), ("gundam", 903)]
)
def test_an_a4_page_takes_the_published_number_of_tokens(mode: Any, tokens: int) -> None:
    assert deepseek_ocr.num_image_tokens(mode, 1190, 1684) == tokens


@settings(deadline=None)
@given(st.integers(1, 100_000), st.integers(1, 100_000), st.integers(1, 9))
def test_the_grid_never_has_more_tiles_than_allowed(width: int, height: int, max_crops: int) -> None:
    columns, rows = deepseek_ocr.tile_grid(width, height, max_crops=max_crops)
    assert 1 <= columns * rows <= max_crops


def test_crop_mode_names_a_mode() -> None:
    assert deepseek_ocr.mode_of_crop_mode("singlepage") == "base"
    assert deepseek_ocr.mode_of_crop_mode("tiling") == "gundam"
    with pytest.raises(InvalidOption):
        deepseek_ocr.mode_of_crop_mode("both")


def test_special_token_ids_are_those_of_the_tokenizer() -> None:
    ids = deepseek_ocr.SPECIAL_TOKEN_IDS
    assert (ids["<image>"], ids["<|grounding|>"], ids["<|Assistant|>"]) == (128815, 128820, 128826)
    assert {ids["<td>"], ids["</td>"]} == deepseek_ocr.WHITELIST_TOKEN_IDS
    rules = deepseek_ocr.NGRAM_RULES
    assert [(r.ngram_size, r.window_size) for r in rules.values()] == [(30, 90), (20, 50), (40, 90)]


# --- prompts -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("prompt", PROMPTS.values())
def test_a_proper_prompt_stays_as_it_is(prompt: str) -> None:
    assert proper_prompt(prompt) == prompt
    assert proper_prompt(f"{prompt}  \n") == prompt


@pytest.mark.parametrize(
    ("given_prompt", "proper"),
    [
        (None, PROMPTS["document"]),
        ("  \n", PROMPTS["document"]),
        ("<image>", PROMPTS["document"]),
        ("Free OCR.   ", "<image>\nFree OCR."),
        ("<image>Free OCR.", "<image>\nFree OCR."),
        ("<|grounding|>OCR this image.", PROMPTS["image"]),
        ("Write <td> for cells.", "<image>\nWrite <td> for cells."),
        ("Is a <| b?", "<image>\nIs a <| b?"),
    ],
)
def test_a_prompt_is_made_proper(given_prompt: str | None, proper: str) -> None:
    assert proper_prompt(given_prompt) == proper


@pytest.mark.parametrize(
    "prompt",
    [
        "<image>\n<image>\nFree OCR.",
        "<image> and <image>",
        "What is in <image> here?",
        "<|det|>[[0,0,1,1]]<|/det|>",
        "Hello<|Assistant|>Yes",
        "a<｜end▁of▁sentence｜>b",
        "a<｜fim▁hole｜>b",
        "x" * 8001,
    ],
)
def test_a_prompt_with_control_tokens_is_refused(prompt: str) -> None:
    with pytest.raises(InvalidOption):
        proper_prompt(prompt)


def test_the_locate_prompt() -> None:
    prompt = "<image>\nLocate <|ref|>the seal<|/ref|> in the image."
    assert deepseek_ocr.locate_prompt(" the seal ") == prompt
    for text in ("", "a<|/ref|>b"):
        with pytest.raises(InvalidOption):
            deepseek_ocr.locate_prompt(text)


# --- cleaning ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        (r"a \coloneqq b \eqqcolon c", "a := b =: c"),
        (r"\coloneqqx", r"\coloneqqx"),
        ("<center>Fig. 1</center>\n", "Fig. 1"),
        ("a\n\n\n\nb", "a\n\nb"),
    ],
)
def test_clean_text(text: str, clean: str) -> None:
    assert clean_text(text) == clean


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        (r"\[ a = b \quad (3.2) \]", r"\[a = b\]"),
        (r"\[a\quad(A.1a)\] and \[ b \quad (iv)\]", r"\[a\] and \[b\]"),
        (r"\[f(x) \quad (x > 0)\]", r"\[f(x) \quad (x > 0)\]"),
        (r"\[a \quad b \quad (1)\]", r"\[a \quad b\]"),
        ("\\[a\n\\quad (1)\\]", "\\[a\n\\quad (1)\\]"),
        (r"\[ open", r"\[ open"),
        (r"\(a \quad (1)\)", r"\(a \quad (1)\)"),
    ],
)
def test_clean_formula(text: str, clean: str) -> None:
    assert clean_formula(text) == clean
