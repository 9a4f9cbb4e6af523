"""A request in the words of Mistral's OCR, as pages, options and where the document is.

It knows no HTTP and reads nothing.
"""

from __future__ import annotations

import re
from typing import Any, Literal
from urllib.parse import parse_qs, urlsplit

from pydantic import BaseModel, ConfigDict, Field

from airgap.core.document import ReadOptions
from airgap.core.errors import BadRequest, UnsupportedOption
from airgap.dialects.file_store import FileStore, KeptFile
from airgap.dialects.page_lists import page_numbers
from airgap.http.json_bodies import Word

_OURS = re.compile(r"/v1/files/([0-9a-f]{32})/content")


class ImageUrl(BaseModel):
    url: str


class DocumentChunk(BaseModel):
    """`document_url`, `image_url` or `file_id`, whatever `type` says; a URL may be a data URL."""

    model_config = ConfigDict(json_schema_extra={"additionalProperties": True})

    type: Word | None = None
    document_url: str | None = None
    document_name: str | None = Field(default=None, max_length=1000)
    image_url: ImageUrl | str | None = None
    file_id: Word | None = None

    def source(self) -> str:
        """The URL. Raises `BadRequest` where there is none."""
        image = self.image_url.url if isinstance(self.image_url, ImageUrl) else self.image_url
        if text := self.document_url or image:
            return text
        raise BadRequest("No document was sent.", "Send `document_url`, `image_url` or `file_id`.")


class OcrRequest(BaseModel):
    """What is read of a document, and what is told of it. `model` is taken and not heeded."""

    model_config = ConfigDict(json_schema_extra={"additionalProperties": True})

    model: Word | None = None
    document: DocumentChunk
    pages: list[int] | str | None = Field(default=None, description="From 0: `[0, 2]` or `0-4,7`.")
    include_image_base64: bool | None = None
    image_limit: int | None = Field(default=None, ge=0)
    image_min_size: int | None = Field(default=None, ge=0)
    table_format: Literal["html", "markdown"] | None = None
    extract_header: bool | None = None
    extract_footer: bool | None = None
    include_blocks: bool | None = None
    confidence_scores_granularity: Word | None = None
    bbox_annotation_format: dict[str, Any] | None = None
    document_annotation_format: dict[str, Any] | None = None

    def check(self) -> None:
        """Raises `UnsupportedOption` for what this server does not make of a document."""
        if self.bbox_annotation_format or self.document_annotation_format:
            raise UnsupportedOption("Annotations are not made here.", "Leave `…_annotation_format` out.")
        if self.table_format == "markdown":
            raise UnsupportedOption(
                "Tables are not given as Markdown: their spans would be lost.",
                "Send `table_format: html`, or leave it out.",
            )
        if self.confidence_scores_granularity not in (None, "page"):
            raise UnsupportedOption("Confidence is given for whole pages here.", "Send `page`.")

    def options(self) -> ReadOptions:
        wanted = self.confidence_scores_granularity is not None
        return ReadOptions(confidence=wanted)

    def numbers(self) -> tuple[int, ...]:
        """The pages asked for, counted from 1; none for all. Raises `InvalidOption`."""
        return page_numbers(self.pages, "pages") if self.pages else ()


def kept_file(files: FileStore, caller: str, url: str) -> KeptFile | None:
    """The caller's file that a link of `FileStore.sign` leads to; None for any other URL. Blocks.

    Raises `NotFound`, and `Forbidden` for a link that has expired.
    """
    parts = urlsplit(url)
    match = _OURS.fullmatch(parts.path)
    query = parse_qs(parts.query)
    if match is None or "signature" not in query:
        return None
    file = files.get(caller, match[1])
    files.check_link(file, query.get("expires", [""])[0], query["signature"][0])
    return file
