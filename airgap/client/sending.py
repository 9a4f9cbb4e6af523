"""Files sent to a server, and what comes back. It knows `http_client`; no route, engine or format."""

from __future__ import annotations

import json
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from multiprocessing.pool import ThreadPool
from pathlib import Path, PurePosixPath
from typing import Any

from airgap.client.console import Outcome, in_words, notices, progress
from airgap.client.files import Named
from airgap.client.http_client import ClientError, JsonObject, OcrClient, in_page_order
from airgap.core.document import Ledger
from airgap.core.file_names import UniqueNames


def send_each(
    client: OcrClient,
    files: Sequence[Named],
    folder: Path,
    outputs: Sequence[str],
    fields: dict[str, Any],
    parallel: int,
    outcomes: list[Outcome],
) -> None:
    """Each file in a request of its own, results unpacked below `folder`; `outcomes` grows by each."""
    names = UniqueNames()
    jobs = [(file, folder / names.claim_below(file.name)) for file in files]

    def work(job: tuple[Named, Path]) -> Outcome:
        file, target = job
        try:
            with tempfile.TemporaryDirectory(prefix="ocr-") as scratch:
                zipped = Path(scratch) / "result.zip"
                result = client.convert(file.path, zipped, outputs, name=file.name, **fields)
                return _unpacked(file.name, result, target)
        except ClientError as error:
            return Outcome(file.name, problems=(in_words(error),))
        except OSError as error:
            return Outcome(file.name, problems=(f"{error.filename or target}: {error.strerror}",))

    # Its threads end with the command: one that waits for an answer cannot hold up Ctrl-C.
    with progress("files", len(jobs)) as (bar, task), ThreadPool(parallel) as pool:
        for outcome in pool.imap(work, jobs):
            outcomes.append(outcome)
            bar.advance(task)


def stream_each(client: OcrClient, files: Sequence[Named], fields: dict[str, Any]) -> int:
    """Print each page's Markdown when it was read, pages in order. Returns the exit code."""
    failed = 0
    for file in files:
        for frame in in_page_order(client.stream(file.path, detail=True, **fields)):
            if frame["type"] == "page_end" and frame["status"] != "failed":
                sys.stdout.write(f"{frame['result']['markdown'].rstrip()}\n\n")
                sys.stdout.flush()
            elif frame["type"] == "error":
                where = f"{file.name}, page {frame['page']}" if "page" in frame else file.name
                notices.print(f"{where}: {frame['message']} {frame['remedy']}", style="red", markup=False)
            elif frame["type"] == "end":
                failed += frame["ledger"]["failed"]
    return 1 if failed else 0


def send_job(
    client: OcrClient, files: Sequence[Named], folder: Path, outputs: Sequence[str], fields: dict[str, Any]
) -> int:
    """Have the files read as one job and fetch its ZIP. Returns the exit code."""
    paths, names = [file.path for file in files], [file.name for file in files]
    state = client.submit_job(paths, outputs, names=names, **fields)
    url = f"{client.base_url}/jobs/{state['id']}"
    notices.print(f"Job: {url}", highlight=False)
    try:
        state = _followed(client, state)
    except KeyboardInterrupt:
        notices.print(f"The job goes on. {url}/result is its result; POST {url}/cancel ends it.")
        raise
    path = client.job_result(state["id"], folder / f"results-{state['id'][:8]}.zip")
    ledger = state["ledger"]
    counts = ", ".join(f"{ledger[name]} {name}" for name in ("ok", "degraded", "failed"))
    notices.print(f"{state['status']}: {counts}. Results: {path}", highlight=False)
    return 0 if state["status"] == "done" and not ledger["failed"] else 1


def _followed(client: OcrClient, state: JsonObject) -> JsonObject:
    """The job's last state, with its pages shown as they are read."""
    with progress("pages") as (bar, task):
        for event, data in client.job_events(state["id"]):
            if event == "page":
                bar.advance(task)
            else:
                state = data
                bar.update(task, total=state["ledger"]["expected"])
    return state


def _unpacked(filename: str, path: Path, folder: Path) -> Outcome:
    """Unpack the server's ZIP of one input into `folder`, and take its ledger from the manifest."""
    with zipfile.ZipFile(path) as archive:
        (entry,) = json.loads(archive.read("manifest.json"))["inputs"]
        own = f"{entry['name']}/"
        for info in archive.infolist():
            if info.is_dir() or not info.filename.startswith(own):
                continue
            parts = PurePosixPath(info.filename.removeprefix(own)).parts
            if ".." in parts or parts[0] == "/":
                continue
            target = folder.joinpath(*parts)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(archive.read(info))
    return Outcome(filename, Ledger(**entry["ledger"]), warnings=tuple(entry["warnings"]))
