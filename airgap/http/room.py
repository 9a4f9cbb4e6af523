"""Room on the disk for what comes in, reserved before its first byte is taken.

A body lies on the disk while it is read, in the server's scratch folder. So many uploads together do not
fill the disk, where some would break off and others find no room for a result. Knows nothing of what a
body holds.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from airgap.core.errors import AirgapError, StorageFull
from process.work import briefly

log = logging.getLogger(__name__)

IN_MEMORY = 1 << 20
"""Bytes of a body that are no matter for the disk."""

KEPT_FREE = 64 << 20
"""Bytes of the disk that uploads leave alone; a twentieth of a small one."""

COPIES = 2
"""A form's file lies on the disk as it came, and as the file that is read."""

LOOK_SECONDS = 3.0

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS})


def is_full(error: BaseException | None) -> bool:
    """Whether an error says that the disk takes nothing more: it is full, or has become read-only."""
    return isinstance(error, OSError) and error.errno in _FULL


def no_room() -> StorageFull:
    return StorageFull("There is no room on the server's disk for this upload.", retry_after=30)


def has_room(folder: Path, size: int = 0) -> bool:
    """Whether the disk under a folder, or under what is there of its path, takes so many bytes of uploads."""
    usage = shutil.disk_usage(_existing(folder))
    return usage.free - size >= min(KEPT_FREE, usage.total // 20)


def disk_trouble(folder: Path) -> str | None:
    """Why the disk under a folder takes nothing that is sent here, with what to do; None where it does."""
    if not has_room(folder):
        return "the disk under DATA_DIR is full: make room on it"
    if os.statvfs(_existing(folder)).f_flag & os.ST_RDONLY:
        return "the disk under DATA_DIR can only be read: mount it for writing"
    return None


def _existing(folder: Path) -> Path:
    return next(path for path in (folder, *folder.absolute().parents) if path.exists())


class Disk:
    """Looks at the disk under a folder every few seconds, so that a probe need not."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.trouble: str | None = None

    async def run(self) -> None:
        while True:
            trouble = await briefly(disk_trouble, self._folder)
            if trouble:
                log.error("%s", trouble)
            elif self.trouble:
                log.warning("the disk under DATA_DIR takes uploads again")
            self.trouble = trouble
            await asyncio.sleep(LOOK_SECONDS)


class Room:
    """The disk under a folder, as far as it is not promised to anybody."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.reserved = 0

    def take(self, size: int) -> None:
        """Reserve. Raises `StorageFull`."""
        if not has_room(self._folder, self.reserved + size):
            raise no_room()
        self.reserved += size

    def give(self, size: int) -> None:
        self.reserved -= size


class Reservation:
    """The middleware: takes a body's room by its declared length, or as it comes, until the answer was sent.

    What was written is taken for promised still: the sum errs on the side of too much.
    """

    def __init__(self, app: ASGIApp, *, room: Room, refuse: Callable[[AirgapError, str], ASGIApp]) -> None:
        self.app = app
        self._room = room
        self._refuse = refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        declared = dict(scope["headers"]).get(b"content-length", b"")
        share = _Share(self._room)
        try:
            share.grow(int(declared) if declared.isdigit() else 0)
        except StorageFull as error:
            await self._refuse(error, scope.get("request_id", ""))(scope, receive, send)
            return
        try:
            await self.app(scope, share.counted(receive), send)
        finally:
            share.end()


class _Share:
    """What one request has reserved."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._reserved = 0

    def grow(self, size: int) -> None:
        """Have room for a body of this size. Raises `StorageFull`."""
        wanted = COPIES * size if size > IN_MEMORY else 0
        if wanted > self._reserved:
            self._room.take(wanted - self._reserved)
            self._reserved = wanted

    def counted(self, receive: Receive) -> Receive:
        seen = 0

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            self.grow(seen)
            return message

        return counted

    def end(self) -> None:
        self._room.give(self._reserved)
        self._reserved = 0
