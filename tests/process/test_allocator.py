"""What pictures held is given back."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from process.allocator import ARENAS, KEPT_BYTES

ROOT = Path(__file__).resolve().parents[2]

CODE = """
import threading
from pathlib import Path
from PIL import Image
from process.allocator import give_memory_back

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

def work():
    for _ in range(2):
        image = Image.new("RGB", (5000, 5000), "white")
        image.resize((5200, 5200), Image.Resampling.NEAREST).convert("L").tobytes()

assert give_memory_back()
before = resident()
for _ in range(2):
    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
print(resident() - before)
"""


def test_memory_comes_back_after_pictures_on_many_threads() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], cwd=ROOT, capture_output=True, text=True, check=True)
    assert int(done.stdout) < 2 * ARENAS * KEPT_BYTES  # 300 MiB and more without the bounds


SETTLED = """
import asyncio, gc, sys
import serve_ocr

async def start_and_stop(app):
    async with app.router.lifespan_context(app):
        while not app.state.service.started:
            await asyncio.sleep(0.01)
        print(gc.get_freeze_count(), len(gc.get_objects()))

serve_ocr.uvicorn.run = lambda app, **_: asyncio.run(start_and_stop(app))
sys.exit(serve_ocr.main([]))
"""


def test_a_server_that_has_started_is_not_looked_through_again(tmp_path: Path) -> None:
    environment = os.environ | {"BACKEND": "fake", "DATA_DIR": f"{tmp_path}"}
    done = subprocess.run(
        [sys.executable, "-c", SETTLED], cwd=ROOT, capture_output=True, text=True, check=True, env=environment
    )
    frozen, looked_through = map(int, done.stdout.split())
    assert frozen > 50 * looked_through
