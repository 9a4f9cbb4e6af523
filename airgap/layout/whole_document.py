"""What only the pages together show: running headers and footers, and the levels of headings."""

from __future__ import annotations

from collections.abc import Sequence

from airgap.core.document import Page
from airgap.layout.headings import levelled
from airgap.layout.running_heads import with_running_heads


def as_one(pages: Sequence[Page]) -> tuple[Page, ...]:
    """The pages of one document, their labels and headings agreeing; done twice, it changes nothing."""
    return levelled(with_running_heads(pages))
