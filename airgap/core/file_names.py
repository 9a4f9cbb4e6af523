"""Names that clients give to files → names that are safe to show, and to use in a path of ours.

It knows no file and no folder; whoever writes one decides where.
"""

from __future__ import annotations

import re
import unicodedata

_SUFFIX = re.compile(r"\.[A-Za-z0-9]{1,5}$")
# What no common file system or unpacker stumbles over: without control characters and Windows' reserved ones.
_UNSAFE = re.compile(r'[\x00-\x1f\x7f-\x9f\ud800-\udfff<>:"/\\|?*]+')
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
_MAX_BYTES = 150
_MAX_SHOWN = 255


def shown_name(filename: str | None, otherwise: str = "upload") -> str:
    """A client's own name for its file, without folders, for answers and manifests: never a path here."""
    last = (filename or "").replace("\\", "/").rsplit("/", 1)[-1]
    return last.encode("utf-8", "replace").decode("utf-8")[:_MAX_SHOWN] or otherwise


def safe_stem(filename: str) -> str:
    """The file's name without folders and suffix, of characters that every file system takes.

    Letters of any script, spaces and most signs stay, so that results can be matched to inputs by name;
    what only steers how text is shown (Unicode's Cf) goes. At most 150 bytes of UTF-8, never empty.
    """
    last = unicodedata.normalize("NFC", filename).replace("\\", "/").rsplit("/", 1)[-1]
    shown = "".join(character for character in last if unicodedata.category(character) != "Cf")
    safe = _UNSAFE.sub("_", _SUFFIX.sub("", shown)).encode("utf-8")[:_MAX_BYTES].decode("utf-8", "ignore")
    safe = re.sub(r"\s+", " ", safe).strip("._ ")
    return f"_{safe}" if _RESERVED.fullmatch(safe) else safe or "file"


class UniqueNames:
    """Safe, unique folder names for the names that clients send."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def claim(self, filename: str) -> str:
        """A name for `filename` that no earlier call returned, whatever the case of its letters."""
        stem = safe_stem(filename)
        name, number = stem, 1
        while name.casefold() in self._taken:
            number += 1
            name = f"{stem}_{number}"
        self._taken.add(name.casefold())
        return name
