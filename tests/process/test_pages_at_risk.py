"""Pages that hang, eat memory or are damaged, and children that die: each costs itself alone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pymupdf
import pytest

from airgap.core.errors import (
    AirgapError,
    InvalidPdf,
    PageRenderFailed,
    PageTimeout,
)
from process import pages
from process.child_pool import shared_pool
from process.pages import Limits, PageImage
from tests.process.files import ROBUST, opened, pdf, same


def test_damage_is_said() -> None:
    with opened(ROBUST / "bomb-image-declared-200000x200000.pdf") as source:
        assert pages.DAMAGED in source.render(2).warnings
        assert pages.DAMAGED not in source.render(1).warnings


BOMB = ROBUST / "bomb-nested-forms-10e8.pdf"
"""Page 2 of 3 is drawn without end; the others are good."""


def test_a_page_without_end_costs_itself_alone() -> None:
    limits = Limits(page_timeout_seconds=2, render_workers=1)
    with opened(BOMB, limits) as source:
        before = [source.image(1), source.image(3)]
        with pytest.raises(PageTimeout) as caught:
            source.render(2)
        assert "PDF_PAGE_TIMEOUT_SECONDS" in caught.value.remedy
        assert same(source.image(1), before[0])
        assert same(source.image(3), before[1])


def test_a_page_that_eats_memory_costs_itself_alone() -> None:
    limits = Limits(max_image_pixels=150_000_000, page_memory_mb=256, render_workers=1)
    with pymupdf.open() as document:
        for side in (300, 14400):
            document.new_page(width=side, height=side)
        data = document.tobytes()
    with opened(data, limits) as source:
        with pytest.raises(PageRenderFailed, match="256 MB"):
            source.render(2)
        assert source.render(1).image.size == (600, 600)


def _is_dead(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] in "ZX"
    except OSError:
        return True


def test_killing_a_child_mid_page_costs_that_page_alone() -> None:
    with opened(BOMB) as source:
        clean = source.image(1)
        (child,) = shared_pool(1).pids
        seen: list[Exception] = []

        def render() -> None:
            try:
                source.render(2)
            except AirgapError as error:
                seen.append(error)

        thread = threading.Thread(target=render)
        thread.start()
        time.sleep(0.5)  # into the page, which never ends by itself
        os.kill(child, signal.SIGKILL)
        thread.join()
        assert [type(error) for error in seen] == [PageRenderFailed]
        assert same(source.image(1), clean)
        assert not source.render(3).blank
        assert child not in shared_pool(1).pids


def test_a_child_killed_while_idle_costs_nothing() -> None:
    with opened(pdf("here")) as source:
        clean = source.image(1)
        (child,) = shared_pool(1).pids
        os.kill(child, signal.SIGKILL)
        while not _is_dead(child):
            time.sleep(0.01)
        assert same(source.image(1), clean)


_SERVER = """
import sys, threading, time
from pathlib import Path
from process.pages import Limits, open_source
from process.child_pool import shared_pool
limits = Limits(page_timeout_seconds=600, render_workers=1)
source = open_source(Path(sys.argv[1]), name="x", limits=limits)
threading.Thread(target=source.render, args=(2,), daemon=True).start()
time.sleep(0.5)
print(*shared_pool(1).pids, flush=True)
time.sleep(600)
"""


def test_children_do_not_outlive_the_server_even_mid_page() -> None:
    command = [sys.executable, "-c", _SERVER, str(BOMB)]
    root = Path(__file__).parents[2]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root) as server:
        assert server.stdout is not None
        child = int(server.stdout.readline())
        assert not _is_dead(child)
        server.kill()
    while not _is_dead(child):  # the test's own time limit is shorter than the page's
        time.sleep(0.05)


def test_closing_gives_the_document_up() -> None:
    source = opened(pdf("x"))
    source.render(1)
    (child,) = shared_pool(1).pids
    fds = [str(fd.readlink()) for fd in Path(f"/proc/{child}/fd").iterdir()]
    assert any(fd.endswith("/source") for fd in fds)
    source.close()
    source.close()
    fds = [str(fd.readlink()) for fd in Path(f"/proc/{child}/fd").iterdir()]
    assert not any(fd.endswith("/source") for fd in fds)


@pytest.mark.parametrize(
    ("name", "count"),
    [("xref-loop-30-pages.pdf", 30), ("fuzz-count-9999999999.pdf", 1), ("enc-attachment-only.pdf", 1)],
)
def test_the_second_renderer_opens_what_the_first_cannot(name: str, count: int) -> None:
    with opened(ROBUST / name) as source:
        assert source.page_count == count
        seen = source.render(count)
    assert not seen.blank
    assert pages.SECOND_RENDERER in seen.warnings


@pytest.mark.parametrize(
    "name",
    ["page-tree-recursive.pdf", "zero-pages-valid.pdf", "header-and-eof-only.pdf", "corrupted-1kb.pdf"],
)
def test_a_pdf_without_pages_is_refused(name: str) -> None:
    with pytest.raises(InvalidPdf):
        opened(ROBUST / name)


@pytest.mark.parametrize(
    ("name", "expected", "failing"),
    [("kids-null-missing-nonpage.pdf", 6, 1), ("odd-page-boxes.pdf", 9, 0)],
)
def test_no_page_of_a_damaged_document_is_lost(name: str, expected: int, failing: int) -> None:
    outcomes: list[PageImage | AirgapError] = []
    with opened(ROBUST / name) as source:
        for number in source.numbers:
            try:
                outcomes.append(source.render(number))
            except PageRenderFailed as error:
                outcomes.append(error)
    assert len(outcomes) == expected
    assert sum(isinstance(outcome, PageRenderFailed) for outcome in outcomes) == failing
