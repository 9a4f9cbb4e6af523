"""Headings → bookmarks of a PDF, each at its place on the page. Works in the searchable PDF's own process."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pikepdf
from pikepdf import OutlineItem

from airgap.exporters.ocrmypdf_plugin import Rectangle

MAX_TITLE = 500


def add_bookmarks(pdf: pikepdf.Pdf, job: dict[str, Any]) -> None:
    """Add what `job["outline"]` lists; a PDF that has bookmarks keeps its own alone."""
    # Whether there are bookmarks is all that is asked of them: they may be hostile.
    if not job["outline"] or "/First" in pdf.Root.get("/Outlines", {}):
        return
    sizes = {page["index"]: (page["width"], page["height"]) for page in job["pages"]}
    with pdf.open_outline() as outline:
        above: list[tuple[int, OutlineItem]] = []
        for entry in job["outline"]:
            if entry["index"] >= len(pdf.pages):
                continue
            item = _item(pdf.pages[entry["index"]], entry, sizes.get(entry["index"]))
            while above and above[-1][0] >= entry["level"]:
                above.pop()
            (above[-1][1].children if above else outline.root).append(item)
            above.append((entry["level"], item))


def _item(page: pikepdf.Page, entry: dict[str, Any], size: tuple[float, float] | None) -> OutlineItem:
    title, index = entry["title"][:MAX_TITLE], entry["index"]
    if entry["box"] is None or size is None or rotation(page):
        return OutlineItem(title, index, "Fit")
    left, bottom, right, top = media_and_crop(page)[1]
    x = left + entry["box"][0] * (right - left) / max(1, size[0])
    y = top - entry["box"][1] * (top - bottom) / max(1, size[1])
    return OutlineItem(title, index, "XYZ", left=round(x, 2), top=round(y, 2), zoom=0)


def media_and_crop(page: pikepdf.Page) -> tuple[Rectangle, Rectangle]:
    """A page's media box, and the part of it that viewers show; points, x0, y0, x1, y1."""
    media, crop = _rectangle(page.mediabox), _rectangle(page.cropbox)
    crop = (max(media[0], crop[0]), max(media[1], crop[1]), min(media[2], crop[2]), min(media[3], crop[3]))
    return media, media if crop[2] <= crop[0] or crop[3] <= crop[1] else crop


def _rectangle(values: Iterable[Any]) -> Rectangle:
    x0, y0, x1, y1 = (float(value) for value in values)
    return min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)


def rotation(page: pikepdf.Page) -> int:
    """By how many degrees, clockwise, viewers turn a page: 0, 90, 180 or 270; its own or what it inherits."""
    stated = int(page.obj.get("/Rotate", _inherited_rotation(page))) % 360
    return (stated + 45) // 90 * 90 % 360  # as MuPDF takes what is no quarter turn


def _inherited_rotation(page: pikepdf.Page) -> int:
    node: pikepdf.Object = page.obj
    depth = 0
    while "/Parent" in node and depth < 50:
        node, depth = node["/Parent"], depth + 1
        if "/Rotate" in node:
            return int(node["/Rotate"])
    return 0
