"""What an error says is short, whatever was sent."""

from __future__ import annotations

from airgap.core.errors import MOST_CHARS, InvalidOption


def test_a_message_and_a_remedy_are_no_longer_than_they_may_be() -> None:
    error = InvalidOption("x" * (MOST_CHARS + 1), "y" * 1_000_000)
    assert error.message == str(error) == "x" * (MOST_CHARS - 1) + "…"
    assert len(error.remedy) == len(error.as_page_error().remedy) == MOST_CHARS
    assert InvalidOption("z" * MOST_CHARS).message == "z" * MOST_CHARS
