"""What this process asks of the C library, the kernel and Python's collector for itself.

glibc's allocator is kept from holding on to memory that pictures have left.

Each thread may get an arena of its own, an arena gives its free memory back only from its end, and the
size from which blocks are mapped, and so given back at once, grows with the blocks that were freed. With
pictures of hundreds of megabytes decoded on many threads the process would stay as large as the sum of
what each of them once held. Elsewhere than on glibc nothing is done.

Blocks of a few megabytes stay with the process: mapping them afresh for every line that is read made
reading a third slower.

Source: mallopt(3), prctl(2).
"""

from __future__ import annotations

import ctypes
import gc
import sys

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8  # malloc.h
ARENAS = 2
MAPPED_FROM_BYTES = 8 << 20
KEPT_BYTES = 32 << 20
_PR_SET_DUMPABLE = 4  # linux/prctl.h


def give_memory_back() -> bool:
    """Bound what is kept from now on; call it before threads are made. True if it took."""
    if sys.platform != "linux":
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    bounds = ((_M_ARENA_MAX, ARENAS), (_M_MMAP_THRESHOLD, MAPPED_FROM_BYTES), (_M_TRIM_THRESHOLD, KEPT_BYTES))
    return all(mallopt(name, value) for name, value in bounds)


def spare_what_stays() -> None:
    """Let Python's collector look no more through what is there now; call it once the process has started.

    It holds Python's lock while it looks: 0.1 s and more for what a server has imported.
    """
    gc.collect()
    gc.freeze()


def hide_from_others() -> bool:
    """Keep processes of the same user, our children among them, from this one's memory and environment.

    Its environment may hold secrets, and its children read files that may be hostile. It also leaves no
    core dump. True if it took.
    """
    if sys.platform != "linux":
        return False
    return bool(ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0) == 0)
