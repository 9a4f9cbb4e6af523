"""The picture that stands where a page or a figure could not be shown.

A gap that is seen can be asked about; a page that is simply missing cannot.
"""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

A4_PIXELS = (1240, 1754)


def placeholder(size: tuple[int, int], lines: Sequence[str]) -> Image.Image:
    """A framed grey picture of `size` (A4 at 150 dpi where that is zero) with the lines in its middle."""
    width, height = size if min(size) > 0 else A4_PIXELS
    image = Image.new("RGB", (width, height), (236, 236, 236))
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 0, width - 1, height - 1), outline=(150, 30, 30), width=max(1, width // 300))
    font = ImageFont.load_default(max(8, width // 36))
    text = "\n".join(
        _wrapped(line, max(8, round(width * 0.9 / (max(8, width // 36) * 0.55)))) for line in lines
    )
    draw.multiline_text(
        (width / 2, height / 2), text, fill=(110, 20, 20), font=font, anchor="mm", align="center"
    )
    return image


def _wrapped(line: str, columns: int) -> str:
    words = "".join(c if c.isprintable() else " " for c in line)[:600].split()
    rows = [""]
    for word in words:
        if rows[-1] and len(rows[-1]) + 1 + len(word) > columns:
            rows.append("")
        rows[-1] = f"{rows[-1]} {word}".strip()
    return "\n".join(rows)
