"""Docling's own pipeline with its presets for DeepSeek-OCR, which speak OpenAI's protocol.

Of a preset only the address is set, as its authors document it. Prompt, parameters and the way in which an
answer becomes a `DoclingDocument` stay Docling's.
"""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.clients.conftest import Served, sample


def older_preset(url: str) -> Any:
    """`DEEPSEEKOCR_OLLAMA`, which skips special tokens."""
    from docling.datamodel.vlm_model_specs import DEEPSEEKOCR_OLLAMA

    return DEEPSEEKOCR_OLLAMA.model_copy(update={"url": url})


def newer_preset(url: str) -> Any:
    """`deepseek_ocr`, which leaves special tokens to the server."""
    from docling.datamodel.pipeline_options import VlmConvertOptions
    from docling.datamodel.vlm_engine_options import ApiVlmEngineOptions, VlmEngineType

    engine = ApiVlmEngineOptions(engine_type=VlmEngineType.API_OLLAMA, url=url)
    return VlmConvertOptions.from_preset("deepseek_ocr", engine_options=engine)


@pytest.fixture(params=["DEEPSEEKOCR_OLLAMA", "deepseek_ocr"])
def converter(served: Served, request: pytest.FixtureRequest) -> Any:
    from docling.datamodel.base_models import InputFormat
    from docling.datamodel.pipeline_options import VlmPipelineOptions
    from docling.document_converter import DocumentConverter, ImageFormatOption, PdfFormatOption
    from docling.pipeline.vlm_pipeline import VlmPipeline

    url = f"{served.url}/v1/chat/completions"
    preset = older_preset if request.param == "DEEPSEEKOCR_OLLAMA" else newer_preset
    options = VlmPipelineOptions(enable_remote_services=True, vlm_options=preset(url))
    how = {"pipeline_cls": VlmPipeline, "pipeline_options": options}
    formats = {InputFormat.IMAGE: ImageFormatOption(**how), InputFormat.PDF: PdfFormatOption(**how)}
    return DocumentConverter(format_options=formats)


def words(text: str) -> list[str]:
    return re.findall(r"\w+", text)


def test_a_pdf(served: Served, converter: Any) -> None:
    result = converter.convert(sample("booklet.pdf"))
    assert result.status.value == "success"
    document = result.document
    assert sorted(document.pages) == [1, 2, 3]
    own = [block for page in served.booklet["pages"] for block in page["blocks"]]
    assert len(document.tables) == len([block for block in own if block["label"] == "table"])
    assert len(document.pictures) == len(served.booklet["images"])
    found, expected = words(document.export_to_text()), words(served.booklet["text"])
    assert len(set(expected) & set(found)) > 0.95 * len(set(expected))
    assert 0.9 * len(expected) < len(found) < 1.1 * len(expected)


def test_a_table_and_where_it_lies(served: Served, converter: Any) -> None:
    document = converter.convert(sample("table.png")).document
    (page,), (table,), (own,) = document.pages.values(), document.tables, served.table["pages"]
    (block,) = [block for block in own["blocks"] if block["label"] == "table"]
    cells = [cell.text for cell in table.data.table_cells]
    assert words(" ".join(cells)) == words(re.sub(r"<[^>]+>", " ", block["text"]))
    assert (table.data.num_rows, table.data.num_cols) == (9, 5)
    left, top, right, bottom = block["boxes"][0]
    found = table.prov[0].bbox
    assert (found.l, found.r) == pytest.approx(scaled(left, right, page.size.width / own["width"]), rel=0.02)
    assert (found.t, found.b) == pytest.approx(
        scaled(top, bottom, page.size.height / own["height"]), rel=0.02
    )


def scaled(start: float, end: float, factor: float) -> tuple[float, float]:
    return start * factor, end * factor


def test_a_full_page_is_not_cut(served: Served, converter: Any) -> None:
    result = converter.convert(sample("english.png"))
    assert (result.status.value, result.errors) == ("success", [])
    found, expected = set(words(result.document.export_to_text())), set(words(served.english["text"]))
    assert len(expected & found) > 0.95 * len(expected)
