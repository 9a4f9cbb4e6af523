"""Files sent to a server, and what comes back. It knows `http_client`; no route, engine or format."""

from __future__ import annotations

import json
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from typing import Any

from airgap.client.console import Outcome, in_words, notices, progress
from airgap.client.http_client import ClientError, OcrClient, in_page_order
from airgap.core.document import Ledger
from airgap.core.file_names import UniqueNames


def send_each(
    client: OcrClient,
    files: Sequence[Path],
    folder: Path,
    outputs: Sequence[str],
    fields: dict[str, Any],
    parallel: int,
) -> list[Outcome]:
    names = UniqueNames()
    folders = [folder / names.claim(path.name) for path in files]
    outcomes = []

    def work(path: Path, target: Path) -> Outcome:
        try:
            with tempfile.TemporaryDirectory(prefix="ocr-") as scratch:
                result = client.convert(path, Path(scratch) / "result.zip", outputs, **fields)
                return _unpacked(path.name, result, target)
        except ClientError as error:
            return Outcome(path.name, problems=(in_words(error),))

    with progress("files", len(files)) as (bar, task), ThreadPoolExecutor(parallel) as pool:
        for outcome in pool.map(work, files, folders):
            outcomes.append(outcome)
            bar.advance(task)
    return outcomes


def stream_each(client: OcrClient, files: Sequence[Path], fields: dict[str, Any]) -> int:
    """Print each page's Markdown when it was read, pages in order. Returns the exit code."""
    failed = 0
    for path in files:
        for frame in in_page_order(client.stream(path, detail=True, **fields)):
            if frame["type"] == "page_end" and frame["status"] != "failed":
                sys.stdout.write(f"{frame['result']['markdown'].rstrip()}\n\n")
                sys.stdout.flush()
            elif frame["type"] == "error":
                where = f"{path.name}, page {frame['page']}" if "page" in frame else path.name
                notices.print(f"{where}: {frame['message']} {frame['remedy']}", style="red", markup=False)
            elif frame["type"] == "end":
                failed += frame["ledger"]["failed"]
    return 1 if failed else 0


def send_job(
    client: OcrClient, files: Sequence[Path], folder: Path, outputs: Sequence[str], fields: dict[str, Any]
) -> int:
    """Have the files read as one job and fetch its ZIP. Returns the exit code."""
    state = client.submit_job(files, outputs, **fields)
    notices.print(f"Job: {client.base_url}/jobs/{state['id']}", highlight=False)
    with progress("pages") as (bar, task):
        for event, data in client.job_events(state["id"]):
            if event == "page":
                bar.advance(task)
            else:
                state = data
                bar.update(task, total=state["ledger"]["expected"])
    folder.mkdir(parents=True, exist_ok=True)
    path = client.job_result(state["id"], folder / f"results-{state['id'][:8]}.zip")
    ledger = state["ledger"]
    counts = ", ".join(f"{ledger[name]} {name}" for name in ("ok", "degraded", "failed"))
    notices.print(f"{state['status']}: {counts}. Results: {path}", highlight=False)
    return 0 if state["status"] == "done" and not ledger["failed"] else 1


def _unpacked(filename: str, path: Path, folder: Path) -> Outcome:
    """Unpack the server's ZIP of one input into `folder`, and take its ledger from the manifest."""
    with zipfile.ZipFile(path) as archive:
        (entry,) = json.loads(archive.read("manifest.json"))["inputs"]
        for info in archive.infolist():
            parts = PurePosixPath(info.filename).parts[1:]
            if not parts or ".." in parts or info.is_dir():
                continue
            target = folder.joinpath(*parts)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(archive.read(info))
    return Outcome(filename, Ledger(**entry["ledger"]), warnings=tuple(entry["warnings"]))
