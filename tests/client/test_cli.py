"""The command `ocr`, as a person runs it: outputs, ledger, exit codes."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import tomllib
import zipfile
from pathlib import Path

import httpx
import pymupdf
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from airgap.client.app import app
from airgap.client.http_client import OcrClient
from airgap.client.sending import _unpacked
from tests.conftest import free_port

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = ROOT / "samples"


def ocr(*arguments: str | Path, **environment: str) -> Result:
    """Run the command in this process, on the fake engine."""
    settings = {"BACKEND": "fake", "COLUMNS": "160"} | environment
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], env=settings)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def ledger_rows(output: str) -> dict[str, list[str]]:
    """File name → its cells, off the printed table; the totals stand under the number of files."""
    rows = [[cell.strip() for cell in line.strip("│").split("│")] for line in output.splitlines()]
    return {row[0]: row[1:] for row in rows if len(row) == 5}


@pytest.fixture
def bad(tmp_path: Path) -> Path:
    path = tmp_path / "bad.pdf"
    path.write_bytes(b"not a document")
    return path


@pytest.fixture
def locked(tmp_path: Path) -> Path:
    """The booklet under the password `open sesame`."""
    path = tmp_path / "locked.pdf"
    with pymupdf.open(SAMPLES / "booklet.pdf") as pdf:
        pdf.save(path, encryption=pymupdf.PDF_ENCRYPT_AES_256, user_pw="open sesame", owner_pw="owner")
    return path


def test_read_writes_what_was_asked_for(tmp_path: Path) -> None:
    out = tmp_path / "out"
    formats = ("--format", "md,json", "-f", "layout_pdf")
    result = ocr("read", SAMPLES / "table.png", SAMPLES / "booklet.pdf", "-o", out, *formats)
    assert result.exit_code == 0, result.stdout + result.stderr
    for name in ("table", "booklet"):
        files = {path.name for path in (out / name).iterdir()}
        assert files == {f"{name}.md", f"{name}.json", f"{name}_layout.pdf"}
    document = json.loads((out / "booklet/booklet.json").read_text())
    assert [page["number"] for page in document["pages"]] == [1, 2, 3]
    with pymupdf.open(out / "booklet/booklet_layout.pdf") as pdf:
        assert len(pdf) == 3


def test_read_ends_with_the_ledger(tmp_path: Path) -> None:
    result = ocr("read", SAMPLES / "table.png", SAMPLES / "mixed.pdf", "-o", tmp_path)
    rows = ledger_rows(result.stdout)
    assert rows["table.png"] == ["1", "1", "0", "0"]
    assert rows["mixed.pdf"] == ["6", "6", "0", "0"]
    assert rows["2 files"] == ["7", "7", "0", "0"]
    assert "page 5: The page is blank" in result.stdout
    assert str(tmp_path) in result.stdout


def test_a_bad_file_stops_no_other(tmp_path: Path, bad: Path) -> None:
    result = ocr("read", bad, SAMPLES / "table.png", "-o", tmp_path / "out")
    assert result.exit_code == 1
    assert "unsupported_media" in result.stdout
    assert ledger_rows(result.stdout)["bad.pdf"][0] == "not opened"
    assert (tmp_path / "out/table/table.md").is_file()


def test_a_failed_page_is_in_the_ledger_and_the_exit_code(tmp_path: Path) -> None:
    result = ocr("read", SAMPLES / "table.png", "-o", tmp_path, "--prompt", "fail")
    assert result.exit_code == 1
    assert ledger_rows(result.stdout)["table.png"] == ["1", "0", "0", "1"]
    assert "page 1: engine_failed" in result.stdout
    assert "table.png" not in (tmp_path / "table/table.md").read_text()
    assert (tmp_path / "table/table.md").read_text().strip(), "a visible placeholder stands for the page"


def test_a_format_that_cannot_be_made_costs_no_other(tmp_path: Path) -> None:
    result = ocr("read", SAMPLES / "booklet.pdf", "-o", tmp_path, "-f", "annotated,md")
    assert result.exit_code == 1
    assert "annotated: invalid_option" in result.stdout
    assert (tmp_path / "booklet/booklet.md").is_file()


def test_a_range_of_pages(tmp_path: Path) -> None:
    pages = ("--page-from", "2", "--page-to", "3", "--dpi", "72")
    assert ocr("read", SAMPLES / "booklet.pdf", "-o", tmp_path, *pages).exit_code == 0
    document = json.loads((tmp_path / "booklet/booklet.json").read_text())
    assert [page["number"] for page in document["pages"]] == [2, 3]
    assert [(page["width"], page["height"]) for page in document["pages"]] == [(595, 842)] * 2


def test_a_password(tmp_path: Path, locked: Path) -> None:
    refused = ocr("read", locked, "-o", tmp_path / "out")
    assert refused.exit_code == 1
    assert "pdf_password_required" in refused.stdout
    assert ocr("read", locked, "-o", tmp_path / "out", "--password", "open sesame").exit_code == 0
    assert ocr("read", locked, "-o", tmp_path / "out", OCR_PDF_PASSWORD="open sesame").exit_code == 0


def test_options_reach_the_engine(tmp_path: Path) -> None:
    assert ocr("read", SAMPLES / "table.png", "-o", tmp_path, "--mode", "tiny").exit_code == 0
    assert json.loads((tmp_path / "table/table.json").read_text())["mode"] == "tiny"


@pytest.fixture
def headed(tmp_path: Path) -> Path:
    """Three pages with the same rectangle at the top, and another one further down on each."""
    path = tmp_path / "headed.pdf"
    with pymupdf.open() as pdf:
        for number in range(3):
            page = pdf.new_page(width=500, height=500)
            page.draw_rect((20, 10, 120, 30), fill=(0, 0, 0))
            page.draw_rect((20 + 10 * number, 200, 120, 220), fill=(0, 0, 0))
        pdf.save(path)
    return path


@pytest.mark.parametrize("command", ["read", "send", "watch"])
def test_running_headers_are_left_out_where_asked_for(
    command: str, headed: Path, server: str, tmp_path: Path
) -> None:
    out, entrance = tmp_path / "out", tmp_path / "in"
    entrance.mkdir()
    more = ("--furniture", "drop", "--format", "md,json", "--dpi", "72")
    if command == "watch":
        headed.rename(entrance / headed.name)
        result = ocr("watch", entrance, out, "--once", "--settle", "0", *more)
    else:
        service = ("--service", server) if command == "send" else ()
        result = ocr(command, headed, "-o", out, *service, *more)
    assert result.exit_code == 0, result.stdout + result.stderr
    (markdown,), (document,) = out.rglob("*.md"), out.rglob("headed.json")
    pages = json.loads(document.read_text())["pages"]
    assert [page["blocks"][0]["label"] for page in pages] == ["header"] * 3
    assert pages[0]["blocks"][0]["text"] not in markdown.read_text()
    assert pages[0]["blocks"][1]["text"] in markdown.read_text()


def test_a_folder_and_names_that_clash(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        Image.new("L", (60, 40), 255).save(tmp_path / folder / "page.png")
    (tmp_path / "b/notes.txt").write_text("passed over")
    files = (tmp_path / "a/page.png", tmp_path / "b", tmp_path / "b/page.png")
    result = ocr("read", *files, "-o", tmp_path / "out", "-f", "text")
    assert result.exit_code == 0, result.stdout + result.stderr
    texts = (path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.txt"))
    assert sorted(texts) == ["b/page/page.txt", "page/page.txt", "page_2/page_2.txt"]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A folder with subfolders: two pictures of one name, a hidden one, and results of an earlier run."""
    for folder in ("2023", "2024/north", ".hidden", "out/2023"):
        (tmp_path / "tree" / folder).mkdir(parents=True)
        Image.new("L", (60, 40), 255).save(tmp_path / "tree" / folder / "page.png")
    return tmp_path / "tree"


@pytest.mark.parametrize("command", ["read", "send"])
def test_subfolders_are_read_and_names_keep_them(command: str, server: str, tree: Path) -> None:
    out = tree / "out"
    options = ("--service", server) if command == "send" else ()
    result = ocr(command, tree, "-o", out, "-f", "json,alto", *options)
    assert result.exit_code == 0, result.stdout + result.stderr
    assert set(ledger_rows(result.stdout)) >= {"tree/2023/page.png", "tree/2024/north/page.png", "2 files"}
    document = json.loads((out / "tree/2024/north/page/page.json").read_text())
    assert document["filename"] == "tree/2024/north/page.png"
    assert "tree/2023/page.png" in (out / "tree/2023/page/page.alto.xml").read_text()


def test_a_job_keeps_the_folders_of_its_files(server: str, tree: Path, tmp_path: Path) -> None:
    result = ocr("send", tree / "2023", tree / "2024", "--service", server, "--job", "-o", tmp_path)
    assert result.exit_code == 0, result.stderr
    (path,) = tmp_path.glob("results-*.zip")
    with zipfile.ZipFile(path) as archive:
        manifest = json.loads(archive.read("manifest.json"))
        assert [entry["filename"] for entry in manifest["inputs"]] == ["2023/page.png", "2024/north/page.png"]
        assert {"2023/page/page.md", "2024/north/page/page.md"} <= set(archive.namelist())


def test_a_folder_that_cannot_be_written_is_found_before_reading(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    nowhere = f"http://127.0.0.1:{free_port()}"
    for command, options in (("read", ()), ("send", ("--service", nowhere))):
        result = ocr(command, SAMPLES / "table.png", "-o", tmp_path / "file/out", *options)
        assert result.exit_code == 2, result.stderr
        assert "Nothing can be written to" in result.stderr


def wait_for_pages(server: str, reading: bool) -> None:
    """Return once the server reads pages, or reads none any more."""
    for _ in range(1200):
        metrics = httpx.get(f"{server}/metrics").text
        if (float(re.findall(r"^ocr_pages_reading (\S+)", metrics, re.M)[0]) > 0) is reading:
            return
        time.sleep(0.1)
    raise AssertionError(f"waited in vain: {reading=}")


@pytest.mark.parametrize("options", [("-o", "out"), ("--stream",), ("--job", "-o", "out")])
def test_ctrl_c_ends_sending_and_says_what_becomes_of_it(
    options: tuple[str, ...], server: str, tmp_path: Path
) -> None:
    files = [str(SAMPLES / "table.png"), str(SAMPLES / "booklet.pdf")]
    command = [sys.executable, "-m", "airgap.client", "send", *files, "--service", server, "--prompt", "hang"]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "COLUMNS": "160"}
    wait_for_pages(server, False)
    with subprocess.Popen(
        [*command, *options],
        cwd=tmp_path,
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
        # As in a terminal: what a shell starts in the background ignores Ctrl-C.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as sending:
        assert sending.stderr is not None
        said = [sending.stderr.readline()]
        if "--job" in options:
            said.append(sending.stderr.readline())
            assert "Job: " in said[-1]
        wait_for_pages(server, True)
        sending.send_signal(signal.SIGINT)
        said.append(sending.communicate(timeout=60)[1])
    assert sending.returncode == 130
    assert "Stopped." in said[-1]
    assert "Traceback" not in said[-1]
    word = {"-o": "0 of 2 files are finished", "--stream": "", "--job": "The job goes on."}[options[0]]
    assert word in said[-1]
    if "--job" in options:
        job = said[1].rpartition("/")[2].strip()
        with OcrClient(server) as client:
            assert client.cancel_job(job)["id"] == job


def test_wrong_usage_ends_before_anything_is_read(tmp_path: Path) -> None:
    out = tmp_path / "out"
    page = SAMPLES / "table.png"
    (tmp_path / "empty").mkdir()
    for wrong in (
        ("read", "-o", out),
        ("read", tmp_path / "missing.png", "-o", out),
        ("read", tmp_path / "empty", "-o", out),
        ("read", page, "-o", out, "--format", "wordstar"),
        ("read", page, "-o", out, "--mode", "enormous"),
        ("read", page, "-o", out, "--language", "no such tongue"),
        ("read", page, "-o", out, "--dpi", "5"),
        ("read", page, "-o", out, "--page-from", "0"),
        ("read", page, "-o", out, "--page-from", "3", "--page-to", "2"),
        ("read", page, "-o", out, "--backend", "abacus"),
        ("send", page, "-o", out, "--format", "wordstar"),
        ("send", page, "--stream", "--job"),
        ("send", page, "--stream", "-o", out),
        ("send", page, "--stream", "--format", "json"),
        ("send", page, "--job", "--parallel", "2"),
        ("devour", page),
    ):
        result = ocr(*wrong)
        assert result.exit_code == 2, (wrong, result.stdout, result.stderr)
        assert result.stderr
    assert not out.exists()


@pytest.mark.slow
def test_send_leaves_the_same_folders_as_read(server: str, tmp_path: Path, bad: Path) -> None:
    files = (SAMPLES / "table.png", SAMPLES / "booklet.pdf", bad)
    options = ("--format", "md,json,layout_pdf", "--page-to", "1")
    sent = ocr("send", *files, "-o", tmp_path / "sent", "--service", server, *options)
    read = ocr("read", *files, "-o", tmp_path / "read", *options)
    assert (sent.exit_code, read.exit_code) == (1, 1)
    rows = ledger_rows(sent.stdout)
    assert rows == ledger_rows(read.stdout)
    assert rows["booklet.pdf"] == ["1", "1", "0", "0"]
    assert rows["bad.pdf"][0] == "not opened"
    for path in (tmp_path / "read").rglob("*.md"):
        twin = tmp_path / "sent" / path.relative_to(tmp_path / "read")
        assert twin.read_bytes() == path.read_bytes()
    assert (tmp_path / "sent/booklet/booklet_layout.pdf").is_file()


def test_send_streams_the_pages_in_order(server: str) -> None:
    pages = ("--page-from", "2", "--dpi", "72")
    result = ocr("send", SAMPLES / "booklet.pdf", "--service", server, "--stream", *pages)
    assert result.exit_code == 0, result.stderr
    with OcrClient(server) as client:
        read = client.pdf(SAMPLES / "booklet.pdf", page_from=2, dpi=72)["pages"]
    assert result.stdout == "".join(f"{page['markdown'].rstrip()}\n\n" for page in read)


def test_send_streams_past_a_page_that_failed(server: str) -> None:
    result = ocr("send", SAMPLES / "booklet.pdf", "--service", server, "--stream", "--prompt", "fail")
    assert result.exit_code == 1
    assert "booklet.pdf, page 3: " in result.stderr


def test_send_as_a_job_brings_its_zip(server: str, tmp_path: Path) -> None:
    result = ocr("send", SAMPLES / "booklet.pdf", "--service", server, "--job", "--output", tmp_path)
    assert result.exit_code == 0, result.stderr
    (path,) = tmp_path.glob("results-*.zip")
    with zipfile.ZipFile(path) as archive:
        assert json.loads(archive.read("manifest.json"))["inputs"][0]["ledger"]["ok"] == 3


def test_send_without_a_server_names_the_remedy(tmp_path: Path) -> None:
    nowhere = f"http://127.0.0.1:{free_port()}"
    result = ocr("send", SAMPLES / "table.png", "-o", tmp_path, OCR_URL=nowhere, OCR_REMOTE_URL="")
    assert result.exit_code == 1
    assert "connection_failed" in result.stderr
    assert "make serve" in result.stderr


def test_it_runs_as_a_program(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "airgap.client", "read", str(SAMPLES / "table.png"), "-o", str(tmp_path)]
    environment = os.environ | {"PYTHONIOENCODING": "utf-8"}
    for prompt, code in (("hello", 0), ("fail", 1)):
        options = ["--backend", "fake", "--prompt", prompt]
        result = subprocess.run([*command, *options], env=environment, capture_output=True, timeout=120)
        assert result.returncode == code, result.stderr


def test_unpacking_stays_in_its_folder(tmp_path: Path) -> None:
    ledger = {"expected": 1, "ok": 1, "degraded": 0, "failed": 0}
    entry = {"name": "page", "ledger": ledger, "warnings": ["careful"]}
    path = tmp_path / "hostile.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("manifest.json", json.dumps({"inputs": [entry]}))
        for name in ("page/page.md", "page/../../../outside", "page//etc/outside", "../outside", "/outside"):
            archive.writestr(name, "text")
    outcome = _unpacked("page.png", path, tmp_path / "out/page")
    assert (outcome.warnings, outcome.failed) == (("careful",), False)
    found = {found.relative_to(tmp_path).as_posix() for found in tmp_path.rglob("*") if found.is_file()}
    inside = {name for name in found if name.startswith("out/page/")}
    assert "out/page/page.md" in inside
    assert found - inside == {"hostile.zip"}


def test_the_package_names_every_module() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    listed = set(project["tool"]["setuptools"]["py-modules"])
    assert listed == {path.stem for path in ROOT.glob("*.py")} - {"test_ocr"}
    assert project["project"]["scripts"]["ocr"] == "airgap.client.app:app"
