"""An answer that is written to disk piece by piece is JSON, whatever it holds."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from fastapi.responses import FileResponse

from airgap.http.responses import json_from_disk


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({}, {}),
        ({"empty": {}, "after": 1}, {"empty": {}, "after": 1}),
        ({"object": {"a": {"b": None}, "c": []}}, {"object": {"a": {"b": None}, "c": []}}),
        ({"none": iter(()), "two": iter((1, "ж"))}, {"none": [], "two": [1, "ж"]}),
    ],
)
def test_it_is_what_was_given(tmp_path: Path, members: dict[str, Any], expected: dict[str, Any]) -> None:
    response = asyncio.run(json_from_disk(members, tmp_path))
    assert isinstance(response, FileResponse)
    assert json.loads(Path(response.path).read_text()) == expected


def test_bytes_of_a_file_come_as_base64(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"\x00\xff" * 3)
    response = asyncio.run(json_from_disk({"data": tmp_path / "a"}, tmp_path))
    assert isinstance(response, FileResponse)
    assert json.loads(Path(response.path).read_text()) == {"data": "AP8A/wD/"}
