"""What docling-serve answers: a document in its formats, or in chunks. It knows documents, and no request."""

from __future__ import annotations

from typing import Any

from fastapi import Response

from airgap.core.document import Document
from airgap.core.file_names import safe_stem
from airgap.dialects.docling_chunk_request import Chunking
from airgap.dialects.docling_chunks import chunks_of
from airgap.dialects.docling_document import docling_document, docling_markdown
from airgap.dialects.docling_request import ConvertOptions
from airgap.dialects.documents import json_answer
from airgap.exporters.html import to_html
from airgap.exporters.text import document_text
from process.work import at_length


async def converted(document: Document, name: str, options: ConvertOptions, seconds: float) -> Response:
    members = {
        "document": await at_length(_exported, document, name, options),
        **_outcome(document),
        "processing_time": round(seconds, 3),
    }
    return await json_answer(members, [document])


async def chunked(document: Document, name: str, chunking: Chunking, seconds: float) -> Response:
    chunks, whole = await at_length(_chunks, document, name, chunking)
    content = {"filename": name, "json_content": whole if chunking.with_document else None}
    members = {
        "chunks": chunks,
        "documents": [{"kind": "ExportResult", "content": content, **_outcome(document)}],
        "processing_time": round(seconds, 3),
    }
    return await json_answer(members, [document])


def _chunks(document: Document, name: str, chunking: Chunking) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    whole = docling_document(document, safe_stem(name))
    return chunks_of(whole, name, chunking.options), whole


def _exported(document: Document, name: str, options: ConvertOptions) -> dict[str, Any]:
    wanted = options.to_formats
    return {
        "filename": name,
        "md_content": docling_markdown(document, options.md_page_break_placeholder)
        if "md" in wanted
        else None,
        "json_content": docling_document(document, safe_stem(name)) if "json" in wanted else None,
        "html_content": to_html(document).decode() if "html" in wanted else None,
        "text_content": document_text(document) if "text" in wanted else None,
        "doctags_content": None,
    }


def _outcome(document: Document) -> dict[str, Any]:
    return {
        "status": "partial_success" if document.ledger.failed else "success",
        "errors": _errors(document),
        "timings": {},
    }


def _errors(document: Document) -> list[dict[str, Any]]:
    return [
        {
            "component_type": "model",
            "module_name": "airgap-ocr",
            "error_message": f"page {page.number}: {page.error.message} {page.error.remedy}",
            "page_no": page.number,
        }
        for page in document.pages
        if page.error is not None
    ]
