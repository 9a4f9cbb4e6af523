"""Pages are taken before they are read, exactly, on SQLite and on PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path

import pytest

from airgap.accounts.page_counts import PageCounts
from airgap.accounts.store import Store

DAY, NEXT = date(2026, 2, 3), date(2026, 2, 4)


@pytest.fixture(params=["sqlite", "postgresql"])
def stores(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[list[Store]]:
    """Two servers' own connections to one database."""
    url = request.getfixturevalue("database") if request.param == "postgresql" else None
    opened = [Store(url, tmp_path) for _ in range(2)]
    yield opened
    for store in opened:
        store.close()


@pytest.fixture
def counts(stores: list[Store]) -> PageCounts:
    return stores[0].counts


def test_servers_that_count_at_once_never_pass_the_limit(stores: list[Store]) -> None:
    def take(number: int) -> bool:
        return stores[number % 2].counts.take(f"request:{number}", "user:1", DAY, 2, 15)

    with ThreadPoolExecutor(8) as pool:
        taken = sum(pool.map(take, range(30)))
    assert (taken, stores[0].counts.used("user:1", DAY)) == (7, 14)
    assert stores[1].counts.take("last", "user:1", DAY, 1, 15)
    assert not stores[1].counts.take("one more", "user:1", DAY, 1, 15)


def test_all_or_none(counts: PageCounts) -> None:
    assert not counts.take("a", "user:1", DAY, 4, 3)
    assert counts.used("user:1", DAY) == 0
    assert counts.held("a") == 0
    assert counts.take("a", "user:1", DAY, 3, 3)
    assert counts.take("b", "user:2", DAY, 3, 3), "of another account"
    assert counts.take("a", "user:1", NEXT, 3, 3), "of another day"


@pytest.mark.parametrize(("came_to", "used"), [(0, 0), (2, 2), (3, 3), (5, 5)])
def test_a_request_is_settled_once_with_what_it_came_to(counts: PageCounts, came_to: int, used: int) -> None:
    counts.take("a", "user:1", DAY, 3, 9)
    for _ in range(2):
        counts.settle("a", came_to)
    assert counts.used("user:1", DAY) == used
    counts.settle("never taken", 7)
    assert counts.used("user:1", DAY) == used


def test_a_step_that_is_repeated_takes_nothing_twice(counts: PageCounts) -> None:
    for _ in range(3):
        assert counts.raise_to("job", "user:1", DAY, 5, 9)
    assert counts.used("user:1", DAY) == 5
    assert counts.raise_to("job", "user:1", DAY, 4, 9)
    assert not counts.raise_to("job", "user:1", DAY, 10, 9)
    assert counts.raise_to("job", "user:1", DAY, 9, 9)
    assert counts.used("user:1", DAY) == 9


def test_what_was_not_read_is_given_back(counts: PageCounts) -> None:
    counts.take("job", "user:1", DAY, 5, 9)
    counts.give_back("job", 3)
    assert counts.used("user:1", DAY) == 2
    counts.give_back("job", 30)
    counts.give_back("never taken", 30)
    assert counts.used("user:1", DAY) == 0


def test_charges_of_long_ago_are_dropped_and_the_counts_stay(counts: PageCounts) -> None:
    counts.take("old", "user:1", DAY, 5, 9)
    counts.take("new", "user:1", NEXT, 5, 9)
    counts.forget(NEXT)
    assert (counts.held("old"), counts.held("new"), counts.used("user:1", DAY)) == (0, 5, 5)
