"""Which bound of memory counts: the smallest of the process's group and of those around it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from process import memory
from process.memory import memory_bytes

MACHINE = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
V1 = "9:cpu,memory:/site.slice/ocr.service\n1:name=systemd:/\n"
V2 = "0::/site.slice/ocr.service\n"


def write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


@pytest.mark.parametrize(
    ("membership", "files", "bound"),
    [
        ("0::/\n", {"memory.max": "4096\n"}, 4096),  # a container
        ("0::/docker/1f\n", {"memory.max": "4096\n"}, 4096),  # one that sees its name outside
        (V2, {"site.slice/ocr.service/memory.max": "4096\n"}, 4096),  # systemd's MemoryMax
        (V2, {"site.slice/memory.max": "4096\n", "site.slice/ocr.service/memory.max": "max\n"}, 4096),
        (V2, {"site.slice/memory.max": "8192\n", "site.slice/ocr.service/memory.max": "4096\n"}, 4096),
        (V2, {"site.slice/other.service/memory.max": "4096\n"}, MACHINE),
        (V1, {"memory/site.slice/ocr.service/memory.limit_in_bytes": "4096\n"}, 4096),
        (V1, {"memory/memory.limit_in_bytes": "9223372036854771712\n"}, MACHINE),
        ("", {}, MACHINE),
    ],
)
def test_the_smallest_bound_counts(
    membership: str, files: dict[str, str], bound: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, {"membership": membership, **files})
    monkeypatch.setattr(memory, "CONTROL_GROUPS", tmp_path)
    monkeypatch.setattr(memory, "MEMBERSHIP", tmp_path / "membership")
    assert memory_bytes() == bound


def test_without_control_groups_it_is_the_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CONTROL_GROUPS", "MEMBERSHIP"):
        monkeypatch.setattr(memory, name, tmp_path / "gone")
    assert memory_bytes() == MACHINE
