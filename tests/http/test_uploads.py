"""Base64 is decoded in pieces as it would be at once."""

from __future__ import annotations

import base64
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from airgap.core.errors import EmptyFile, InvalidBase64
from airgap.http import uploads
from airgap.http.uploads import decode_base64


@pytest.fixture(autouse=True, scope="module")
def short_pieces() -> object:
    uploads.PIECE_CHARS = 5
    yield
    uploads.PIECE_CHARS = 1 << 20


@given(st.binary(min_size=1, max_size=64), st.sampled_from(["", "\n", " \r\n", "\t"]), st.integers(1, 9))
def test_every_file_comes_back(data: bytes, blank: str, every: int) -> None:
    text = base64.b64encode(data).decode()
    broken = "".join(text[at : at + every] + blank for at in range(0, len(text), every))
    assert decode_base64(broken) == data
    assert decode_base64(f"data:image/png;base64,{broken}") == data


VALID = re.compile(r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")


@given(st.text("Aa9+/=? é", max_size=24))
@example("AAAA=")  # which Python's own decoder takes
@example("AAAAAAA==")
@example("AA==AAAA")
def test_what_is_no_base64_is_refused(text: str) -> None:
    plain = "".join(text.split())
    if not VALID.fullmatch(plain):
        with pytest.raises(InvalidBase64):
            decode_base64(text)
    elif plain:
        assert decode_base64(text) == base64.b64decode(plain, validate=True)
    else:
        with pytest.raises(EmptyFile):
            decode_base64(text)


@pytest.mark.parametrize("text", ["data:image/png,AAAA", "data:AAAA;base64", "data:;base64;x,AAAA"])
def test_a_data_url_of_another_kind_is_refused(text: str) -> None:
    with pytest.raises(InvalidBase64, match="data URL"):
        decode_base64(text)
