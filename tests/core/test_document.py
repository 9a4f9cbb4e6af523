"""The nouns: their arithmetic, their defaults, and that no page goes unaccounted for."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, asdict, fields

import pytest

from airgap.core.document import (
    FIGURE_LABELS,
    MODES,
    SHAPE_KINDS,
    AnswerShape,
    Block,
    Box,
    Disagreement,
    Document,
    Ledger,
    Line,
    Page,
    ReadOptions,
    Review,
    Usage,
)

BOX = Box(1.0, 2.0, 4.0, 8.0)


def test_a_box_has_width_height_and_area() -> None:
    assert (BOX.width, BOX.height, BOX.area) == (3.0, 6.0, 18.0)


def test_a_union_is_the_smallest_box_around_both() -> None:
    other = Box(0.0, 3.0, 3.0, 9.0)
    assert BOX.union(other) == other.union(BOX) == Box(0.0, 2.0, 4.0, 9.0)
    assert BOX.union(Box(2.0, 3.0, 3.0, 4.0)) == BOX


@pytest.mark.parametrize(
    ("box", "pixels"),
    [
        (Box(1.9, 2.9, 4.4, 8.6), (1, 2, 4, 9)),
        (Box(3.2, 5.2, 3.3, 5.3), (3, 5, 4, 6)),
        (Box(0.0, 0.0, 0.0, 0.0), (0, 0, 1, 1)),
        (Box(2.0, 7.0, 4.0, 9.0), (2, 7, 4, 9)),
    ],
)
def test_whole_pixels_hold_at_least_one(box: Box, pixels: tuple[int, int, int, int]) -> None:
    assert box.rounded() == pixels


def test_what_was_read_cannot_be_changed_behind_ones_back() -> None:
    with pytest.raises(FrozenInstanceError):
        BOX.x0 = 3.0  # type: ignore[misc]


def test_usage_adds_up_field_by_field() -> None:
    total = Usage(1, 20, 300, 0.5) + Usage(4, 50, 600, 0.25)
    assert total == Usage(5, 70, 900, 0.75)
    assert Usage() == Usage(0, 0, 0, 0.0)


def test_the_confidence_of_a_page_weighs_text_by_its_length() -> None:
    blocks = (
        Block("text", "abc", confidence=0.9),
        Block("image", "", confidence=0.1),
        Block("text", "not known, and long"),
    )
    assert Page(1, 10, 10, blocks=blocks).confidence == pytest.approx((0.9 * 3 + 0.1 * 1) / 4)
    assert Page(1, 10, 10, blocks=blocks[2:]).confidence is None
    assert Page(1, 10, 10).confidence is None


def test_a_confidence_of_nothing_is_a_confidence() -> None:
    assert Page(1, 10, 10, blocks=(Block("text", "x", confidence=0.0),)).confidence == 0.0


def test_the_ledger_counts_every_page_once() -> None:
    pages = [Page(n, 1, 1, status) for n, status in enumerate(("ok", "degraded", "ok", "failed", "ok"))]  # type: ignore[arg-type]
    assert Ledger.of(pages) == Ledger(expected=5, ok=3, degraded=1, failed=1)
    assert Ledger.of([]) == Ledger(0, 0, 0, 0)
    assert Ledger(1, 1, 0, 0).left_out == 0
    assert Ledger.of(pages, 7) == Ledger(5, 3, 1, 1, left_out=7)
    assert Document(tuple(pages), "e", "m").ledger == Ledger.of(pages)
    assert Document(tuple(pages), "e", "m", left_out=4).ledger == Ledger.of(pages, 4)


@pytest.mark.parametrize("counts", [(3, 1, 1, 0), (2, 1, 1, 1), (1, 0, 0, 0), (0, 1, -1, 1)])
def test_a_ledger_that_does_not_add_up_is_none(counts: tuple[int, int, int, int]) -> None:
    with pytest.raises(ValueError, match="unaccounted"):
        Ledger(*counts)


@pytest.mark.parametrize("counts", [(3, 1, 1, 1), (2, 2, 0, 0), (1, 0, 1, 0), (4, 0, 0, 4)])
def test_a_ledger_that_adds_up(counts: tuple[int, int, int, int]) -> None:
    assert Ledger(*counts).expected == counts[0]


def test_a_document_sums_what_its_pages_cost() -> None:
    pages = tuple(Page(n, 1, 1, usage=Usage(n, 2, 3, 0.5)) for n in (1, 2))
    assert Document(pages, "e", "m").usage == Usage(3, 4, 6, 1.0)
    assert Document((), "e", "m").usage == Usage()


def test_warnings_name_the_page_where_there_are_several() -> None:
    first, second = Page(3, 1, 1, warnings=("a", "b")), Page(5, 1, 1, warnings=("c",))
    assert Document((first,), "e", "m", notes=("n",)).warnings == ("n", "a", "b")
    assert Document((first, second), "e", "m").warnings == ("page 3: a", "page 3: b", "page 5: c")
    assert Document((first, second), "e", "m", notes=("n",)).warnings[0] == "n"


def test_the_labels_of_pictures_and_the_modes_are_a_contract() -> None:
    assert {"image", "figure", "picture", "chart", "photo", "seal", "stamp"} == FIGURE_LABELS
    assert MODES == ("tiny", "small", "base", "large", "gundam")
    assert SHAPE_KINDS == ("json", "json_object", "regex", "choice", "grammar")
    assert AnswerShape("json_object").text == ""


def defaults(made: object) -> dict[str, object]:
    return {name: value for name, value in asdict(made).items() if value not in (None, ())}  # type: ignore[call-overload]


def test_what_nobody_said_is_empty() -> None:
    assert defaults(Page(7, 20, 30)) == {
        "number": 7,
        "width": 20,
        "height": 30,
        "status": "ok",
        "raw": "",
        "finish_reason": "stop",
        "usage": asdict(Usage()),
        "furniture": "keep",
    }
    assert defaults(Block("text", "x")) == {"label": "text", "text": "x"}
    assert defaults(Line("x", BOX)) == {"text": "x", "box": asdict(BOX)}
    assert defaults(Document((), "e", "m")) == {"engine": "e", "model": "m", "left_out": 0}
    assert defaults(Disagreement("number", "1", "7", "e")).keys() == {
        "kind",
        "reading",
        "other_reading",
        "engine",
    }
    assert Review("doubt", "accepted", None, "2026-01-01T00:00:00Z").box is None


def test_a_page_is_read_as_the_engine_likes_it_unless_asked_otherwise() -> None:
    assert defaults(ReadOptions()) == {
        "temperature": 0.0,
        "crosscheck": False,
        "confidence": False,
        "live": False,
        "fill": "auto",
        "furniture": "keep",
    }
    unset = {field.name for field in fields(ReadOptions)} - defaults(ReadOptions()).keys()
    assert unset == {"prompt", "mode", "language", "max_tokens", "ngram_size", "window_size", "shape"}
