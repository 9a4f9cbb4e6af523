"""Clients of other document services: Mistral's, Azure's, Tika's, Docling's, Open WebUI's; the Truss."""

from __future__ import annotations

import importlib
import json
import sys
import types
from pathlib import Path
from typing import Any

import pytest

from tests.clients.conftest import KEY, Served, sample
from tests.conftest import ROOT


def test_mistral(served: Served) -> None:
    from mistralai.client import Mistral

    client = Mistral(api_key=KEY, server_url=served.url)
    with sample("booklet.pdf").open("rb") as file:
        kept = client.files.upload(file={"file_name": "b.pdf", "content": file}, purpose="ocr")
    link = client.files.get_signed_url(file_id=kept.id)
    for document in (
        {"type": "document_url", "document_url": link.url},
        {"type": "file", "file_id": kept.id},
    ):
        read = client.ocr.process(
            model="mistral-ocr-latest", document=document, include_image_base64=True, include_blocks=True
        )
        assert [page.markdown for page in read.pages] == served.pages()
        assert sum(len(page.images) for page in read.pages) == len(served.booklet["images"])
        assert read.pages[0].blocks
    assert client.files.retrieve(file_id=kept.id).filename == "b.pdf"
    assert client.files.delete(file_id=kept.id).deleted


def test_azure_as_paperless_ngx_calls_it(served: Served) -> None:
    from azure.ai.documentintelligence import DocumentIntelligenceClient
    from azure.ai.documentintelligence.models import (
        AnalyzeDocumentRequest,
        AnalyzeOutputOption,
        DocumentContentFormat,
    )
    from azure.core.credentials import AzureKeyCredential

    client = DocumentIntelligenceClient(endpoint=served.url, credential=AzureKeyCredential(KEY))
    poller = client.begin_analyze_document(
        model_id="prebuilt-read",
        body=AnalyzeDocumentRequest(bytes_source=sample("booklet.pdf").read_bytes()),
        output_content_format=DocumentContentFormat.TEXT,
        output=[AnalyzeOutputOption.PDF],
        content_type="application/json",
    )
    poller.wait()
    operation = poller.details["operation_id"]
    result = poller.result()
    assert result.content == served.booklet["text"]
    (first, *_) = result.pages
    assert first.words
    assert all(word.confidence is not None for word in first.words)
    written = b"".join(client.get_analyze_result_pdf(model_id="prebuilt-read", result_id=operation))
    assert written.startswith(b"%PDF-")
    assert client.delete_analyze_result(model_id="prebuilt-read", result_id=operation) is None
    client.close()


def test_tika_python(served: Served) -> None:
    from tika import parser

    found = parser.from_file(str(sample("booklet.pdf")), serverEndpoint=served.url)
    assert (found["status"], found["content"]) == (200, served.booklet["text"])
    assert found["metadata"]["xmpTPg:NPages"] == "3"
    buffer = parser.from_buffer(sample("english.png").read_bytes(), serverEndpoint=served.url)
    assert buffer["content"] == served.english["text"]
    text = parser.from_file(str(sample("english.png")), serverEndpoint=served.url, service="text")
    assert text["content"] == served.english["text"]
    markup = parser.from_file(str(sample("english.png")), serverEndpoint=served.url, xmlContent=True)
    assert "<html" in markup["content"]


def test_docling_client(served: Served) -> None:
    from docling.service_client import DoclingServiceClient

    with DoclingServiceClient(url=served.url) as client:
        assert client.health().status
        result = client.convert(str(sample("booklet.pdf")))
    assert result.status.value == "success"
    own = served.booklet["pages"]
    assert sorted(result.document.pages) == [1, 2, 3]
    labels = [block["label"] for page in own for block in page["blocks"]]
    assert len(result.document.tables) == labels.count("table")
    assert len(result.document.pictures) == len(served.booklet["images"])
    markdown = result.document.export_to_markdown()
    for page in own:
        for block in page["blocks"]:
            if block["label"] == "text":
                assert block["text"][:30] in markdown


def test_docling_core_reads_the_document(served: Served) -> None:
    import httpx
    from docling_core.types.doc.document import DoclingDocument

    files = {"files": ("table.png", sample("table.png").read_bytes())}
    answer = httpx.post(
        f"{served.url}/v1/convert/file",
        files=files,
        data={"to_formats": ["json"]},
        timeout=120,
        trust_env=False,
    )
    document = DoclingDocument.model_validate(answer.json()["document"]["json_content"])
    (table,) = document.tables
    cells = [cell.text for cell in table.data.table_cells]
    assert len(cells) == len([cell for row in table.data.grid for cell in row]) > 6
    assert cells[0] in document.export_to_markdown()
    assert document.export_to_html()


def test_docling_client_asks_for_chunks(served: Served) -> None:
    """They are docling-core's own, which cuts the document that the server makes of the same file."""
    from docling.service_client import ChunkerKind, DoclingServiceClient
    from docling_core.transforms.chunker import HierarchicalChunker

    with DoclingServiceClient(url=served.url) as client:
        answer = client.chunk(str(sample("booklet.pdf")), ChunkerKind.HIERARCHICAL)
        document = client.convert(str(sample("booklet.pdf"))).document
    chunker = HierarchicalChunker()
    theirs = list(chunker.chunk(document))
    assert len(answer.chunks) == len(theirs) > 10
    for found, expected in zip(answer.chunks, theirs, strict=True):
        assert found.text.split() == chunker.contextualize(expected).split()
        assert found.headings == expected.meta.headings
        assert found.doc_items == [item.self_ref for item in expected.meta.doc_items]
        pages = {place.page_no for item in expected.meta.doc_items for place in item.prov}
        assert found.page_numbers == sorted(pages)


# --- Open WebUI ----------------------------------------------------------------------------------

SETTINGS: dict[str, Any] = {
    "rag.external_document_loader_url": "{url}",
    "rag.external_document_loader_api_key": KEY,
    "rag.external_document_loader_headers": None,
    "rag.tika_server_url": "{url}",
    "rag.tika_server_version": "3",
    "rag.docling_server_url": "{url}",
    "rag.docling_api_key": KEY,
    "rag.docling_params": {},
    "rag.document_intelligence_endpoint": "{url}",
    "rag.document_intelligence_key": KEY,
    "rag.document_intelligence_model": "prebuilt-layout",
    "rag.mineru_api_mode": "local",
    "rag.mineru_api_url": "{url}",
    "rag.mineru_api_key": "",
    "rag.mineru_api_timeout": 60,
    "rag.mineru_params": {},
    "rag.mineru_page_ranges": "",
    "rag.mineru_file_extensions": ["pdf"],
    "rag.mistral_ocr_api_base_url": "{url}/v1",
    "rag.mistral_ocr_api_key": KEY,
    "rag.paddleocr_vl_base_url": "{url}",
    "rag.paddleocr_vl_token": KEY,
    "rag.file.max_size": None,
    "rag.pdf_extract_images": "",
    "rag.datalab_marker_api_key": KEY,
    "rag.datalab_marker_api_base_url": "{url}/marker/upload",
    "rag.datalab_marker_additional_config": "",
    "rag.datalab_marker_use_llm": False,
    "rag.datalab_marker_skip_cache": False,
    "rag.datalab_marker_force_ocr": False,
    "rag.datalab_marker_paginate": False,
    "rag.datalab_marker_strip_existing_ocr": False,
    "rag.datalab_marker_disable_image_extraction": False,
    "rag.datalab_marker_format_lines": False,
    "rag.datalab_marker_output_format": "markdown",
}


@pytest.fixture(scope="module")
def loader(open_webui: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Open WebUI's `Loader`; around its files stands only what they ask of the rest of Open WebUI."""

    def module(name: str, **members: Any) -> types.ModuleType:
        made = types.ModuleType(name)
        made.__dict__.update(members)
        sys.modules[name] = made
        return made

    async def no_groups(*_: object, **__: object) -> None:
        return None

    class Codec:
        loads = staticmethod(json.loads)
        dumps = staticmethod(json.dumps)
        JSONDecodeError = json.JSONDecodeError

    package = open_webui / "open_webui"
    module("open_webui").__path__ = [str(package)]
    module(
        "open_webui.env",
        GLOBAL_LOG_LEVEL="ERROR",
        ENABLE_FORWARD_USER_INFO_HEADERS=False,
        AIOHTTP_CLIENT_SESSION_SSL=True,
        USE_SLIM=False,
        MINERU_MAX_MARKDOWN_BYTES=None,
        REQUESTS_VERIFY=True,
    )
    module("open_webui.config", UPLOAD_DIR=str(tmp_path_factory.mktemp("uploads")))
    module("open_webui.utils").__path__ = [str(package / "utils")]
    module(
        "open_webui.utils.headers",
        include_user_info_headers=lambda headers, user: headers,
        parse_custom_headers=lambda *_, **__: {},
        get_user_groups_for_custom_headers=no_groups,
    )
    module("open_webui.utils.json_codec", JSONCodec=Codec)
    module("open_webui.retrieval").__path__ = [str(package / "retrieval")]
    module("open_webui.retrieval.loaders").__path__ = [str(package / "retrieval" / "loaders")]
    module("open_webui.retrieval.loaders.pdf", PDFLoader=None)
    return importlib.import_module("open_webui.retrieval.loaders.main").Loader


PAGED, WHOLE = True, False


@pytest.mark.parametrize(
    ("engine", "paged", "settings"),
    [
        ("external", PAGED, {}),
        ("tika", WHOLE, {}),
        ("tika", WHOLE, {"rag.tika_server_version": "4"}),
        ("docling", PAGED, {}),
        ("document_intelligence", WHOLE, {}),
        ("mineru", WHOLE, {}),
        ("mistral_ocr", PAGED, {"rag.mistral_ocr_use_base64": True}),
        ("mistral_ocr", PAGED, {"rag.mistral_ocr_use_base64": False}),
        ("paddleocr_vl", PAGED, {}),
        ("datalab_marker", WHOLE, {"rag.datalab_marker_force_ocr": True}),
    ],
)
def test_open_webui(loader: Any, served: Served, engine: str, paged: bool, settings: dict[str, Any]) -> None:
    filled = {k: v.format(url=served.url) if isinstance(v, str) else v for k, v in SETTINGS.items()}
    config = {**filled, **settings, "rag.content_extraction_engine": engine}
    documents = loader(config).load("booklet.pdf", "application/pdf", str(sample("booklet.pdf")))
    texts = [document.page_content for document in documents]
    assert not [text for text in texts if text.startswith("Error")]
    assert len(texts) == (3 if paged else 1)
    assert words_of("\n".join(texts)) == words_of("\n".join(served.pages()))


def words_of(text: str) -> list[str]:
    """Words alone, without marks of Markdown and of pages, and without what stands for figures."""
    import re

    plain = re.sub(r"<!--.*?-->|!\[[^\]]*\]\([^)]*\)|<[^>]+>|^---$", " ", text, flags=re.MULTILINE)
    return re.findall(r"\w+", plain)


# --- the Truss -----------------------------------------------------------------------------------


def test_truss_takes_the_folder() -> None:
    import truss

    truss.load(str(ROOT / "deploy" / "truss")).validate()
