"""A box as JSON has it, for whatever of a document has one."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from airgap.core.document import Box

BoxJson = Annotated[list[float], Field(min_length=4, max_length=4)]
"""`[x0, y0, x1, y1]` in page pixels."""


def box_to_list(box: Box) -> BoxJson:
    """`[x0, y0, x1, y1]`, page pixels, to a hundredth."""
    return [round(value, 2) for value in (box.x0, box.y0, box.x1, box.y1)]
