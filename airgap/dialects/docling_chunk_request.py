"""What a request for chunks asks for, from a form or from JSON: how to read, and how to cut.

In a form the names of docling-serve's options have a prefix, `convert_` or `chunking_`. Files are not written
in formats for it, so that options of formats have no effect.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Form
from pydantic import BaseModel, ConfigDict, Field

from airgap.dialects.docling_chunks import MAX_PLACEHOLDER, ChunkOptions
from airgap.dialects.docling_request import ConvertOptions, ConvertRequest, form_options

_PLACEHOLDER: str = ChunkOptions.model_fields["image_placeholder"].default


class Chunking(BaseModel):
    """How a document is cut, and whether the document comes with its chunks."""

    options: ChunkOptions = Field(default_factory=ChunkOptions)
    with_document: bool = False


class ChunkRequest(ConvertRequest):
    """`sources` with one document, as for a conversion."""

    model_config = ConfigDict(json_schema_extra={"additionalProperties": True})

    convert_options: ConvertOptions = Field(default_factory=ConvertOptions)
    chunking_options: ChunkOptions = Field(default_factory=ChunkOptions)
    include_converted_doc: bool = False

    def reading(self) -> ConvertOptions:
        return read_for_chunks(self.convert_options)

    def chunking(self) -> Chunking:
        return Chunking(options=self.chunking_options, with_document=self.include_converted_doc)


def read_for_chunks(options: ConvertOptions) -> ConvertOptions:
    """The same options, with the one format that chunks are cut from."""
    return options.model_copy(update={"to_formats": ["json"], "image_export_mode": "placeholder"})


def form_reading(
    convert_page_range: Annotated[list[int] | None, Form(min_length=2, max_length=2)] = None,
    convert_do_ocr: Annotated[bool | None, Form()] = None,
    convert_force_ocr: Annotated[bool | None, Form()] = None,
    convert_ocr_lang: Annotated[list[str] | None, Form(max_length=20)] = None,
) -> ConvertOptions:
    """Raises `InvalidOption`."""
    asked: dict[str, Any] = {
        "page_range": convert_page_range,
        "do_ocr": convert_do_ocr,
        "force_ocr": convert_force_ocr,
        "ocr_lang": convert_ocr_lang,
    }
    return read_for_chunks(form_options(**asked))


def form_chunking(
    chunking_use_markdown_tables: Annotated[bool, Form()] = False,
    chunking_use_markdown_images: Annotated[bool, Form()] = False,
    chunking_image_placeholder: Annotated[str, Form(max_length=MAX_PLACEHOLDER)] = _PLACEHOLDER,
    chunking_include_raw_text: Annotated[bool, Form()] = False,
    include_converted_doc: Annotated[bool, Form()] = False,
) -> Chunking:
    options = ChunkOptions(
        use_markdown_tables=chunking_use_markdown_tables,
        use_markdown_images=chunking_use_markdown_images,
        image_placeholder=chunking_image_placeholder,
        include_raw_text=chunking_include_raw_text,
    )
    return Chunking(options=options, with_document=include_converted_doc)
