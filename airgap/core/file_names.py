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
_DRIVE = re.compile(r"[A-Za-z]:")
_MAX_BYTES = 150
_MAX_SHOWN = 255


def shown_name(filename: str | None, otherwise: str = "upload") -> str:
    """A client's own name for its file, with its folders, for answers and manifests: never a path here.

    Folders are parted by `/` and lead down only: no root, no drive, no `..`. Of a name that is too long the
    end stays.
    """
    shown = "/".join(_parts((filename or "").encode("utf-8", "replace").decode("utf-8")))
    return shown[-_MAX_SHOWN:].lstrip("/") or otherwise


def _parts(path: str) -> list[str]:
    """The parts of a path that lead down."""
    parts = path.replace("\\", "/").split("/")
    return [part for part in parts if part.strip(". ") and not _DRIVE.fullmatch(part)]


def safe_stem(filename: str) -> str:
    """The file's name without folders and suffix, of characters that every file system takes.

    Letters of any script, spaces and most signs stay, so that results can be matched to inputs by name;
    what only steers how text is shown (Unicode's Cf) goes. At most 150 bytes of UTF-8, never empty.
    """
    return _safe(_SUFFIX.sub("", filename.replace("\\", "/").rsplit("/", 1)[-1])) or "file"


def _safe(part: str) -> str:
    """A part of a path; empty where nothing of it can stay."""
    normal = unicodedata.normalize("NFC", part)
    shown = "".join(character for character in normal if unicodedata.category(character) != "Cf")
    safe = _UNSAFE.sub("_", shown).encode("utf-8")[:_MAX_BYTES].decode("utf-8", "ignore")
    safe = re.sub(r"\s+", " ", safe).strip("._ ")
    return f"_{safe}" if _RESERVED.fullmatch(safe) else safe


class UniqueNames:
    """Safe, unique names for the names that clients send, whatever the case of their letters."""

    def __init__(self) -> None:
        self._claimed: set[str] = set()
        self._folders: set[str] = set()

    def claim(self, filename: str) -> str:
        """A name without folders that no earlier call returned."""
        return self._free("", safe_stem(filename), self._claimed | self._folders, self._claimed)

    def claim_below(self, filename: str) -> str:
        """As `claim`, below the folders of `filename`: a path to write to, parted by `/`.

        No path that was claimed lies in another: results in a folder are not mixed with another's.
        """
        above = ""
        for folder in filter(None, map(_safe, _parts(filename.replace("\\", "/").rpartition("/")[0]))):
            above = f"{self._free(above, folder, self._claimed, self._folders)}/"
        return self._free(above, safe_stem(filename), self._claimed | self._folders, self._claimed)

    @staticmethod
    def _free(above: str, part: str, taken: set[str], into: set[str]) -> str:
        name, number = f"{above}{part}", 1
        while name.casefold() in taken:
            number += 1
            name = f"{above}{part}_{number}"
        into.add(name.casefold())
        return name
