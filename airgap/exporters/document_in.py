"""A document as somebody sends it: the JSON of `/pdf/ocr` or of `output=json`, checked."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import BaseModel, Field, ValidationError, field_serializer, field_validator, model_validator

from airgap.core.document import Document, Furniture, ReviewDecision, ReviewKind
from airgap.core.errors import InvalidOption
from airgap.exporters.json_export import document_from_dict

MAX_PIXELS_PER_SIDE = 1_000_000

Coordinate = Annotated[float, Field(ge=0, le=MAX_PIXELS_PER_SIDE)]
Confidence = Annotated[float | None, Field(ge=0, le=1)]
BoxIn = tuple[Coordinate, Coordinate, Coordinate, Coordinate]


class LineIn(BaseModel):
    text: str
    box: BoxIn
    confidence: Confidence = None


class BlockIn(BaseModel):
    label: str = Field(max_length=100)
    text: str
    boxes: list[BoxIn] = []
    confidence: Confidence = None
    lines: list[LineIn] = []
    engine: str | None = Field(None, max_length=200)


Count = Annotated[int, Field(ge=0, le=10**12)]


class UsageIn(BaseModel):
    prompt_tokens: Count = 0
    completion_tokens: Count = 0
    image_tokens: Count = 0
    seconds: float = Field(0.0, ge=0, le=10**9)


class PageErrorIn(BaseModel):
    code: str
    message: str
    remedy: str


class DisagreementIn(BaseModel):
    kind: Literal["number", "name"]
    reading: str
    other_reading: str
    engine: str = Field(max_length=200)
    box: BoxIn | None = None
    other_box: BoxIn | None = None


class ReviewIn(BaseModel):
    kind: ReviewKind
    decision: ReviewDecision
    reviewed_by: str | None = Field(None, max_length=200)
    reviewed_at: datetime
    box: BoxIn | None = None

    @field_validator("reviewed_at")
    @classmethod
    def _in_utc(cls, value: datetime) -> datetime:
        try:
            return value.astimezone(UTC)
        except (OverflowError, ValueError) as error:
            raise ValueError("the time is none that a calendar has in UTC") from error

    @field_serializer("reviewed_at")
    def _in_words(self, value: datetime) -> str:
        return value.isoformat(timespec="seconds")


class PageIn(BaseModel):
    """A page as `airgap.exporters.json_export` writes it; boxes are checked to lie on it."""

    number: int = Field(ge=1, le=1_000_000)
    width: int = Field(ge=0, le=MAX_PIXELS_PER_SIDE)
    height: int = Field(ge=0, le=MAX_PIXELS_PER_SIDE)
    width_pt: float | None = Field(None, ge=0.001, le=MAX_PIXELS_PER_SIDE)
    height_pt: float | None = Field(None, ge=0.001, le=MAX_PIXELS_PER_SIDE)
    status: Literal["ok", "degraded", "failed"] = "ok"
    finish_reason: str = "stop"
    blocks: list[BlockIn] = Field([], max_length=20_000)
    raw: str = ""
    usage: UsageIn = UsageIn()
    warnings: list[str] = []
    error: PageErrorIn | None = None
    engine: str | None = Field(None, max_length=200)
    model: str | None = Field(None, max_length=200)
    disagreements: list[DisagreementIn] | None = Field(None, max_length=20_000)
    unread: list[BoxIn] = Field([], max_length=20_000)
    coverage: Confidence = None
    furniture: Furniture = "keep"
    reviews: list[ReviewIn] = Field([], max_length=20_000)

    @model_validator(mode="after")
    def _boxes_lie_on_the_page(self) -> PageIn:
        boxes = [box for block in self.blocks for box in (*block.boxes, *(line.box for line in block.lines))]
        for x0, y0, x1, y1 in boxes:
            if not (x0 <= x1 <= self.width and y0 <= y1 <= self.height):
                raise ValueError(f"the box {[x0, y0, x1, y1]} does not lie on page {self.number}")
        return self


class DocumentIn(BaseModel):
    """The JSON of a document, as `output=json` gives it."""

    pages: list[PageIn] = Field(min_length=1)
    engine: str = Field("", max_length=200)
    model: str = Field("", max_length=200)
    mode: str | None = Field(None, max_length=50)
    filename: str | None = Field(None, max_length=1000)

    @model_validator(mode="after")
    def _pages_are_in_order(self) -> DocumentIn:
        numbers = [page.number for page in self.pages]
        if numbers != sorted(set(numbers)):
            raise ValueError("the pages are not in order, each once")
        return self


def parse_document(data: bytes, login: str | None = None) -> Document:
    """The document that this JSON is; who reviewed it is `login`, where there is one.

    Raises `InvalidOption` naming what is wrong with it.
    """
    try:
        checked = DocumentIn.model_validate_json(data)
    except ValidationError as error:
        problems = "; ".join(
            f"`{'.'.join(map(str, e['loc'])) or 'document'}`: {e['msg']}" for e in error.errors()[:5]
        )
        raise InvalidOption(f"The document is not one: {problems}.") from error
    for review in (review for page in checked.pages for review in page.reviews):
        review.reviewed_by = login or review.reviewed_by
    return document_from_dict(checked.model_dump())
