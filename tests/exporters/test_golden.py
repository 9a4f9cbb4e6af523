"""Every format makes of a document with something of everything what it made when somebody last looked."""

from __future__ import annotations

import json

import pytest

from airgap.exporters import export
from airgap.exporters.json_export import document_from_dict, document_to_dict
from tests.exporters.golden import BINARIES, DOCUMENT, TEXTS, made, path_of


@pytest.mark.parametrize("name", [*TEXTS, *(name for name in BINARIES if name != "annotated")])
def test_a_format_makes_what_it_made(name: str) -> None:
    assert made(name) == path_of(name).read_text(), "look, then python -m tests.exporters.golden"


def test_what_is_drawn_on_a_page_stays_where_it_was() -> None:
    """Each cell's red, green and blue within a sixteenth: libraries draw a little differently."""
    now, then = (text.splitlines() for text in (made("annotated"), path_of("annotated").read_text()))
    assert (now[0], len(now)) == (then[0], len(then))
    pairs = zip("".join(now[1:]).split(), "".join(then[1:]).split(), strict=True)
    digits = [(int(a, 16), int(b, 16)) for one, other in pairs for a, b in zip(one, other, strict=True)]
    assert all(abs(a - b) <= 1 for a, b in digits)


def test_the_document_comes_back_from_json() -> None:
    data = json.loads(export("json", DOCUMENT))
    assert document_to_dict(document_from_dict(data)) == data
