"""Names that clients send: shown as they are, and made safe once for every path of ours."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airgap.core.file_names import UniqueNames, safe_stem, shown_name


@pytest.mark.parametrize(
    ("sent", "safe"),
    [
        ("report.pdf", "report"),
        ("../../etc/passwd", "passwd"),
        ("..\\..\\boot.ini", "boot"),
        ("C:\\Users\\me\\scan.TIFF", "scan"),
        ("Счёт №12 «résumé» 領収書 #1.png", "Счёт №12 «résumé» 領収書 #1"),
        ("領収書 2024.01.png", "領収書 2024.01"),
        ("Letter to Dr. Müller", "Letter to Dr. Müller"),
        ("हिन्दी.pdf", "हिन्दी"),
        ("", "file"),
        ("...", "file"),
        (".pdf", "file"),
        ("CON.png", "_CON"),
        ("a\x00b|c.png", "a_b_c"),
        ("a\nc\u202egnp.exe", "a_cgnp"),
        ("x" * 500 + ".png", "x" * 150),
    ],
)
def test_names_are_made_safe(sent: str, safe: str) -> None:
    assert safe_stem(sent) == safe


@given(st.text(max_size=300))
def test_a_safe_name_is_one_part_of_a_path(sent: str) -> None:
    safe = safe_stem(sent)
    assert safe not in ("", ".", "..")
    assert not set(safe) & set('/\\:*?"<>|\0\n')
    assert len(safe.encode()) <= 151


def test_names_are_unique_whatever_their_case() -> None:
    names = UniqueNames()
    assert [names.claim(name) for name in ("a.png", "A.jpg", "a_2.png", "a.tif")] == [
        "a",
        "A_2",
        "a_2_2",
        "a_3",
    ]


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ("a/b\\c.png", "c.png"),
        ("", "upload"),
        (None, "upload"),
        ("a\ud800.png", "a?.png"),
        ("x" * 300, "x" * 255),
    ],
)
def test_shown_names_are_the_last_part_in_any_encoding(sent: str | None, shown: str) -> None:
    assert shown_name(sent) == shown
