"""`ocrmypdf --plugin airgap_ocr`: the real program, with a server and with the engine in its own process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pymupdf
import pytest

from tests.conftest import ROOT
from tests.dialects.drawing import pdf


def ocrmypdf(scan: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if name not in ("OCR_URL", "OCR_API_KEY")}
    return subprocess.run(
        [
            sys.executable,
            "-m",
            "ocrmypdf",
            "--plugin",
            "airgap_ocr",
            *arguments,
            scan,
            scan.with_name("out.pdf"),
        ],
        env=kept | {"PYTHONPATH": str(ROOT), "BACKEND": "fake", "DATA_DIR": str(scan.parent)} | environment,
        cwd=scan.parent,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


def words(path: Path) -> list[list[str]]:
    with pymupdf.open(path) as document:
        return [page.get_text().split() for page in document]


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    path = tmp_path / "scan.pdf"
    path.write_bytes(pdf(2))
    return path


@pytest.mark.parametrize("where", ["server", "own process"])
def test_its_pages_hold_what_we_read(server: str, scan: Path, where: str) -> None:
    environment = {"OCR_URL": server} if where == "server" else {}
    arguments = ("--output-type", "pdf", "--sidecar", str(scan.with_name("out.txt")), "--jobs", "2")
    done = ocrmypdf(scan, *arguments, **environment)
    assert done.returncode == 0, done.stderr
    found = words(scan.with_name("out.pdf"))
    assert [page[:2] for page in found] == [["21", "20"], ["22", "20"]]
    assert all(len(page) == 8 for page in found)
    assert scan.with_name("out.txt").read_text().split()[:2] == ["21", "20"]
    assert "The fake engine was used" in done.stderr


@pytest.mark.slow
def test_programs_that_call_it_as_a_library_name_the_plug_in(server: str, scan: Path) -> None:
    """As paperless-ngx does with PAPERLESS_OCR_USER_ARGS."""
    code = (
        "import ocrmypdf, sys; ocrmypdf.ocr(*sys.argv[1:], output_type='pdf', **{'plugins': ['airgap_ocr']})"
    )
    environment = os.environ | {"OCR_URL": server, "PYTHONPATH": str(ROOT)}
    command: list[str | Path] = [
        sys.executable,
        "-c",
        f"if __name__ == '__main__':\n    {code}",
        scan,
        scan.with_name("out.pdf"),
    ]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert [page[:2] for page in words(scan.with_name("out.pdf"))] == [["21", "20"], ["22", "20"]]


@pytest.mark.slow
def test_a_language_is_passed_on(server: str, scan: Path) -> None:
    assert ocrmypdf(scan, "-l", "deu+fra", "--output-type", "pdf", OCR_URL=server).returncode == 0
    done = ocrmypdf(scan, "-l", "qqq1", "--output-type", "pdf", OCR_URL=server)
    assert done.returncode != 0
    assert "`language` is 'qqq1'" in done.stderr


def test_a_server_that_is_not_there_fails_the_run_with_its_address(scan: Path, nowhere: str) -> None:
    done = ocrmypdf(scan, OCR_URL=nowhere)
    assert done.returncode != 0
    assert f"{nowhere}" in done.stderr
    assert not scan.with_name("out.pdf").exists()
