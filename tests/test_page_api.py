"""The page's types are made from what the API says now, and the page names no answer that is not there."""

from __future__ import annotations

import json

import httpx

from tests.conftest import ROOT
from tests.page_api import NAMED, to_json


def test_the_page_is_built_from_the_api_as_it_is() -> None:
    written = (ROOT / "web/openapi.json").read_text()
    assert written == to_json(), "make types"


def test_what_the_page_names_is_there_with_all_it_refers_to() -> None:
    schemas = json.loads(to_json())["components"]["schemas"]
    assert set(NAMED) < schemas.keys()
    assert {"BlockJson", "LineJson", "DisagreementJson", "FormatInfo"} <= schemas.keys()


def test_info_tells_the_page_all_that_it_offers(api: httpx.Client) -> None:
    info = api.get("/info").json()
    formats = {entry["name"]: entry for entry in info["formats"]}
    assert formats.keys() == set(info["outputs"])
    assert all(entry["available"] and entry["reason"] is None for entry in formats.values())
    assert formats["searchable_pdf"]["needs_original"]
    assert formats["docx"]["shows_figures"]
    assert not formats["docx"]["needs_original"]
    assert not formats["text"]["shows_figures"]
    assert {"en", "zh-Hant"} <= set(info["languages"])
    assert info["page"] == {"drafts": True}
    assert info["engine"]["formulas"] == "latex"
    assert info["dpi"]["min"] <= info["dpi"]["default"] <= info["dpi"]["max"]
