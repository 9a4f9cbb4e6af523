"""The test menu, run as a program against a real server on a real port."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

import test_ocr as menu
from airgap.client.menu import entries, screen

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = ROOT / "samples"


def run_menu(server: str, *arguments: str, answers: str = "") -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"OCR_URL": server, "COLUMNS": "120", "PYTHONIOENCODING": "utf-8"}
    return subprocess.run(
        [sys.executable, "test_ocr.py", *arguments],
        cwd=ROOT,
        env=environment,
        input=answers,
        capture_output=True,
        text=True,
        timeout=120,
    )


def saved_paths(output: str) -> list[Path]:
    return [Path(path) for path in re.findall(r"^(?:Saved: |已儲存：)(.+)$", output, re.M)]


@pytest.fixture
def folder(tmp_path: Path, picture: Path) -> Path:
    """A small folder to send: two pictures and a PDF."""
    folder = tmp_path / "scans"
    folder.mkdir()
    picture.rename(folder / "two boxes.png")
    Image.new("L", (60, 40), 255).save(folder / "blank.png")
    (folder / "booklet.pdf").write_bytes((SAMPLES / "booklet.pdf").read_bytes())
    return folder


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ("1", {"1_quick_test/table.md", "1_quick_test/table_annotated.png"}),
        ("2", {"2_image/table.md", "2_image/table_annotated.png"}),
        ("3", {"3_folder/001_blank.txt", "3_folder/002_two boxes.txt"}),
        pytest.param("4", {"4_prompts/table.md"}, marks=pytest.mark.slow),
        ("5", {"5_pdf/mixed.md", "5_pdf/mixed_layout.pdf"}),
        pytest.param("6", {"6_pdf_text/booklet.txt"}, marks=pytest.mark.slow),
        pytest.param("7", {"7_batch/002_booklet.md", "7_batch/003_two boxes.md"}, marks=pytest.mark.slow),
        ("8", {"8_results.zip"}),
        pytest.param("10", {"10_stream/booklet.md"}, marks=pytest.mark.slow),
        ("11", {"11_job.zip"}),
    ],
)
def test_each_entry_runs_without_questions(
    server: str, folder: Path, tmp_path: Path, entry: str, expected: set[str]
) -> None:
    output = tmp_path / "out"
    result = run_menu(server, "--run", entry, "--folder", str(folder), "--output", str(output))
    assert result.returncode == 0, result.stdout + result.stderr
    saved = saved_paths(result.stdout)
    assert expected <= {path.relative_to(output).as_posix() for path in saved}
    assert all(path.stat().st_size > 0 for path in saved if "blank" not in path.name)
    for path in saved:
        if path.suffix == ".png":
            Image.open(io.BytesIO(path.read_bytes())).verify()


@pytest.mark.slow
def test_everything_on_the_samples(server: str, tmp_path: Path) -> None:
    result = run_menu(server, "--run", "9", "--output", str(tmp_path), "--lang", "zh-TW")
    assert result.returncode == 0, result.stdout + result.stderr
    numbers = {path.relative_to(tmp_path).parts[0].split("_")[0] for path in saved_paths(result.stdout)}
    assert numbers == {"1", "2", "3", "4", "5", "6", "7", "8", "10", "11"}


def test_a_failed_file_is_shown_and_fails_the_run(server: str, folder: Path, tmp_path: Path) -> None:
    (folder / "bad.png").write_bytes(b"not a picture")
    for entry in ("3", "7", "8"):
        arguments = ("--run", entry, "--folder", str(folder), "--output", str(tmp_path / entry))
        result = run_menu(server, *arguments)
        assert result.returncode == 1
        assert "1 of " in result.stdout
        assert saved_paths(result.stdout), "the good files are still saved"


def test_an_error_is_shown_with_its_remedy(server: str, tmp_path: Path) -> None:
    pdf = str(SAMPLES / "booklet.pdf")
    result = run_menu(server, "--run", "2", "1", "--file", pdf, "--output", str(tmp_path))
    assert result.returncode == 1
    assert result.stdout.count("unsupported_media") == 2, "the second entry runs although the first failed"
    assert "Send it to /pdf/ocr." in result.stdout


@pytest.mark.parametrize(
    ("language", "remedy"), [("en", "Start one with `make serve`"), ("zh-TW", "啟動伺服器")]
)
def test_no_server_is_an_error_with_a_remedy(language: str, remedy: str, nowhere: str) -> None:
    result = run_menu(nowhere, "--run", "1", "--lang", language)
    assert result.returncode == 1
    assert "connection_failed" in result.stdout
    assert remedy in result.stdout


def test_the_menu_asks(server: str, folder: Path, tmp_path: Path) -> None:
    answers = f"77\n2\n'{folder / 'two boxes.png'}'\n\n4\n{folder / 'blank.png'}\nhello\n\n\n0\n"
    result = run_menu(server, "--output", str(tmp_path / "out"), answers=answers)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "Choose one of the numbers above." in result.stdout
    assert (tmp_path / "out/2_image/two boxes_annotated.png").is_file()
    assert "## hello" in (tmp_path / "out/4_prompts/blank.md").read_text()


def test_a_menu_with_nobody_there_ends(server: str) -> None:
    result = run_menu(server)
    assert result.returncode == 2
    assert "--run 1" in result.stdout


def test_wrong_usage() -> None:
    assert run_menu("http://127.0.0.1:1", "--run", "12").returncode == 2
    assert run_menu("http://127.0.0.1:1", "--lang", "tlh").returncode == 2


def test_help_speaks_the_language() -> None:
    assert "儲存位置" in run_menu("http://127.0.0.1:1", "--lang", "zh-TW", "--help").stdout


def test_every_language_has_every_text() -> None:
    own = {
        key for texts in screen.TEXTS.values() for key in texts if not key.startswith(("error.", "remedy."))
    }
    sources = "".join(Path(str(module.__file__)).read_text() for module in (menu, screen, entries))
    used = set(re.findall(r'(?:\bt|pair|preview|_ask)\(\s*"([\w.]+)"', sources))
    assert used <= own
    for language, texts in screen.TEXTS.items():
        assert own <= texts.keys(), language
        for key in own:
            holes = [sorted(re.findall(r"{\w+}", t[key])) for t in (texts, screen.TEXTS["en"])]
            assert holes[0] == holes[1], (language, key)
        assert {k[6:] for k in texts if k.startswith("error.")} == {
            k[7:] for k in texts if k.startswith("remedy.")
        }
