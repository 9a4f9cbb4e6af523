"""A document of a thousand pages on the page: does it scroll and search without a stumble?

    python -m benchmarks.long_document [--pages 1000]

A real server, a real Chromium, real pictures. The pages are the samples', over and over; each different
one is read once by the CPU engine and remembered, so that what is measured is the page, not the reading.
Frames are timed in the browser, from one animation frame to the next. Needs requirements-browser.txt.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pymupdf
from PIL.Image import Image
from playwright.sync_api import Page, expect, sync_playwright

from airgap.core.document import ReadOptions
from airgap.core.engine import Events, PageRead
from airgap.engines import table
from airgap.engines.ppocr.engine import RapidOcrEngine
from airgap.engines.table import EngineSpec
from tests.browser.conftest import CHROMIUM, FLAGS
from tests.conftest import ROOT, free_port, wait_until_ready

SAMPLES = ("booklet.pdf", "english.png", "table.png", "german_scan.png", "traditional_chinese.png")

# Times every frame until told to stop; a frame is late by what the one before it took.
WATCH = """() => {
  window.frames_ = [];
  let last = performance.now();
  const step = (now) => {
    window.frames_.push(now - last);
    last = now;
    window.watching = requestAnimationFrame(step);
  };
  window.watching = requestAnimationFrame(step);
}"""
TAKE = "() => { cancelAnimationFrame(window.watching); return window.frames_.slice(1); }"

# A person's wheel: a few hundred pixels a frame, all the way down, then jumps.
SCROLL = """async (frames) => {
  const view = document.querySelector('.pages');
  const frame = () => new Promise(requestAnimationFrame);
  for (let i = 0; i < frames; i++) { view.scrollTop += 240; await frame(); }
}"""
IDLE = "(milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds))"
JUMP = """async (times) => {
  const view = document.querySelector('.pages');
  for (let i = 1; i <= times; i++) {
    view.scrollTop = view.scrollHeight * ((i * 0.618) % 1);
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
}"""


class RememberingEngine(RapidOcrEngine):
    """The CPU engine, which reads a picture that it has read before from memory."""

    _read: dict[str, PageRead] = {}  # noqa: RUF012

    async def read(self, images: Sequence[Image], options: ReadOptions) -> Events:
        key = hashlib.sha256(images[0].tobytes()).hexdigest()
        if key not in self._read:
            async for event in super().read(images, options):
                if isinstance(event, PageRead):
                    self._read[key] = event
        yield self._read[key]


def serve() -> int:
    """Be the server of this benchmark."""
    arguments = table.ENGINES["rapidocr"].arguments
    table.ENGINES["rapidocr"] = EngineSpec("benchmarks.long_document:RememberingEngine", arguments)
    from serve_ocr import main as run

    return run()


def make_pdf(path: Path, pages: int) -> None:
    with pymupdf.open() as book, pymupdf.open() as cycle:
        for name in SAMPLES:
            with pymupdf.open(ROOT / "samples" / name) as sample:
                if sample.is_pdf:
                    cycle.insert_pdf(sample)
                else:
                    with pymupdf.open("pdf", sample.convert_to_pdf()) as converted:
                        cycle.insert_pdf(converted)
        while len(book) < pages:
            book.insert_pdf(cycle, to_page=min(len(cycle), pages - len(book)) - 1)
        book.save(path, garbage=4, deflate=True)


def summary(frames: list[float]) -> dict[str, float]:
    frames = sorted(frames)
    return {
        "frames": len(frames),
        "median_ms": round(frames[len(frames) // 2], 1),
        "p99_ms": round(frames[int(len(frames) * 0.99)], 1),
        "longest_ms": round(frames[-1], 1),
        "over_100_ms": sum(frame > 100 for frame in frames),
    }


def timed(page: Page, work: str, argument: int) -> dict[str, float]:
    page.evaluate(WATCH)
    page.evaluate(work, argument)
    return summary(page.evaluate(TAKE))


def search(page: Page) -> dict[str, float]:
    """Type words letter by letter and go from hit to hit."""
    page.evaluate(WATCH)
    box = page.get_by_role("searchbox")
    for word in ("nation", "Jupiter", "the"):
        box.press_sequentially(word, delay=80)
        expect(page.locator(".find-state")).to_contain_text(" of ")
        for _ in range(10):
            page.keyboard.press("Enter")
            page.wait_for_timeout(150)
        box.fill("")
    return summary(page.evaluate(TAKE))


def measure(url: str, pdf: Path, pages: int) -> dict[str, Any]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        page = browser.new_context(viewport={"width": 1440, "height": 900}, locale="en-GB").new_page()
        expect.set_options(timeout=1_800_000)
        page.goto(f"{url}/ui/")
        expect(page.locator(".engine.ready")).to_be_visible()
        page.set_input_files("input[data-kind=files]", pdf)
        page.get_by_role("button", name="Read", exact=True).click()
        expect(page.locator(".toolbar .badge.done")).to_be_visible()
        expect(page.locator(".progress .numbers")).to_contain_text(f"{pages} of {pages}")
        page.wait_for_timeout(2000)
        results: dict[str, Any] = {
            "idle": timed(page, IDLE, 10_000),
            "scroll": timed(page, SCROLL, 900),
            "jump": timed(page, JUMP, 40),
            "search": search(page),
        }
        results["drawn_pages"] = page.locator(".page").count()
        results["drawn_thumbnails"] = page.locator(".thumbnail").count()
        results["elements"] = page.evaluate("document.querySelectorAll('*').length")
        browser.close()
    return results


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--pages", type=int, default=1000)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        return serve()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_pdf(folder / "book.pdf", arguments.pages)
        port = free_port()
        settings = {"HOST": "127.0.0.1", "PORT": str(port), "DATA_DIR": name, "BACKEND": "rapidocr"}
        log = folder / "server.log"
        with log.open("w") as output:
            server = subprocess.Popen(
                [sys.executable, "-m", "benchmarks.long_document", "--serve"],
                cwd=ROOT,
                env=os.environ | settings,
                stdout=output,
                stderr=output,
            )
        try:
            wait_until_ready(f"http://127.0.0.1:{port}", server, log)
            results = measure(f"http://127.0.0.1:{port}", folder / "book.pdf", arguments.pages)
        finally:
            server.terminate()
            server.wait(60)
    print(json.dumps({"pages": arguments.pages, "cores": os.cpu_count(), **results}, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
