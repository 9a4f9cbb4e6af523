"""What a child process has decoded and sent off is the machine's again, its file open or not."""

from __future__ import annotations

from pathlib import Path

from benchmarks.memory import _pss
from process.child_pool import Bounds, ChildPool
from tests.attacks.files import white_png
from tests.jobs.helpers import wait_for

MIB = 1 << 20


def test_an_idle_child_keeps_nothing_of_a_large_picture(tmp_path: Path) -> None:
    path, pool = tmp_path / "a.png", ChildPool(1)
    path.write_bytes(white_png(8000, 8000))
    request = {"kind": "picture", "document": "a", "path": str(path), "framed": True}
    request |= {"max_pixels": 64_000_000, "max_frames": 10}
    try:
        with pool.child("a") as child:
            for _ in range(2):
                _, picture = child.picture({**request, "op": "render", "page": 0}, Bounds(120, 1280))
                assert picture.size == (8000, 8000)
                wait_for(lambda: _pss(child.pid) < 120 * MIB)  # it sends before it lets go
    finally:
        pool.close()
