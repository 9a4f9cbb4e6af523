"""Qwen-VL's prompts, sizes and outputs; hostile outputs too."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airgap.core.document import Box
from airgap.core.errors import InvalidOption
from airgap.models import qwen_vl
from airgap.models.qwen_vl import Geometry

PAGE = Geometry(500, 1000, 1000, 1000)


def test_prompts_are_tasks_or_the_user_s_own_words() -> None:
    assert qwen_vl.prompt(None) == qwen_vl.TASKS["markdown"]
    assert qwen_vl.prompt("table") == qwen_vl.TASKS["table"]
    assert qwen_vl.prompt("When was it signed?") == "When was it signed?"
    assert qwen_vl.prompt("<image>\n<|grounding|>OCR this image.") == "OCR this image."


@pytest.mark.parametrize(
    ("code", "name"), [("ru", "Russian"), ("zh-Hant", "Traditional Chinese"), ("xh", "xh")]
)
def test_a_language_is_named(code: str, name: str) -> None:
    words = qwen_vl.prompt("text", code)
    assert words.startswith(qwen_vl.TASKS["text"])
    assert name in words


@pytest.mark.parametrize("words", ["<|im_start|>system", "a<|image_pad|>", "x" * 8001])
def test_control_tokens_and_long_prompts_are_refused(words: str) -> None:
    with pytest.raises(InvalidOption):
        qwen_vl.prompt(words)


def test_the_chat_form() -> None:
    second = qwen_vl.chat("Read.", "2", image=True)
    assert second == (
        "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\n"
        "<|vision_start|><|image_pad|><|vision_end|>Read.<|im_end|>\n<|im_start|>assistant\n"
    )
    third = qwen_vl.chat("Read.", "3", image=False)
    assert third == "<|im_start|>user\nRead.<|im_end|>\n<|im_start|>assistant\n"


@pytest.mark.parametrize(
    ("name", "version"),
    [
        ("Qwen/Qwen2-VL-2B-Instruct", "2"),
        ("Qwen2.5-VL-7B-Instruct-AWQ", "2.5"),
        ("qwen3-vl-8b", "3"),
        ("qwen2.5vl:7b", "2.5"),
    ],
)
def test_names_of_models(name: str, version: str) -> None:
    assert qwen_vl.is_name(name)
    assert qwen_vl.version_of_name(name) == version


@pytest.mark.parametrize("name", ["deepseek-ai/DeepSeek-OCR", "Qwen2.5-7B-Instruct", "PaddleOCR-VL"])
def test_names_of_others(name: str) -> None:
    assert not qwen_vl.is_name(name)


@pytest.mark.parametrize(
    ("size", "bounds", "expected"),
    [
        ((280, 560), {}, (280, 560)),
        ((1000, 700), {}, (1008, 700)),
        ((4000, 3000), {"max_pixels": 1_003_520}, (1148, 840)),
        ((20, 20), {}, (56, 56)),
        ((30, 300), {"min_pixels": 56 * 56}, (28, 308)),
        ((500, 400), {"factor": 32}, (512, 384)),
    ],
)
def test_sizes_as_the_processor_scales_them(
    size: tuple[int, int], bounds: dict[str, int], expected: tuple[int, int]
) -> None:
    assert qwen_vl.resized(*size, **bounds) == expected


def test_positions_are_counted_as_each_version_does() -> None:
    answer = json.dumps([{"bbox_2d": [100, 200, 300, 400], "label": "title", "text": "Hello"}])
    [block] = qwen_vl.parse(answer, qwen_vl.geometry("3", 500, 1000)).blocks
    assert (block.label, block.text, block.boxes) == ("title", "Hello", (Box(50, 200, 150, 400),))
    [block] = qwen_vl.parse(answer, qwen_vl.geometry("2.5", 500, 1000, (1000, 2000))).blocks
    assert block.boxes == (Box(50, 100, 150, 200),)
    spoken = "<|object_ref_start|>Hello<|object_ref_end|><|box_start|>(100,200),(300,400)<|box_end|>"
    [block] = qwen_vl.parse(spoken, qwen_vl.geometry("2", 500, 1000)).blocks
    assert (block.text, block.boxes) == ("Hello", (Box(50, 200, 150, 400),))


def test_html_with_positions() -> None:
    answer = """```html
<html><body><h1 data-bbox="0 0 1000 50">Report &amp; more</h1>
<p data-bbox="0 60 1000 100">First<br>second</p><img data-bbox="0 100 500 200"/>
<table data-bbox="0 200 1000 400"><tr><td colspan="2" onclick="x()">a &lt; b</td></tr></table></body></html>
```"""
    blocks = qwen_vl.parse(answer, PAGE).blocks
    assert [(block.label, block.text) for block in blocks] == [
        ("title", "Report & more"),
        ("text", "First\nsecond"),
        ("image", ""),
        ("table", '<table><tr><td colspan="2">a &lt; b</td></tr></table>'),
    ]
    assert blocks[1].boxes == (Box(0, 60, 500, 100),)


def test_markdown_without_positions() -> None:
    answer = "```markdown\n# Title\n\nWords.\n\n| a | b |\n|---|---|\n| 1 | x \\| y |\n```"
    blocks = qwen_vl.parse(answer, PAGE).blocks
    assert [(block.label, block.text) for block in blocks] == [
        ("title", "# Title"),
        ("text", "Words."),
        ("table", "<table><tr><td>a</td><td>b</td></tr><tr><td>1</td><td>x | y</td></tr></table>"),
    ]


def test_an_answer_that_was_cut_off_keeps_its_whole_objects() -> None:
    answer = '[{"bbox_2d": [0, 0, 10, 10], "text": "a"}, {"bbox_2d": [0, 0, 20, 20], "te'
    assert [block.text for block in qwen_vl.parse(answer, PAGE).blocks] == ["a"]


def test_words_in_the_label_are_text() -> None:
    answer = '[{"bbox_2d": [0, 0, 10, 10], "label": "Invoice 17"}]'
    assert [(b.label, b.text) for b in qwen_vl.parse(answer, PAGE).blocks] == [("text", "Invoice 17")]


@pytest.mark.parametrize(
    "box", ["7", "[1,2,3]", '["a",2,3,4]', "[1e400,2,3,4]", "[NaN,1,2,3]", "[null,1,2,3]", "[[1],2,3,4]"]
)
def test_boxes_that_are_none(box: str) -> None:
    blocks = qwen_vl.parse(f'[{{"bbox_2d": {box}, "text": "a"}}]', PAGE).blocks
    assert [(block.text, block.boxes) for block in blocks] == [("a", ())]


@pytest.mark.parametrize("answer", ["[" * 100_000 + '"bbox', '{"bbox":' * 50_000, "<p data-bbox='" * 20_000])
def test_deep_and_long_answers_end(answer: str) -> None:
    assert qwen_vl.parse(answer, PAGE) is not None


@given(
    st.text(max_size=300)
    | st.lists(
        st.sampled_from(
            (
                '[{"bbox_2d": ',
                "[1,2,3,4]",
                "}",
                "]",
                '"text": "x"',
                "<p data-bbox='1 2 3 4'>",
                "<table>",
                "</td>",
                "<|box_start|>(1,2),(3,4)<|box_end|>",
                "```json\n",
                "| a |\n|---|\n",
                "-5",
                "1e9",
            )
        ),
        max_size=30,
    ).map("".join)
)
def test_any_answer_becomes_blocks_on_the_page(answer: str) -> None:
    parsed = qwen_vl.parse(answer, PAGE)
    assert len(parsed.spans) == len(parsed.blocks)
    for block in parsed.blocks:
        for box in block.boxes:
            assert 0 <= box.x0 <= box.x1 <= PAGE.width
            assert 0 <= box.y0 <= box.y1 <= PAGE.height
