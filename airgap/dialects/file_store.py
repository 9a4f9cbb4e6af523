"""Files that callers upload now and have read later; kept for hours, then erased.

    DATA_DIR/files/<caller>/<id>.bin   what was sent
    DATA_DIR/files/<caller>/<id>.json  what is known of it

A caller's files lie in a folder of its own, so that an id leads nowhere for anybody else. Several servers
may share the folder. It knows no HTTP; all calls but those of `Part` block.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import logging
import os
import re
import secrets
import shutil
import threading
import time
import uuid
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from airgap.core.errors import Forbidden, NotFound, QuotaExceeded
from config import Settings
from process.work import briefly

log = logging.getLogger(__name__)

MAX_FILES = 1000
"""Most files of one caller."""

_ID = re.compile(r"[0-9a-f]{32}")
_SWEEP_SECONDS = 600.0
_ABANDONED_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class KeptFile:
    """What is known of a file; times are Unix's. `secret` signs its links and is told to nobody."""

    id: str
    name: str
    size: int
    purpose: str
    created_at: int
    expires_at: int
    secret: str


class FileStore:
    """All callers' files. A part of the server: it erases what has expired."""

    def __init__(self, settings: Settings) -> None:
        self._root = settings.data_dir / "files"
        self._most_bytes = settings.files_max_mb_per_caller * 2**20
        self._most_seconds = settings.files_ttl_hours * 3600
        self._taking = threading.Lock()

    # --- files -----------------------------------------------------------------------------------

    def add(self, path: Path, *, caller: str, name: str, purpose: str, hours: float | None) -> KeptFile:
        """Take a file over, for `hours` or as long as the site keeps files. Raises `QuotaExceeded`."""
        now = time.time()
        seconds = min(self._most_seconds, self._most_seconds if hours is None else hours * 3600)
        size = path.stat().st_size
        file = KeptFile(
            uuid.uuid4().hex, name, size, purpose, int(now), int(now + seconds), secrets.token_hex(32)
        )
        with self._taking:
            self._require_place(caller, size)
            folder = self._folder(caller)
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            shutil.move(path, folder / f"{file.id}.bin")
            beside = folder / f".{file.id}.new"
            beside.write_text(json.dumps(asdict(file)))
            beside.replace(folder / f"{file.id}.json")
        return file

    def _require_place(self, caller: str, size: int) -> None:
        sizes = [file.size for file in self.files(caller)]
        if len(sizes) >= MAX_FILES or sum(sizes) + size > self._most_bytes:
            raise QuotaExceeded(
                f"You keep {len(sizes)} files of {sum(sizes) >> 20} MiB here; there is no place for more.",
                "Delete files that are read, or have the site raise FILES_MAX_MB_PER_CALLER.",
                retry_after=60,
            )

    def get(self, caller: str, file_id: str) -> KeptFile:
        """Raises `NotFound`, also for a file that has expired or is somebody else's."""
        file = self._known(self._folder(caller) / f"{file_id}.json") if _ID.fullmatch(file_id) else None
        if file is None or file.expires_at <= time.time():
            raise NotFound("There is no such file.", "Files expire: send it again.")
        return file

    def files(self, caller: str) -> list[KeptFile]:
        """The caller's, the newest first."""
        now = time.time()
        found = [file for file in map(self._known, self._folder(caller).glob("*.json")) if file]
        return sorted((f for f in found if f.expires_at > now), key=lambda f: f.created_at, reverse=True)

    def path(self, caller: str, file: KeptFile) -> Path:
        return self._folder(caller) / f"{file.id}.bin"

    def lend(self, caller: str, file: KeptFile, place: Path) -> None:
        """Make the file's content stand at `place`, too, so that erasing it disturbs no reader."""
        place.unlink(missing_ok=True)
        try:
            os.link(self.path(caller, file), place)
        except FileNotFoundError as error:
            raise NotFound("There is no such file.", "Files expire: send it again.") from error
        except OSError:
            shutil.copyfile(self.path(caller, file), place)

    def delete(self, caller: str, file: KeptFile) -> None:
        _erase(self._folder(caller) / f"{file.id}.json")

    # --- links -----------------------------------------------------------------------------------

    def sign(self, file: KeptFile, hours: float) -> dict[str, str]:
        """The query of a link to a file that is good for `hours`, or until the file expires."""
        expires = str(min(file.expires_at, int(time.time() + hours * 3600)))
        return {"expires": expires, "signature": _signature(file, expires)}

    def check_link(self, file: KeptFile, expires: str, signature: str) -> None:
        """Raises `Forbidden` for a link that was not made by `sign`, or has expired."""
        if not hmac.compare_digest(_signature(file, expires).encode(), signature.encode("utf-8", "replace")):
            raise Forbidden("The link to the file is not one that this server made.", "Ask for a new one.")
        if int(expires) <= time.time():
            raise Forbidden("The link to the file has expired.", "Ask for a new one.")

    # --- a part of the server ---------------------------------------------------------------------

    async def prepare(self) -> None:
        """Nothing is needed before the first file."""

    async def start(self) -> None:
        while True:
            await briefly(self.sweep)
            await asyncio.sleep(_SWEEP_SECONDS)

    def trouble(self) -> str | None:
        return None

    async def close(self) -> None:
        """What is kept stays for the next server."""

    def sweep(self) -> None:
        """Erase what has expired, and what a server that died left half taken."""
        now = time.time()
        for path in self._root.glob("*/*"):
            with suppress(FileNotFoundError):
                if path.suffix == ".json":
                    file = self._known(path)
                    if file is None or file.expires_at <= now:
                        _erase(path)
                elif path.with_suffix(".json").exists():
                    continue
                elif path.stat().st_mtime < now - _ABANDONED_SECONDS:
                    path.unlink()
        with self._taking:
            for folder in self._root.glob("*"):
                with suppress(OSError):  # one that is not empty
                    folder.rmdir()

    def _folder(self, caller: str) -> Path:
        return self._root / hashlib.sha256(caller.encode("utf-8", "replace")).hexdigest()[:32]

    @staticmethod
    def _known(path: Path) -> KeptFile | None:
        try:
            return KeptFile(**json.loads(path.read_bytes()))
        except FileNotFoundError:
            return None
        except (ValueError, TypeError):
            log.warning("a kept file's description cannot be read: %s", path.name)
            return None


def _erase(description: Path) -> None:
    """The content first: a description without content is erased again by the next sweep."""
    description.with_suffix(".bin").unlink(missing_ok=True)
    description.unlink(missing_ok=True)


def _signature(file: KeptFile, expires: str) -> str:
    text = f"{file.id} {expires}".encode("utf-8", "replace")
    return hmac.new(bytes.fromhex(file.secret), text, "sha256").hexdigest()
