"""Formulas read by a model that a site brings: its answers, its bounds, and folders that cannot be used."""

from __future__ import annotations

import io
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib import mathtext
from matplotlib.font_manager import FontProperties
from PIL import Image

from airgap.core.engine import PageRead
from airgap.core.errors import ConfigurationError
from airgap.engines.ppocr.engine import RapidOcrEngine
from airgap.engines.ppocr.formula_network import MAX_WORDS, Formula, FormulaNetwork
from airgap.engines.ppocr.formula_words import Vocabulary
from airgap.engines.table import create_engine
from airgap.layout.quads import Picture
from config import load_settings
from tests.engines.drawn_pages import html_page, read
from tests.engines.ppocr import tiny_formula_model
from tests.engines.started import started

LATEX = "E = m c ^{2}"


def picture(value: int) -> Picture:
    return np.full((40, 200, 3), value, np.uint8)


def unbothered() -> None:
    pass


def test_the_likeliest_words_up_to_the_end_are_the_formula_of_that_picture(tmp_path: Path) -> None:
    network = FormulaNetwork(tiny_formula_model.write(tmp_path), 1)
    light, dark = network.read(picture(255), unbothered), network.read(picture(0), unbothered)
    assert light is not None
    assert dark is not None
    assert (light.latex, dark.latex) == (LATEX, "E < m c ^{2}")
    assert light.confidence > 0.99
    assert light.is_sure


def test_an_answer_without_an_end_is_none(tmp_path: Path) -> None:
    network = FormulaNetwork(tiny_formula_model.write(tmp_path, ["E", "m"]), 1)
    asked: list[None] = []
    assert network.read(picture(255), lambda: asked.append(None)) is None
    assert len(asked) == MAX_WORDS - 1


def test_a_model_that_knows_fewer_places_is_asked_for_fewer_words(tmp_path: Path) -> None:
    folder = tiny_formula_model.write(tmp_path, ["E", "m"])
    tiny_formula_model.change(folder, "config.json", max_position_embeddings=9)
    asked: list[None] = []
    assert FormulaNetwork(folder, 1).read(picture(255), lambda: asked.append(None)) is None
    assert len(asked) == 8


def test_reading_stops_when_nobody_waits(tmp_path: Path) -> None:
    network = FormulaNetwork(tiny_formula_model.write(tmp_path, ["E", "m"]), 1)

    def gone() -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        network.read(picture(255), gone)


@pytest.mark.parametrize(
    ("formula", "sure"),
    [
        (Formula(r"\frac{a}{b}", 0.9), True),
        (Formula(r"\left\{ x", 0.9), True),
        (Formula("x", 0.49), False),
        (Formula("", 0.9), False),
        (Formula("{x", 0.9), False),
        (Formula("x}{", 0.9), False),
        (Formula("x$$ <b>", 0.9), False),
        (Formula(r"5\$", 0.9), True),
        (Formula("x", float("nan")), False),
    ],
)
def test_what_is_sure_enough_to_stand_for_the_picture(formula: Formula, sure: bool) -> None:
    assert formula.is_sure is sure


@pytest.mark.parametrize(
    ("decoder", "words", "text"),
    [
        (None, ["\\frac", "{", "a", "}"], "\\frac { a }"),
        ({"type": "ByteLevel"}, ["\\alpha", "\u0120=", "\u0120\u00c3\u00a9"], "\\alpha = é"),
        ({"type": "ByteLevel"}, ["\\alpha", "你"], "\\alpha你"),
        ({"type": "Metaspace"}, ["\u2581x", "\u2581+", "\u2581y"], "x + y"),
        ({"type": "BPEDecoder"}, ["x</w>", "+</w>", "yz"], "x + yz"),
        ({"type": "WordPiece"}, ["al", "##pha", "+"], "alpha +"),
    ],
)
def test_words_are_joined_as_the_tokenizer_says(
    decoder: dict[str, str] | None, words: list[str], text: str
) -> None:
    vocab = {word: number for number, word in enumerate(words)}
    added = [{"id": 9, "content": "<pad>", "special": True}]
    vocabulary = Vocabulary({"model": {"vocab": vocab}, "added_tokens": added, "decoder": decoder})
    assert vocabulary.text([9, *range(len(words)), 9]) == text
    assert vocabulary.text([0, 77]) == ""


def test_a_list_of_words_with_their_scores_is_a_vocabulary_too() -> None:
    vocabulary = Vocabulary({"model": {"vocab": [["<s>", 0.0], ["\u2581x", -1.0]]}, "decoder": None})
    assert vocabulary.text([1]) == "\u2581x"


def _without(name: str) -> object:
    return lambda folder: (folder / name).unlink()


def _other(name: str, **said: object) -> object:
    return lambda folder: tiny_formula_model.change(folder, name, **said)


def _with_past(folder: Path) -> None:
    """As an exporter names the inputs of a decoder with a cache."""
    import onnx

    model = onnx.load(folder / "decoder_model.onnx")
    past = onnx.helper.make_tensor_value_info("past_key_values.0", onnx.TensorProto.FLOAT, [1])
    model.graph.input.append(past)
    model.graph.output.append(onnx.helper.make_tensor_value_info("present", onnx.TensorProto.FLOAT, [1]))
    model.graph.node.append(onnx.helper.make_node("Identity", ["past_key_values.0"], ["present"]))
    onnx.save(model, folder / "decoder_model.onnx")


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_without("decoder_model.onnx"), "lacks decoder_model.onnx"),
        (_without("tokenizer.json"), "lacks tokenizer.json"),
        (lambda folder: (folder / "encoder_model.onnx").write_bytes(b"no model"), "holds no model"),
        (lambda folder: (folder / "config.json").write_text("[]"), "not a JSON object"),
        (_other("config.json", decoder=None), "decoder_start_token_id"),
        (_other("tokenizer.json", decoder={"type": "CTC"}), "CTC"),
        (_other("preprocessor_config.json", do_pad=True), "do_pad"),
        (_other("preprocessor_config.json", size={"height": 99, "width": 16}), "holds no model"),
        (_with_past, "past_key_values.0"),
    ],
)
async def test_a_folder_that_cannot_be_read_with_stops_the_start(
    spoil: object, said: str, tmp_path: Path
) -> None:
    folder = tiny_formula_model.write(tmp_path)
    assert callable(spoil)
    spoil(folder)
    with pytest.raises(ConfigurationError, match=said) as refused:
        await RapidOcrEngine(num_workers=1, formula_model=folder).start()
    assert "FORMULA_MODEL_PATH" in refused.value.message
    assert "encoder_model.onnx" in refused.value.remedy


@pytest.mark.parametrize(("given", "formulas"), [(True, "latex"), (False, "picture")])
def test_the_setting_names_the_folder(given: bool, formulas: str, tmp_path: Path) -> None:
    settings = load_settings(backend="rapidocr", formula_model_path=tmp_path if given else None)
    assert create_engine(settings).capabilities.formulas == formulas


def page_with_an_equation() -> Image.Image:
    """Running text with a displayed formula in its middle."""
    prose = "The energy of a body at rest is found from its mass by the relation that is printed below. " * 6
    paragraph = f"<p style='font-family:serif;font-size:11px;text-align:justify'>{prose}</p>"
    page = html_page(f"{paragraph}{'<p>&nbsp;</p>' * 3}{paragraph}{paragraph}", 500, 650)
    drawn = io.BytesIO()
    with mpl.rc_context({"mathtext.fontset": "cm"}):
        mathtext.math_to_image(
            r"$E = \sqrt{m^2 c^4 + p^2 c^2} + \frac{a}{b}$", drawn, FontProperties(size=12), dpi=144
        )
    formula = Image.open(drawn).convert("RGB")
    page.paste(formula, ((page.width - formula.width) // 2, 288))
    return page


async def read_with(model: Path | None) -> tuple[PageRead, RapidOcrEngine]:
    async with started(RapidOcrEngine(num_workers=1, formula_model=model)) as engine:
        return await read(engine, page_with_an_equation()), engine


async def test_an_equation_is_a_formula_with_a_model_and_a_picture_without(tmp_path: Path) -> None:
    without, plain = await read_with(None)
    with_model, engine = await read_with(tiny_formula_model.write(tmp_path))
    [picture_block] = [block for block in without.blocks if block.label == "equation"]
    [block] = [block for block in with_model.blocks if block.label == "equation"]
    assert picture_block.text == ""
    assert block.text == f"$${LATEX}$$"
    assert (block.boxes, block.lines) == (picture_block.boxes, picture_block.lines)
    assert (plain.capabilities.formulas, engine.capabilities.formulas) == ("picture", "latex")
    assert engine.model_digest != plain.model_digest
    assert not without.warnings
    assert not with_model.warnings


@pytest.mark.slow
@pytest.mark.parametrize(("answer", "certainty"), [(["E", "m"], 20), (tiny_formula_model.ANSWER, 0.1)])
async def test_an_answer_that_is_not_sure_keeps_the_picture_and_says_so(
    answer: list[str], certainty: float, tmp_path: Path
) -> None:
    page, _ = await read_with(tiny_formula_model.write(tmp_path, answer, certainty=certainty))
    [block] = [block for block in page.blocks if block.label == "equation"]
    assert block.text == ""
    assert [warning for warning in page.warnings if "equation" in warning]
