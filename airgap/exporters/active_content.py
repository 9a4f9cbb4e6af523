"""What in a PDF acts, reaches out or carries files: found, said in words, and taken off.

Pages look the same without it. Links that a reader has to click stay; what starts by itself does not,
wherever it leads. It knows PDF's objects and nothing of where the file comes from.

Source of the names: ISO 32000-2, 12.6 (actions), 7.11 (files), 13 (multimedia), 12.7.8 (XFA).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import pikepdf
from pikepdf import Array, Dictionary, Name, Object, Stream

STARTED = "actions that start by themselves"
ATTACHMENT, MEDIA, XFA, ELSEWHERE = "attachments", "media", "XFA form", "content of other files"

_ACTIVE = {
    "/JavaScript": "JavaScript",
    "/Launch": "Launch",
    "/SubmitForm": "SubmitForm",
    "/ImportData": "ImportData",
    "/GoToR": "GoToR",
    "/GoToE": "GoToE",
    "/Rendition": MEDIA,
    "/Movie": MEDIA,
    "/Sound": MEDIA,
    "/RichMediaExecute": MEDIA,
}
_HARMLESS = frozenset(
    [
        "/GoTo",
        "/GoToDp",
        "/GoTo3DView",
        "/Hide",
        "/Named",
        "/ResetForm",
        "/SetOCGState",
        "/Thread",
        "/Trans",
        "/URI",
    ]
)
_OF_CATALOG = {"/Collection": ATTACHMENT, "/NeedsRendering": XFA}
_OF_NAMES = {"/JavaScript": "JavaScript", "/EmbeddedFiles": ATTACHMENT, "/Renditions": MEDIA}
_OF_ANNOTATIONS = {
    "/FileAttachment": {"/FS": ATTACHMENT},
    "/Movie": {"/Movie": MEDIA},
    "/Sound": {"/Sound": MEDIA},
    "/RichMedia": {"/RichMediaContent": MEDIA, "/RichMediaSettings": MEDIA},
    "/3D": {"/3DD": MEDIA},
}
_FILES = frozenset(["/F", "/UF", "/DOS", "/Mac", "/Unix"])
_MOST_NAMES, _MOST_PAGES, _LONGEST_NAME = 5, 10, 40


@dataclass(frozen=True, slots=True)
class Finding:
    """An entry of `holder` that is active. `page` counts from 1; None is the document itself."""

    kind: str
    page: int | None
    holder: Object
    key: str | int
    name: str = ""


@pikepdf.explicit_conversion()
def active_content(pdf: pikepdf.Pdf) -> list[Finding]:
    """All that is active in a PDF and can be reached in it. Nothing is changed.

    A file may lie about the kind of any value, and refer in circles: each object is looked at once.
    """
    seen = {pdf.Root.objgen, *(page.obj.objgen for page in pdf.pages)}
    found = [*_of_document(pdf.Root)]
    for number, page in enumerate(pdf.pages, 1):
        found += [finding for holder in _within(page.obj, seen) for finding in _of(holder, number)]
    found += [finding for holder in _within(pdf.Root, seen) for finding in _of(holder, None)]
    return found


@pikepdf.explicit_conversion()
def take_off(findings: Sequence[Finding]) -> None:
    """Remove what `active_content` found, from the last to the first: places in arrays count on."""
    for finding in reversed(findings):
        if isinstance(finding.key, int) or finding.key in finding.holder:
            del finding.holder[finding.key]


def in_words(findings: Iterable[Finding]) -> str:
    """`JavaScript (document, pages 1, 4), attachments (document: 'a.xml')`: short, whatever was found."""
    pages: dict[str, dict[int | None, None]] = defaultdict(dict)
    names: dict[str, dict[str, None]] = defaultdict(dict)
    for finding in findings:
        pages[finding.kind][finding.page] = None
        if finding.name:
            names[finding.kind][finding.name] = None
    return ", ".join(f"{kind} ({_places(pages[kind])}{_names(names[kind])})" for kind in pages)


def _places(found: Iterable[int | None]) -> str:
    numbers = [str(number) for number in found if number is not None]
    words = ["document"] if None in found else []
    if numbers:
        words.append(f"page{'s' * (len(numbers) > 1)} {_short(numbers, _MOST_PAGES)}")
    return ", ".join(words)


def _names(found: Iterable[str]) -> str:
    names = [repr(name[:_LONGEST_NAME]) for name in found]
    return f": {_short(names, _MOST_NAMES)}" if names else ""


def _short(words: Sequence[str], most: int) -> str:
    more = f" and {len(words) - most} more" if len(words) > most else ""
    return ", ".join(words[:most]) + more


def _within(start: Object, seen: set[tuple[int, int]]) -> Iterator[Object]:
    """`start` and every dictionary and array below it that is not in `seen`, which grows."""
    waiting = [start]
    while waiting:
        holder = waiting.pop()
        yield holder
        for _, value in _entries(holder):
            if isinstance(value, Dictionary | Array | Stream) and value.objgen not in seen:
                if value.is_indirect:
                    seen.add(value.objgen)
                waiting.append(value)


def _entries(holder: Object) -> list[tuple[str | int, Object]]:
    if isinstance(holder, Array):
        return list(enumerate(holder))
    return list(holder.items())


def _of(holder: Object, page: int | None) -> Iterator[Finding]:
    """What is active in one dictionary or array itself, not in those below it."""
    for key, value in _entries(holder):
        kind = _kind_of(key, value)
        if kind:
            yield Finding(kind, page, holder, key, _file_name(holder) if key == "/EF" else "")
    if not isinstance(holder, Array):
        yield from _of_annotation(holder, page)
        yield from _of_stream(holder, page)


def _kind_of(key: str | int, value: Object) -> str | None:
    if key == "/EF" and _holds_files(value):
        return ATTACHMENT
    if key == "/AF" and any(_holds_files(spec.get("/EF")) for spec in _dictionaries(value)):
        return ATTACHMENT
    if key == "/AA" and isinstance(value, Dictionary):
        return STARTED if any(_action(event) for _, event in _entries(value)) else None
    action = _action(value)
    if action == "/Thread" and "/F" in value:
        return ELSEWHERE
    return _ACTIVE.get(action) if action else None


def _of_annotation(holder: Object, page: int | None) -> Iterator[Finding]:
    kind = holder.get("/Subtype")
    keys = _OF_ANNOTATIONS.get(str(kind), {}) if isinstance(kind, Name) else {}
    yield from (Finding(what, page, holder, key) for key, what in keys.items() if key in holder)


def _of_stream(holder: Object, page: int | None) -> Iterator[Finding]:
    """Data or a page that a stream takes from another file. A name under /F is short for a filter's."""
    if isinstance(holder, Stream):
        for key in ("/F", "/Ref"):
            if isinstance(holder.get(key), Dictionary | pikepdf.String):
                yield Finding(ELSEWHERE, page, holder, key)


def _of_document(root: Object) -> Iterator[Finding]:
    """What is active for where it stands in the catalog."""
    if "/OpenAction" in root and not _only_shows(root["/OpenAction"]):
        yield Finding(STARTED, None, root, "/OpenAction")
    places = ((root, _OF_CATALOG), (root.get("/Names"), _OF_NAMES), (root.get("/AcroForm"), {"/XFA": XFA}))
    for holder, keys in places:
        if isinstance(holder, Dictionary):
            yield from (Finding(kind, None, holder, key) for key, kind in keys.items() if key in holder)


def _only_shows(action: Object) -> bool:
    """Whether what is done on opening is to show a place in the document, and no more."""
    return isinstance(action, Array | Name | pikepdf.String) or (
        _action(action) == "/GoTo" and "/Next" not in action
    )


def _action(value: Object) -> str | None:
    """The kind of an action; None for what is none."""
    if not isinstance(value, Dictionary | Stream):
        return None
    kind = value.get("/S")
    return str(kind) if isinstance(kind, Name) and (kind in _ACTIVE or str(kind) in _HARMLESS) else None


def _holds_files(value: Object | None) -> bool:
    """Whether a value under /EF is what it is called: a font may have that name, too."""
    if not isinstance(value, Dictionary):
        return False
    return any(key in _FILES and isinstance(file, Stream) for key, file in value.items())


def _dictionaries(value: Object) -> list[Object]:
    items = list(value) if isinstance(value, Array) else [value]
    return [item for item in items if isinstance(item, Dictionary)]


def _file_name(spec: Object) -> str:
    names = (spec.get(key) for key in ("/UF", "/F"))
    return next((str(name) for name in names if isinstance(name, pikepdf.String)), "")
