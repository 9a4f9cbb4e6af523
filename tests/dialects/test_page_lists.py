"""Lists of pages in a request."""

from __future__ import annotations

import tracemalloc

import pytest

from airgap.core.errors import InvalidOption
from airgap.dialects.page_lists import MOST_PAGES, page_numbers


@pytest.mark.parametrize(
    ("pages", "numbers"),
    [
        ("0", (1,)),
        ("0-2,7", (1, 2, 3, 8)),
        (" 3 , 1 - 2 ", (4, 2, 3)),
        ("1,1-2", (2, 3)),
        ([2, 0, 2], (3, 1)),
    ],
)
def test_pages_from_zero_are_numbers_from_one_each_once(
    pages: str | list[int], numbers: tuple[int, ...]
) -> None:
    assert page_numbers(pages, "pages") == numbers


@pytest.mark.parametrize(
    "pages", ["", "x", "1-", "-1", "2-1", "1;2", "1000000", f"{MOST_PAGES}", [-1], [MOST_PAGES]]
)
def test_what_is_no_list_of_pages_is_refused_by_its_field(pages: str | list[int]) -> None:
    with pytest.raises(InvalidOption, match="`some_field`"):
        page_numbers(pages, "some_field")


@pytest.mark.parametrize("pages", [f"0-{MOST_PAGES - 1}," * 1000 + "0", "1," * MOST_PAGES + "1"])
def test_a_list_is_refused_before_it_is_made(pages: str) -> None:
    tracemalloc.start()
    with pytest.raises(InvalidOption):
        page_numbers(pages, "pages")
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 4 << 20
