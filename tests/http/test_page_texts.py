"""The page has words of its own, in each of its languages, for every way a request can fail."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from airgap.core.errors import AirgapError, ConfigurationError

TEXTS = Path(__file__).resolve().parents[2] / "web/src/texts"
KEY = re.compile(r'^  "(problem|remedy)\.([a-z0-9_]+)":', re.MULTILINE)


def codes(kind: type[AirgapError]) -> set[str]:
    return {kind.code} | {code for child in kind.__subclasses__() for code in codes(child)}


@pytest.mark.parametrize("language", ["en", "zh-Hant", "zh-Hans", "ru"])
def test_every_error_has_a_message_and_a_remedy(language: str) -> None:
    found = KEY.findall((TEXTS / f"{language}.ts").read_text(encoding="utf-8"))
    for kind in ("problem", "remedy"):
        missing = codes(AirgapError) - {ConfigurationError.code} - {c for k, c in found if k == kind}
        assert not missing, (language, kind)


@pytest.mark.parametrize("language", ["en", "zh-Hant", "zh-Hans", "ru"])
def test_no_remedy_speaks_of_the_api(language: str) -> None:
    text = (TEXTS / f"{language}.ts").read_text(encoding="utf-8")
    remedies = [line for line in text.splitlines() if line.startswith('  "remedy.')]
    assert remedies
    assert not [
        line for line in remedies if "curl" in line or "`" in line or "_from" in line or " -F " in line
    ]
