"""A server whose DATA_DIR is relative, as it is where nobody sets one: what its child processes are told
is found from their folder as from the server's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from config import Settings
from tests.conftest import ROOT, START_SECONDS, running_server


@pytest.fixture(scope="module")
def started_here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("relative")
    with running_server(folder, START_SECONDS, folder, BACKEND="fake", DATA_DIR="data") as url:
        yield url


@pytest.mark.parametrize(
    ("path", "field", "output"),
    [
        ("/ocr/image/advanced", "file", "zip"),
        ("/ocr/image/advanced", "file", "searchable_pdf"),
        ("/pdf/ocr", "file", "docx"),
        ("/batch/ocr/download", "files", "markdown"),
    ],
)
def test_results_are_written(started_here: str, picture: Path, path: str, field: str, output: str) -> None:
    sent = ROOT / "samples" / "booklet.pdf" if path == "/pdf/ocr" else picture
    answer = httpx.post(
        f"{started_here}{path}",
        files={field: (sent.name, sent.read_bytes())},
        data={"output": output},
        timeout=120,
        trust_env=False,
    )
    assert answer.status_code == 200, answer.text
    assert answer.content[:2] in (b"PK", b"%P")


def test_the_folder_is_absolute_however_it_was_said() -> None:
    assert Settings().data_dir == Path("data").absolute()
    assert Settings(data_dir=Path("elsewhere")).data_dir == Path("elsewhere").absolute()
