"""What a request to docling-serve asks for, from a form or from JSON, as options of ours.

Options of Docling's own models and backends are taken and not heeded: one engine reads here. What would make
another answer and cannot be had is refused.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar

from fastapi import Form
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from airgap.core.document import ReadOptions
from airgap.core.errors import BadRequest, InvalidOption, UnsupportedOption
from airgap.core.opening import Opening
from airgap.http.forms import checked_language
from airgap.http.json_bodies import Word

FORMATS = {"md": "markdown", "json": "json", "html": "html", "text": "text"}
"""Docling's names of what can be had, and ours."""

NO_STORAGE = (
    "The target presigned_url needs artifact storage to be configured, and this server has none. "
    "Ask for the target inbody."
)
"""Docling's client asks again for the answer itself where it reads this."""

T = TypeVar("T")

_EVERY_PAGE = 1_000_000
MAX_TEXT = 200


class ConvertOptions(BaseModel):
    """The options that change an answer."""

    model_config = ConfigDict(json_schema_extra={"additionalProperties": True})

    to_formats: list[Word] = Field(default=["md"], max_length=20)
    image_export_mode: Word = "placeholder"
    md_page_break_placeholder: str = Field(default="", max_length=MAX_TEXT)
    page_range: list[int] | None = Field(default=None, min_length=2, max_length=2)
    do_ocr: bool | None = None
    force_ocr: bool | None = None
    ocr_lang: list[Word] | None = Field(default=None, max_length=20)

    @field_validator("to_formats", "ocr_lang", mode="before")
    @classmethod
    def _one_or_many(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value

    def check(self) -> None:
        """Raises `UnsupportedOption`."""
        unknown = [name for name in self.to_formats if name not in FORMATS]
        if unknown or not self.to_formats:
            named = unknown[0][:40] if unknown else "no format"
            raise UnsupportedOption(f"{named!r} cannot be had here.", f"Choose among {', '.join(FORMATS)}.")
        if self.image_export_mode != "placeholder":
            raise UnsupportedOption(
                f"`image_export_mode` {self.image_export_mode[:40]!r} cannot be had here.",
                "Send `placeholder`; POST /pdf/ocr answers with the figures cut out.",
            )

    def reading(self) -> ReadOptions:
        """Raises `InvalidOption` for a language that is none."""
        return ReadOptions(language=checked_language("+".join(self.ocr_lang) if self.ocr_lang else None))

    def opening(self) -> Opening:
        """Where OCR is not to be forced, a page's own text is taken if it is sound."""
        own_text = self.do_ocr is False or self.force_ocr is False
        first, last = self.page_range or (1, _EVERY_PAGE)
        return Opening(
            page_from=first,
            page_to=last if last < _EVERY_PAGE else None,
            text_layer="auto" if own_text else "ignore",
        )


def form_options(
    to_formats: Annotated[list[str] | None, Form(description="md, json, html, text.")] = None,
    image_export_mode: Annotated[str, Form(max_length=40)] = "placeholder",
    md_page_break_placeholder: Annotated[str, Form(max_length=MAX_TEXT)] = "",
    page_range: Annotated[list[int] | None, Form(min_length=2, max_length=2)] = None,
    do_ocr: Annotated[bool | None, Form()] = None,
    force_ocr: Annotated[bool | None, Form()] = None,
    ocr_lang: Annotated[list[str] | None, Form(max_length=20)] = None,
) -> ConvertOptions:
    """Raises `InvalidOption`."""
    try:
        return ConvertOptions(
            to_formats=[name for field in to_formats or ["md"] for name in field.split(",")],
            image_export_mode=image_export_mode,
            md_page_break_placeholder=md_page_break_placeholder,
            page_range=page_range,
            do_ocr=do_ocr,
            force_ocr=force_ocr,
            ocr_lang=ocr_lang,
        )
    except ValidationError as error:
        problem = error.errors()[0]
        raise InvalidOption(f"`{'.'.join(map(str, problem['loc']))}`: {problem['msg']}") from error


class SourceItem(BaseModel):
    """A file as base64, or a URL where the site fetches them."""

    model_config = ConfigDict(json_schema_extra={"additionalProperties": True})

    kind: Word | None = None
    base64_string: str | None = None
    filename: str | None = Field(default=None, max_length=1000)
    url: str | None = None
    headers: dict[str, Any] | None = None

    def text(self) -> str:
        """Base64 or a URL. Raises `BadRequest`, `UnsupportedOption`."""
        if self.headers:
            raise UnsupportedOption("Headers are not sent along with a URL.", "Leave `headers` out.")
        if found := self.base64_string or self.url:
            return found
        raise BadRequest("A source holds no document.", "Send `base64_string` or `url`.")


class Target(BaseModel):
    """Where the answer goes."""

    kind: Word = "inbody"


class ConvertRequest(BaseModel):
    """`sources` with one document; `file_sources` and `http_sources` are older names."""

    model_config = ConfigDict(json_schema_extra={"additionalProperties": True})

    options: ConvertOptions = Field(default_factory=ConvertOptions)
    sources: list[SourceItem] = []
    file_sources: list[SourceItem] = []
    http_sources: list[SourceItem] = []
    target: Target = Field(default_factory=Target)

    def source(self) -> SourceItem:
        return one_of([*self.sources, *self.file_sources, *self.http_sources])


def one_of(documents: list[T]) -> T:
    """The one document of a request. Raises `BadRequest` for none, and for several."""
    if len(documents) == 1:
        return documents[0]
    raise BadRequest(
        f"{len(documents)} documents were sent.", "Send one at once; POST /jobs takes many together."
    )


def check_target(kind: Literal["inbody"] | str) -> None:
    """Raises `UnsupportedOption` for any target but the answer itself."""
    if kind == "presigned_url":
        raise UnsupportedOption(NO_STORAGE, "Send `inbody`.")
    if kind != "inbody":
        raise UnsupportedOption(f"The target {kind[:40]!r} cannot be had here.", "Send `inbody`.")
