"""What a file is, by what is in it; its name is never asked.

This module knows nothing about decoding a file, nor about what is done with it.
"""

from __future__ import annotations

from pathlib import Path

from airgap.core.errors import EmptyFile

HEAD_BYTES = 4096
"""How many bytes from the start of a file `sniff` needs."""

_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"\xff\xd8\xff", "jpeg"),
    (b"II*\0", "tiff"),
    (b"MM\0*", "tiff"),
    (b"II+\0", "tiff"),
    (b"MM\0+", "tiff"),
    (b"GIF87a", "gif"),
    (b"GIF89a", "gif"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "jp2"),
    (b"\xff\x4f\xff\x51", "jp2"),
    (b"PK\x03\x04", "zip"),
    (b"PK\x05\x06", "zip"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "ole"),
    (b"\0\0\x01\0", "ico"),
    (b"%!PS", "postscript"),
    (b"\xc5\xd0\xd3\xc6", "postscript"),
    (b"8BPS", "psd"),
    (b"AT&TFORM", "djvu"),
    (b"\xff\x0a", "jxl"),
    (b"\0\0\0\x0cJXL ", "jxl"),
    (b"\x1f\x8b", "gzip"),
    (b"Rar!", "rar"),
    (b"7z\xbc\xaf", "7z"),
    (b"{\\rtf", "rtf"),
)

NAMES = {
    "pdf": "a PDF",
    "zip": "a ZIP archive",
    "office": "an Office document",
    "mail": "a mail",
    "ole": "an old Office document",
    "ico": "an icon",
    "postscript": "PostScript",
    "psd": "a Photoshop document",
    "djvu": "DjVu",
    "jxl": "JPEG XL",
    "video": "a video",
    "gzip": "a gzip archive",
    "rar": "a RAR archive",
    "7z": "a 7z archive",
    "rtf": "RTF",
    "svg": "an SVG drawing",
    "html": "HTML",
    "xml": "XML",
}
"""In words, the kinds that are known and not read as a picture."""

OFFICE_KINDS = frozenset({"office", "ole", "rtf", "html", "xml", "mail"})
"""What another program can print into a PDF."""

_OFFICE_ENTRIES = (b"[Content_Types].xml", b"_rels/.rels", b"docProps/", b"word/", b"xl/", b"ppt/")
_OFFICE_TYPES = (b"mimetypeapplication/vnd.oasis.", b"mimetypeapplication/epub")
"""How the first entry of an archive begins, name and, where it is stored as it is, content."""

_AVIF_BRANDS = {b"avif", b"avis"}
_HEIF_BRANDS = {
    b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1", b"mif2",
}  # fmt: skip
_BMP_HEADER_SIZES = {12, 16, 40, 52, 56, 64, 108, 124}


def sniff(head: bytes) -> str | None:
    """What a file is, by its first `HEAD_BYTES` bytes; None when nothing known.

    Pictures and `pdf` can be read; the kinds in `NAMES` are known so that a refusal can say what was
    sent. A PDF's header may follow up to 1 KiB of other bytes (ISO 32000, annex on implementation
    limits), so it is looked for last.
    """
    for magic, kind in _MAGIC:
        if head.startswith(magic):
            return "office" if kind == "zip" and _is_office(head) else kind
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "webp"
    if head[4:8] == b"ftyp":
        return _sniff_ftyp(head)
    if head[:2] == b"BM" and int.from_bytes(head[14:18], "little") in _BMP_HEADER_SIZES:
        return "bmp"
    if b"%PDF-" in head[:1029]:
        return "pdf"
    return _sniff_markup(head)


def _is_office(head: bytes) -> bool:
    """Whether an archive is a document: by its first entry, or the list of types that Office demands."""
    return head[30:].startswith(_OFFICE_ENTRIES + _OFFICE_TYPES) or b"[Content_Types].xml" in head


def _sniff_ftyp(head: bytes) -> str:
    size = min(int.from_bytes(head[:4], "big"), len(head))
    brands = {head[8:12]} | {head[at : at + 4] for at in range(16, size - 3, 4)}
    if brands & _AVIF_BRANDS:
        return "avif"
    return "heif" if brands & _HEIF_BRANDS else "video"


def _sniff_markup(head: bytes) -> str | None:
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if not text.startswith(b"<"):
        return "mail" if b"\nmime-version:" in b"\n" + text and b"\0" not in text else None
    if b"<svg" in text:
        return "svg"
    if b"<html" in text or text.startswith(b"<!doctype html"):
        return "html"
    return "xml" if text.startswith(b"<?xml") else None


def sniff_file(data: bytes | Path) -> str | None:
    """`sniff` for bytes or a file. Raises `EmptyFile` for one without a byte."""
    if isinstance(data, Path):
        with data.open("rb") as file:
            head = file.read(HEAD_BYTES)
    else:
        head = data[:HEAD_BYTES]
    if not head:
        raise EmptyFile("The file is empty.")
    return sniff(head)
