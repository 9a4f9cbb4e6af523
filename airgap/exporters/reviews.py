"""What people decided about doubtful places, in JSON and in a manifest."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from typing_extensions import TypedDict

from airgap.core.document import Box, Document, Review, ReviewDecision, ReviewKind
from airgap.exporters.boxes import BoxJson, box_to_list


class ReviewJson(TypedDict):
    """A place that a person accepted or corrected, who it was, and when (ISO 8601, UTC)."""

    kind: ReviewKind
    decision: ReviewDecision
    reviewed_by: str | None
    reviewed_at: str
    box: BoxJson | None


class ReviewedJson(TypedDict):
    """By whom a document was reviewed, in order, when last (null: never), and how many places were."""

    reviewed_by: list[str]
    reviewed_at: str | None
    reviewed_places: int


def reviewed(document: Document) -> ReviewedJson:
    """What there is to say of a document's reviews, JSON-ready."""
    reviews = [review for page in document.pages for review in page.reviews]
    names = [review.reviewed_by for review in reviews if review.reviewed_by is not None]
    return {
        "reviewed_by": list(dict.fromkeys(names)),
        "reviewed_at": max((review.reviewed_at for review in reviews), default=None),
        "reviewed_places": len(reviews),
    }


def reviews_to_list(reviews: Iterable[Review]) -> list[ReviewJson]:
    """A page's reviews, JSON-ready."""
    return [
        {
            "kind": review.kind,
            "decision": review.decision,
            "reviewed_by": review.reviewed_by,
            "reviewed_at": review.reviewed_at,
            "box": None if review.box is None else box_to_list(review.box),
        }
        for review in reviews
    ]


def reviews_from_list(data: Iterable[Mapping[str, Any]] | None) -> tuple[Review, ...]:
    """The inverse of `reviews_to_list`."""
    return tuple(Review(**{**one, "box": Box(*one["box"]) if one["box"] else None}) for one in data or ())
