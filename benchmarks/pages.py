"""A folder of pages with ground truth: `manifest.csv` (name, kind, casefold), `{name}.png`, `{name}.txt`."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

from PIL import Image


@dataclass(frozen=True, slots=True)
class TruthPage:
    """One page: its kind, its picture, its true text, and whether case counts."""

    name: str
    kind: str
    picture: Path
    truth: str
    casefold: bool

    def load(self, rotate: int = 0) -> Image.Image:
        """The picture in RGB, turned clockwise by 0, 90, 180 or 270 degrees."""
        with Image.open(self.picture) as opened:
            image = opened.convert("RGB")
        turns = {
            90: Image.Transpose.ROTATE_270,
            180: Image.Transpose.ROTATE_180,
            270: Image.Transpose.ROTATE_90,
        }
        return image.transpose(turns[rotate]) if rotate else image


def read_pages(folder: Path, names: str | None = None) -> list[TruthPage]:
    """The pages of a folder in the manifest's order, or those of a comma-separated choice."""
    with (folder / "manifest.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    chosen = {name.strip() for name in names.split(",")} if names else {row["name"] for row in rows}
    unknown = chosen - {row["name"] for row in rows}
    if unknown:
        raise SystemExit(f"not in {folder / 'manifest.csv'}: {', '.join(sorted(unknown))}")
    return [
        TruthPage(
            row["name"],
            row["kind"],
            folder / f"{row['name']}.png",
            (folder / f"{row['name']}.txt").read_text(encoding="utf-8"),
            row.get("casefold") == "1",
        )
        for row in rows
        if row["name"] in chosen
    ]
