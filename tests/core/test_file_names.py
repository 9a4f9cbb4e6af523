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
        ("a/b\\c.png", "a/b/c.png"),
        ("../../etc/passwd", "etc/passwd"),
        ("/srv/./scans//1.png", "srv/scans/1.png"),
        ("C:\\Users\\me\\scan.tif", "Users/me/scan.tif"),
        ("2024/", "2024"),
        ("folder/" * 60 + "1.png", ("folder/" * 60 + "1.png")[-255:]),
        ("", "upload"),
        (None, "upload"),
        ("a\ud800.png", "a?.png"),
        ("x" * 300, "x" * 255),
    ],
)
def test_shown_names_keep_their_folders_and_never_lead_up(sent: str | None, shown: str) -> None:
    assert shown_name(sent) == shown


def test_paths_keep_their_folders_and_never_lie_in_one_another():
    names = UniqueNames()
    sent = ("2023/a.pdf", "2024/a.pdf", "2024/a.png", "a.pdf", "a/b.pdf", "2024.pdf", "../up/C:/x.png")
    assert [names.claim_below(name) for name in sent] == [
        "2023/a",
        "2024/a",
        "2024/a_2",
        "a",
        "a_2/b",
        "2024_2",
        "up/x",
    ]


@given(st.lists(st.text(alphabet="aA/.\\ _2", max_size=12), max_size=12))
def test_claimed_paths_are_apart_on_every_file_system(sent: list[str]) -> None:
    names = UniqueNames()
    claimed = [names.claim_below(name).casefold() for name in sent]
    assert len(set(claimed)) == len(claimed)
    assert not any(other.startswith(f"{path}/") for path in claimed for other in claimed)
    assert not any(part in ("", ".", "..") for path in claimed for part in path.split("/"))
