"""What the processes run to write results, called here as they call it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pymupdf
import pytest

from airgap.core.document import Block, Box, Document, Page
from airgap.core.errors import InvalidOption, PdfPasswordRequired
from airgap.exporters import EXPORTERS
from airgap.exporters.writing import loaded, save, write, write_batch, write_sent
from process.pages import Limits, open_source

PAGE = Page(1, 600, 800, blocks=(Block("text", "hello there", (Box(60, 60, 300, 100),)),), raw="hello there")
DOCUMENT = Document((PAGE,), "fake", "fake", None)


@pytest.fixture
def original(tmp_path: Path) -> Path:
    path = tmp_path / "upload-1"
    with pymupdf.open() as document:
        document.new_page(width=300, height=400).draw_rect((30, 30, 150, 50), fill=0)
        document.save(path)
    return path


def test_which_formats_need_the_original_and_which_show_its_figures() -> None:
    assert {name for name, one in EXPORTERS.items() if one.shows_figures} == {"html", "docx"}
    assert {name for name, one in EXPORTERS.items() if one.file_target} == {"layout_pdf", "searchable_pdf"}
    needed = {name for name, one in EXPORTERS.items() if one.needs_source}
    assert needed == {"annotated", "images", "layout_pdf", "searchable_pdf"}


def test_a_document_comes_back_as_it_was_saved(tmp_path: Path) -> None:
    save(DOCUMENT, tmp_path / "d.json")
    assert loaded(str(tmp_path / "d.json")) == DOCUMENT


@pytest.mark.parametrize(
    "outputs", [["docx"], ["annotated"], ["searchable_pdf"], ["markdown", "json"], ["zip"]]
)
def test_formats_are_written_from_the_file_opened_anew(
    outputs: list[str], original: Path, tmp_path: Path
) -> None:
    save(DOCUMENT, tmp_path / "d.json")
    with open_source(original, name="report.v2.pdf", limits=Limits()) as source:
        opening = json.loads(json.dumps(source.opening))
    target = tmp_path / "out"
    write(str(tmp_path / "d.json"), opening, outputs, str(target))
    assert target.stat().st_size
    if outputs == ["zip"]:
        assert "report/report.md" in zipfile.ZipFile(target).namelist()


@pytest.mark.parametrize("output", ["annotated", "layout_pdf"])
def test_a_locked_original_is_opened_with_its_password(original: Path, tmp_path: Path, output: str) -> None:
    save(DOCUMENT, tmp_path / "d.json")
    with pymupdf.open(original) as document:
        document.save(locked := tmp_path / "locked", encryption=pymupdf.PDF_ENCRYPT_AES_256, user_pw="secret")
    sent = {"path": str(locked), "name": "a.pdf", "password": "secret", "keep_active_content": False}
    call: dict[str, Any] = {"limits": asdict(Limits()), "outputs": [output], "name": "a.pdf"}
    write_sent(str(tmp_path / "d.json"), sent, **call, target=str(target := tmp_path / "out"))
    assert target.stat().st_size
    with pytest.raises(PdfPasswordRequired):
        write_sent(str(tmp_path / "d.json"), {**sent, "password": None}, **call, target=str(target))


def test_a_batch_holds_every_file(original: Path, tmp_path: Path) -> None:
    save(DOCUMENT, tmp_path / "d.json")
    with open_source(original, name="a.pdf", limits=Limits()) as source:
        good = {
            "filename": "a.pdf",
            "error": None,
            "document": str(tmp_path / "d.json"),
            "source": source.opening,
        }
    bad = {"filename": "b.pdf", "error": {"code": "invalid_pdf", "message": "m", "remedy": "r"}}
    write_batch([good, bad], ["text"], True, str(tmp_path / "out.zip"))
    with zipfile.ZipFile(tmp_path / "out.zip") as archive:
        manifest = json.loads(archive.read("manifest.json"))
        assert "a.txt" in archive.namelist()
    assert [file["success"] for file in manifest["inputs"]] == [True, False]


def test_what_was_sent_is_checked(original: Path, tmp_path: Path) -> None:
    (tmp_path / "sent").write_text('{"pages": []}')
    target = str(tmp_path / "out")
    call: dict[str, Any] = {"limits": asdict(Limits()), "outputs": ["text"], "name": "x", "target": target}
    with pytest.raises(InvalidOption, match="pages"):
        write_sent(str(tmp_path / "sent"), None, **call)
    save(DOCUMENT, tmp_path / "sent")
    assert write_sent(str(tmp_path / "sent"), None, **call)["ledger"]["ok"] == 1
    with pytest.raises(InvalidOption, match="original"):
        write_sent(str(tmp_path / "sent"), None, **{**call, "outputs": ["zip"]})


_PARENT = """
import sys
from pathlib import Path
from airgap.exporters import searchable_pdf
searchable_pdf._run_child(Path(sys.argv[1]), 1)
"""


def test_the_searchable_process_dies_with_its_parent(tmp_path: Path) -> None:
    fifo = tmp_path / "job.json"
    os.mkfifo(fifo)  # read without end: the process waits for its job
    command = [sys.executable, "-c", _PARENT, str(fifo)]
    with subprocess.Popen(
        command, cwd=Path(__file__).parents[2], env=os.environ | {"SECRET_KEY": "hunter2"}
    ) as parent:
        child = None
        while child is None:
            assert parent.poll() is None
            children = Path(f"/proc/{parent.pid}/task/{parent.pid}/children").read_text().split()
            named = [
                pid
                for pid in children
                if b"searchable_pdf_child" in Path(f"/proc/{pid}/cmdline").read_bytes()
            ]
            child = int(named[0]) if named else None
            time.sleep(0.02)
        assert b"hunter2" not in Path(f"/proc/{child}/environ").read_bytes()
        job = opened_once_read(fifo)
        parent.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 30
    while Path(f"/proc/{child}").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not Path(f"/proc/{child}").exists()
    os.close(job)


def command_of(pid: str) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()


def opened_once_read(fifo: Path) -> int:
    """The fifo, for writing, as soon as somebody has opened it for reading."""
    while True:
        try:
            return os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:
            time.sleep(0.02)
