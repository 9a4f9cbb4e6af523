"""What another server says of an error may repeat a key or a text, and so is not logged."""

from __future__ import annotations

import pytest

from airgap.engines.openai.stream import kind_of_error


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b'{"error": {"type": "invalid_request_error", "message": "sk-1"}}', "invalid_request_error"),
        (b'{"error": {"type": "BadRequestError"}}', "BadRequestError"),
        (b'{"error": {"type": "sk-1234567890abcdef"}}', "42 bytes"),
        (b'{"error": {"type": "a\\nb"}}', "27 bytes"),
        (b'{"error": "Incorrect key: sk-1"}', "32 bytes"),
        (b"[1]", "3 bytes"),
        (b"Incorrect key: sk-1", "19 bytes"),
        (b"\xff\xfe", "2 bytes"),
        (b'{"error": {"type": "' + b"x" * 41 + b'"}}', "64 bytes"),
    ],
)  # fmt: skip
def test_only_the_kind_of_an_error_is_logged(body: bytes, kind: str) -> None:
    assert kind_of_error(body) == kind
