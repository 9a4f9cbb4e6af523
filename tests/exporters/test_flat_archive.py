"""A flat ZIP of several documents with figures: each text shows its own."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

from PIL import Image

from airgap.core.document import Block, Box, Document, Page
from airgap.exporters.archive import Archive


class Original:
    """A picture of one colour, as the source of one page."""

    media_type = "image/png"
    kind = "image"
    numbers = (1,)

    def __init__(self, name: str, colour: str) -> None:
        self.name = name
        self.colour = colour
        self.path = colour.encode()

    def image(self, number: int) -> Image.Image:
        return Image.new("RGB", (100, 100), self.colour)


def document(text: str) -> Document:
    blocks = (Block("text", text, ()), Block("image", "", (Box(10, 10, 60, 60),)))
    return Document((Page(1, 100, 100, "ok", blocks, text),), "engine", "model", None)


def test_the_figures_of_several_documents(tmp_path: Path) -> None:
    path = tmp_path / "flat.zip"
    with Archive(path, ("markdown", "images"), flat=True) as archive:
        for name, colour in (("a.png", "red"), ("b.png", "blue")):
            archive.add(name, document("see images/1_1.jpg"), Original(name, colour))  # type: ignore[arg-type]
    with zipfile.ZipFile(path) as found:
        members = found.namelist()
        assert len(set(members)) == len(members)
        for name, seen in (("a", (254, 0, 0)), ("b", (0, 0, 254))):
            text = found.read(f"{name}.md").decode()
            (link,) = re.findall(r"!\[\]\((images/[^)]+)\)", text)
            with Image.open(found.open(link)) as picture:
                assert picture.getpixel((20, 20)) == seen
            assert "see images/1_1.jpg" in text, "what was read stays as it was read"
