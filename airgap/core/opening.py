"""How a file is opened: which of its pages, and how they are drawn.

The one statement of these options. Forms, JSON bodies, jobs and the command line take their names, bounds,
defaults and words from here; what a site allows stands in `process.source.Limits`. It needs the standard
library alone, so that the client can be installed by itself.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal, NamedTuple, get_type_hints

TextLayer = Literal["ignore", "auto"]


def _said(description: str, **bounds: int) -> dict[str, Any]:
    return {"description": description, **bounds}


@dataclass(frozen=True, slots=True)
class Opening:
    """Pages are counted from 1. `dpi`, `password` and what follows it are for PDFs."""

    dpi: int = field(default=144, metadata=_said("Resolution to draw PDF pages at.", least=36, most=600))
    page_from: int | None = field(
        default=None, metadata=_said("First page of each file, counted from 1.", least=1)
    )
    page_to: int | None = field(default=None, metadata=_said("Last page of each file, included.", least=1))
    password: str | None = field(default=None, metadata=_said("Password of the PDFs.", longest=200))
    text_layer: TextLayer = field(
        default="ignore", metadata=_said("`auto` takes a PDF page's own text where it is sound.")
    )
    keep_active_content: bool = field(
        default=False,
        metadata=_said("Leave scripts, actions and attachments of a PDF in the searchable PDF made of it."),
    )

    @property
    def first_frame(self) -> Opening:
        """The same for a picture of which one frame is read, and no other."""
        return replace(self, page_from=1, page_to=1)

    @property
    def one_page(self) -> Opening:
        """The same where one page is read unless more are named: the first, or the one it begins with."""
        first = self.page_from or 1
        return replace(self, page_from=first, page_to=self.page_to or first)


class Option(NamedTuple):
    """One of `Opening`'s fields, for whoever makes a form, a schema or a command of it."""

    type: Any
    default: Any
    description: str
    least: int | None = None
    most: int | None = None
    longest: int | None = None


OPTIONS = {
    entry.name: Option(get_type_hints(Opening)[entry.name], entry.default, **entry.metadata)
    for entry in fields(Opening)
}
WHOLE = Opening()
FIRST_FRAME = WHOLE.first_frame
