"""What pictures held is given back."""

from __future__ import annotations

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
