"""Headers, footers and page numbers that only several pages together show."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from airgap.core.document import Block, Box, Page
from airgap.layout.running_heads import with_running_heads
from airgap.layout.whole_document import as_one

WIDTH, HEIGHT = 1000, 1000


def block(text: str, y0: float, label: str = "text") -> Block:
    return Block(label, text, (Box(100, y0, 900, y0 + 20),))


def pages(count: int, *edges: Callable[[int], Block]) -> list[Page]:
    return [
        Page(n, WIDTH, HEIGHT, blocks=(*(edge(n) for edge in edges), block(f"Text of page {n * n}.", 400)))
        for n in range(1, count + 1)
    ]


def labels(found: tuple[Page, ...], index: int = 0) -> list[str]:
    return [page.blocks[index].label for page in found]


def test_what_is_said_at_the_same_place_of_each_page_is_a_header_or_a_footer() -> None:
    made = pages(3, lambda n: block("Annual report 2025", 30), lambda n: block(f"Sheet {n} / A", 960))
    found = with_running_heads(made)
    assert labels(found) == ["header"] * 3
    assert labels(found, 1) == ["footer"] * 3
    assert labels(found, 2) == ["text"] * 3
    assert as_one(as_one(made)) == as_one(made)


def test_numbers_that_count_with_the_pages_are_page_numbers() -> None:
    found = with_running_heads(pages(4, lambda n: block(f"- {n + 16} -", 960)))
    assert labels(found) == ["page_number"] * 4


def test_a_year_on_every_page_is_no_page_number() -> None:
    made = pages(3, lambda n: block("2024", 30, "page_number"), lambda n: block(str(n), 960, "page_number"))
    found = with_running_heads(made)
    assert labels(found) == ["header"] * 3
    assert labels(found, 1) == ["page_number"] * 3


@pytest.mark.parametrize(
    "edge",
    [
        lambda n: block("Two pages are not enough" if n < 3 else f"Else {'x' * n}", 30),
        lambda n: block("In the middle of the page", 300),
        lambda n: block("At another place", 10 + 30 * n),
        lambda n: block("# A heading is the text's", 30, "title"),
        lambda n: block("w" * 151, 30),
    ],
)
def test_what_may_be_text_is_left_in_it(edge: Callable[[int], Block]) -> None:
    made = pages(3, edge)
    assert with_running_heads(made) == tuple(made)


def test_left_and_right_pages_may_say_different_things() -> None:
    found = with_running_heads(pages(6, lambda n: block("The book" if n % 2 else "The chapter", 30)))
    assert labels(found) == ["header"] * 6


def test_of_a_long_document_a_share_must_say_it() -> None:
    made = pages(40, lambda n: block("Tables" if n in (3, 4, 5) else "x" * n, 30))
    assert labels(with_running_heads(made)) == ["text"] * 40


def test_pages_without_text_are_passed_over() -> None:
    made = [*pages(3, lambda n: block("Report", 30)), Page(4, 0, 0, "failed"), Page(5, WIDTH, HEIGHT)]
    assert labels(with_running_heads(made)[:3]) == ["header"] * 3
    assert with_running_heads([]) == ()
