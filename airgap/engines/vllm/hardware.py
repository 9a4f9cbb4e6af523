"""What GPUs this machine gives us: their names, compute capability, memory, and what the driver speaks.

Asked of `nvidia-smi` and of the driver's own library, so that no GPU is taken into use and torch need not be
there. Knows nothing about models or engines.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from collections.abc import Collection
from dataclasses import dataclass, replace

_FIELDS = ("index", "uuid", "name", "compute_cap", "memory.total", "memory.free", "driver_version")
_SECONDS = 20


@dataclass(frozen=True, slots=True)
class Gpu:
    """`capability` is CUDA's, such as (9, 0); `total` and `free` are bytes, None where they are not known."""

    name: str
    capability: tuple[int, int]
    total: int | None = None
    free: int | None = None


@dataclass(frozen=True, slots=True)
class Hardware:
    """The GPUs that this process may use, in its order. `driver_cuda` is the newest CUDA that the driver
    speaks."""

    gpus: tuple[Gpu, ...]
    driver: str = ""
    driver_cuda: tuple[int, int] | None = None

    def only(self, places: Collection[int]) -> Hardware:
        """The GPUs at these places, as far as they are there; all of them where none are named."""
        return replace(self, gpus=tuple(self.gpus[i] for i in places if i < len(self.gpus)) or self.gpus)


def hardware() -> Hardware | None:
    """Ask the machine. None where it does not say: no `nvidia-smi`, or one that fails."""
    command = shutil.which("nvidia-smi")
    if command is None:
        return None
    query = [command, f"--query-gpu={','.join(_FIELDS)}", "--format=csv,noheader,nounits"]
    try:
        answer = subprocess.run(query, capture_output=True, text=True, timeout=_SECONDS, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return read(answer.stdout, os.environ.get("CUDA_VISIBLE_DEVICES"), _driver_cuda())


def read(table: str, visible: str | None, driver_cuda: tuple[int, int] | None) -> Hardware | None:
    """`nvidia-smi`'s table, as far as `visible` (CUDA_VISIBLE_DEVICES) lets this process see.

    None where it cannot be read, or where parts of GPUs (MIG) are given out: their memory is not in it.
    """
    rows = [[cell.strip() for cell in line.split(",")] for line in table.splitlines() if line.strip()]
    if any(len(row) != len(_FIELDS) for row in rows) or (visible and "MIG" in visible):
        return None
    try:
        gpus = tuple(_gpu(row) for row in _visible_rows(rows, visible))
    except ValueError:
        return None
    return Hardware(gpus, rows[0][-1] if rows else "", driver_cuda)


def _visible_rows(rows: list[list[str]], visible: str | None) -> list[list[str]]:
    if visible is None:
        return rows
    names = [name.strip() for name in visible.split(",") if name.strip()]
    return [row for name in names for row in rows if _is_named(row, name)]


def _is_named(row: list[str], name: str) -> bool:
    index, uuid = row[:2]
    return name == index or (name.startswith("GPU-") and uuid.startswith(name))


def _gpu(row: list[str]) -> Gpu:
    major, minor = row[3].split(".")
    total, free = (int(cell) << 20 if cell.isdigit() else None for cell in row[4:6])
    return Gpu(row[2], (int(major), int(minor)), total, free)


def _driver_cuda() -> tuple[int, int] | None:
    """The newest CUDA that the library in use speaks; a compatibility package may speak a newer one than
    the driver underneath."""
    version = ctypes.c_int()
    try:
        if ctypes.CDLL("libcuda.so.1").cuDriverGetVersion(ctypes.byref(version)):
            return None
    except (OSError, AttributeError):
        return None
    return version.value // 1000, version.value % 1000 // 10
