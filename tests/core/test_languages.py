"""Languages by whatever people call them."""

from __future__ import annotations

import pytest

from airgap.core.errors import InvalidOption
from airgap.core.languages import language_code


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ("ru", "ru"),
        ("russian", "ru"),
        ("Russian", "ru"),
        ("русский", "ru"),
        ("rus", "ru"),
        ("ru-RU", "ru"),
        ("fr_FR.UTF-8", "fr"),
        ("German", "de"),
        ("Deutsch", "de"),
        ("ger", "de"),
        ("deu", "de"),
        ("日本語", "ja"),
        ("zh-Hant", "zh-Hant"),
        ("zh-TW", "zh-TW"),
        ("zh_TW", "zh-TW"),
        ("zh-Hant-HK", "zh-Hant"),
        ("chi_sim", "zh-Hans"),
        ("chi_tra_vert", "zh-Hant"),
        ("Traditional Chinese", "zh-Hant"),
        ("繁體中文", "zh-Hant"),
        ("简体中文", "zh-Hans"),
        ("zho", "zh"),
        ("srp_latn", "sr-Latn"),
        ("eng+rus", "ru"),
        ("eng", "en"),
        ("auto", None),
        (" ", None),
    ],
)
def test_what_is_understood(said: str, code: str | None) -> None:
    assert language_code(said) == code


@pytest.mark.parametrize("said", ["xx", "asdf", "qwertyuiop", "eng+xx", "x" * 10_000, "+", "ру", "<|ref|>"])
def test_what_is_no_language(said: str) -> None:
    with pytest.raises(InvalidOption, match="language"):
        language_code(said)
