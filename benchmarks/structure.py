"""Text, tables, reading order, headings and facts of the CPU engine on pages whose structure is known.

python -m benchmarks.structure --data DIR [--furniture keep] [--keep DIR] [--json OUT] [--details]

DIR holds annotations as OmniDocBench's (`.json`, the pictures beside it or in `images/`) and facts as
olmOCR-bench's (`.jsonl`, the PDFs beside it), at any depth. Scored is the Markdown that the server would
answer with, PDFs drawn at 200 dpi, running headers and footers left out unless `--furniture keep`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from PIL import Image
from tqdm import tqdm

from airgap.client.scoring import as_json, show
from airgap.engines.ppocr.engine import RapidOcrEngine
from airgap.evaluation.folder import score_folder
from airgap.exporters.furniture import without_furniture
from airgap.exporters.markdown import page_markdown
from benchmarks.evaluate import read_page

DPI = 200


def pictures(data: Path) -> Iterator[tuple[str, Image.Image]]:
    """Each page's name, as `ocr eval` looks for it, and its picture in RGB."""
    for annotation in sorted(data.rglob("*.json")):
        for page in json.loads(annotation.read_text(encoding="utf-8")):
            name = Path(page["page_info"]["image_path"]).name
            path = next(
                p for p in (annotation.parent / name, annotation.parent / "images" / name) if p.is_file()
            )
            with Image.open(path) as image:
                yield path.stem, image.convert("RGB")
    for facts in sorted(data.rglob("*.jsonl")):
        lines = [json.loads(line) for line in facts.read_text(encoding="utf-8").splitlines() if line.strip()]
        for pdf, number in sorted({(line["pdf"], line["page"]) for line in lines}):
            yield f"{pdf.removesuffix('.pdf')}_pg{number}", drawn(facts.parent / pdf, number)


def drawn(pdf: Path, number: int) -> Image.Image:
    """A PDF page at 200 dpi."""
    import pymupdf

    with pymupdf.open(pdf) as opened:
        pixels = opened[number - 1].get_pixmap(dpi=DPI, alpha=False)
    return Image.frombytes("RGB", (pixels.width, pixels.height), pixels.samples)


async def read_all(data: Path, out: Path, furniture: str) -> float:
    """Write each page's Markdown to `out`. CPU seconds per page."""
    engine = RapidOcrEngine()
    await engine.start()
    count, started = 0, time.process_time()
    for name, image in tqdm(pictures(data), unit="page"):
        page, _ = await read_page(engine, image)
        path = out / f"{name}.md"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(
            page_markdown(without_furniture(page) if furniture == "drop" else page), encoding="utf-8"
        )
        count += 1
    seconds = (time.process_time() - started) / max(1, count)
    await engine.close()
    return seconds


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--furniture", choices=("keep", "drop"), default="drop")
    parser.add_argument("--keep", type=Path, help="folder for the Markdown of each page")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--details", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        out = arguments.keep or Path(folder)
        seconds = asyncio.run(read_all(arguments.data, out, arguments.furniture))
        report = score_folder(arguments.data, out)
    show(report, arguments.details)
    print(f"{seconds:.2f} CPU seconds a page")
    if arguments.json is not None:
        arguments.json.write_text(as_json(report), encoding="utf-8")


if __name__ == "__main__":
    main()
