"""The command `ocr`: read files on this machine, or send them to a server.

    ocr read scans/ letter.pdf -o out --format md,searchable_pdf
    ocr send letter.pdf -o out --service auto
    ocr watch inbox out

The first two leave a folder per input in the output folder, laid out as in the server's ZIP, and end with the
ledger of all pages. Exit codes: 0 when every page was read, 1 when one failed, 2 for wrong usage.
It holds no reading and no format; `read` uses the pipeline of the server in this process.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table

from accounts import audit_cli
from document import Document, Ledger, Page, ReadOptions
from errors import AirgapError, ConfigurationError, InvalidOption
from exporters import EXPORTERS, export_file, exporter_name
from exporters.archive import UniqueNames
from ocr_client import ClientError, OcrClient, choose_service, files_in

if TYPE_CHECKING:
    from ocr_utils import Service
    from ocr_watch import Inbox
    from process.pages import Source

app = typer.Typer(
    name="ocr",
    help=__doc__.split("\n\n")[0],
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(audit_cli.app, name="audit")
notices = Console(stderr=True)

Files = Annotated[
    list[Path],
    typer.Argument(exists=True, readable=True, help="Pictures and PDFs; a folder stands for those in it."),
]
OutputFolder = Annotated[Path, typer.Option("--output", "-o", help="Where the results go.", file_okay=False)]
Formats = Annotated[
    list[str],
    typer.Option("--format", "-f", help=f"Comma-separated or repeated: md, {', '.join(sorted(EXPORTERS))}."),
]
Mode = Annotated[str | None, typer.Option(help="tiny, small, base, large or gundam.")]
Language = Annotated[str | None, typer.Option(help="A hint: en, ru, de, fr, zh-Hant, zh-Hans, …")]
Prompt = Annotated[str | None, typer.Option(help="What to do with the page.")]
Dpi = Annotated[int, typer.Option(min=36, max=600, help="Resolution to draw PDF pages at.")]
PageFrom = Annotated[int | None, typer.Option(min=1, help="First page of each file, counted from 1.")]
PageTo = Annotated[int | None, typer.Option(min=1, help="Last page of each file, included.")]
Password = Annotated[str | None, typer.Option(envvar="OCR_PDF_PASSWORD", help="Password of the PDFs.")]
TextLayer = Annotated[
    Literal["ignore", "auto"], typer.Option(help="`auto` takes a PDF page's own text where it is sound.")
]

DEFAULT_FORMATS = ["markdown,json"]
DEFAULT_FOLDER = Path("ocr_output")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one file. `ledger` is None when it could not be opened at all."""

    filename: str
    ledger: Ledger | None = None
    problems: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def failed(self) -> bool:
        return bool(self.problems) or self.ledger is None or self.ledger.failed > 0


@dataclass(frozen=True, slots=True)
class ReadRequest:
    """What `ocr read` was asked for, checked."""

    folder: Path
    outputs: tuple[str, ...]
    options: ReadOptions
    opening: dict[str, Any] = field(default_factory=dict)


@app.command()
def read(
    files: Files,
    output: OutputFolder = DEFAULT_FOLDER,
    formats: Formats = DEFAULT_FORMATS,
    mode: Mode = None,
    dpi: Dpi = 144,
    language: Language = None,
    prompt: Prompt = None,
    page_from: PageFrom = None,
    page_to: PageTo = None,
    password: Password = None,
    text_layer: TextLayer = "ignore",
    backend: Annotated[str | None, typer.Option(help="The engine, instead of BACKEND.")] = None,
) -> None:
    """Read files on this machine, without a server."""
    # Imported here, so that `ocr send` and `ocr --help` need not wait for the server's modules.
    from config import load_settings
    from ocr_utils import checked_language, checked_mode
    from serve_ocr import create_service

    logging.basicConfig(level=logging.ERROR)
    opening = {"dpi": dpi, "page_from": page_from, "page_to": page_to, "password": password}
    with _stopping_errors():
        _check_range(page_from, page_to)
        request = ReadRequest(
            output,
            _output_names(formats),
            ReadOptions(prompt=prompt, mode=checked_mode(mode), language=checked_language(language)),
            opening | {"text_layer": text_layer},
        )
        service = create_service(load_settings(**({"backend": backend} if backend else {})))
        outcomes = asyncio.run(_read_all(service, _expand(files), request))
    _finish(outcomes, output)


@app.command()
def send(
    files: Files,
    output: OutputFolder = DEFAULT_FOLDER,
    formats: Formats = DEFAULT_FORMATS,
    service: Annotated[
        str, typer.Option(help="auto (remote if it is ready, else local), local, remote or a URL.")
    ] = "auto",
    mode: Mode = None,
    dpi: Dpi = 144,
    language: Language = None,
    prompt: Prompt = None,
    page_from: PageFrom = None,
    page_to: PageTo = None,
    password: Password = None,
    text_layer: TextLayer = "ignore",
    parallel: Annotated[int, typer.Option(min=1, max=64, help="Files under way at once.")] = 4,
    stream: Annotated[
        bool, typer.Option("--stream", help="Print the text as it is read; write none.")
    ] = False,
    job: Annotated[bool, typer.Option("--job", help="As one durable job; its ZIP comes back.")] = False,
) -> None:
    """Send files to a server. OCR_URL and OCR_REMOTE_URL name servers, OCR_API_KEY holds a key."""
    fields = {
        "mode": mode,
        "language": language,
        "prompt": prompt,
        "dpi": dpi,
        "page_from": page_from,
        "page_to": page_to,
        "password": password,
        "text_layer": text_layer,
    }
    with _stopping_errors():
        _check_range(page_from, page_to)
        outputs = _output_names(formats)
        choice = choose_service(service)
        notices.print(f"Server: {choice.url} ({choice.reason})", highlight=False)
        with OcrClient(choice.url, api_key=os.environ.get("OCR_API_KEY")) as client:
            client.ready()
            if stream or job:
                raise typer.Exit(
                    _stream_all(client, _expand(files), fields)
                    if stream
                    else _send_job(client, _expand(files), output, outputs, fields)
                )
            outcomes = _send_all(client, _expand(files), output, outputs, fields, parallel)
    _finish(outcomes, output)


@app.command()
def watch(
    entrance: Annotated[Path, typer.Argument(metavar="IN", exists=True, file_okay=False, writable=True)],
    output: Annotated[Path, typer.Argument(metavar="OUT", file_okay=False)],
    formats: Formats = DEFAULT_FORMATS,
    mode: Mode = None,
    dpi: Dpi = 144,
    language: Language = None,
    prompt: Prompt = None,
    password: Password = None,
    text_layer: TextLayer = "ignore",
    backend: Annotated[str | None, typer.Option(help="The engine, instead of BACKEND.")] = None,
    settle: Annotated[float, typer.Option(min=0, help="Seconds a file must not change to be whole.")] = 2.0,
    once: Annotated[bool, typer.Option(help="End when the folder is empty.")] = False,
) -> None:
    """Read what appears in IN; results appear in OUT, originals move to IN/done or IN/failed."""
    from config import load_settings
    from ocr_utils import checked_language, checked_mode
    from ocr_watch import Inbox
    from serve_ocr import create_service

    logging.basicConfig(level=logging.ERROR)
    with _stopping_errors():
        request = ReadRequest(
            output,
            _output_names(formats),
            ReadOptions(prompt=prompt, mode=checked_mode(mode), language=checked_language(language)),
            {"dpi": dpi, "password": password, "text_layer": text_layer},
        )
        service = create_service(load_settings(**({"backend": backend} if backend else {})))
        inbox = Inbox(entrance, settle)
        with inbox.alone(), suppress(KeyboardInterrupt):
            asyncio.run(_watch(service, inbox, request, once))


async def _watch(service: Service, inbox: Inbox, request: ReadRequest, once: bool) -> None:
    """Read the files that have arrived, a few under way at once, and look again."""
    from ocr_watch import Outbox
    from process.pipeline import in_order

    outbox = Outbox(request.folder)

    async def work(path: Path) -> None:
        folder = await asyncio.to_thread(outbox.begin, path.name)
        outcome = await _read_file(service, request, path, folder, lambda pages: None, lambda page: None)
        await asyncio.to_thread(outbox.finish, folder)
        problems = outcome.problems if outcome.failed else ()
        await asyncio.to_thread(inbox.finish, path, problems)
        state = "[red]failed[/]" if problems else "done"
        notices.print(f"{state}  {escape(path.name)}", highlight=False)

    await service.engine.start()
    notices.print(f"Watching {escape(str(inbox.entrance))} with the engine {service.engine.name}.")
    try:
        while True:
            arrived = await asyncio.to_thread(inbox.arrived)
            async with aclosing(in_order(arrived, work, service.reader.max_concurrency + 1)) as files:
                async for _ in files:
                    pass
            if once and inbox.empty:
                return
            await asyncio.sleep(min(1.0, inbox.settle / 2 or 0.1))
    finally:
        await asyncio.to_thread(outbox.close)
        await service.engine.close()


async def _read_all(service: Service, files: Sequence[Path], request: ReadRequest) -> list[Outcome]:
    """Start the engine, read the files in order, a few under way at once."""
    from process.pipeline import in_order

    names = UniqueNames()
    jobs = [(path, request.folder / names.claim(path.name)) for path in files]
    with notices.status(f"Starting the engine {service.engine.name} …"):
        await service.engine.start()
    try:
        with _progress("pages") as (bar, task):

            async def work(job: tuple[Path, Path]) -> Outcome:
                def opened(pages: int) -> None:
                    bar.update(task, total=(bar.tasks[task].total or 0) + pages)

                return await _read_file(service, request, *job, opened, lambda page: bar.advance(task))

            async with aclosing(in_order(jobs, work, service.reader.max_concurrency + 1)) as outcomes:
                return [outcome async for outcome in outcomes]
    finally:
        await service.engine.close()


async def _read_file(
    service: Service,
    request: ReadRequest,
    path: Path,
    folder: Path,
    opened: Callable[[int], None],
    on_page: Callable[[Page], None],
) -> Outcome:
    """Read one file and write what was asked for; whatever goes wrong is its own."""
    from process.pages import open_source

    try:
        source = await asyncio.to_thread(
            open_source, path, name=path.name, limits=service.limits, **request.opening
        )
        with source:
            opened(len(source.numbers))
            document = await service.reader.recognize(source, request.options, on_page)
            problems, warnings = await asyncio.to_thread(_write, request.outputs, document, source, folder)
    except AirgapError as error:
        return Outcome(path.name, problems=(_in_words(error),))
    except OSError as error:
        return Outcome(path.name, problems=(f"{error.filename or path}: {error.strerror}",))
    failures = [
        f"page {page.number}: {page.error.code}: {page.error.message} {page.error.remedy}"
        for page in document.pages
        if page.error
    ]
    return Outcome(path.name, document.ledger, (*failures, *problems), (*document.warnings, *warnings))


def _write(
    outputs: Sequence[str], document: Document, source: Source, folder: Path
) -> tuple[list[str], list[str]]:
    """Write the formats and the figures; what went wrong with one format, and the warnings."""
    from exporters.images import iter_images

    problems: list[str] = []
    warnings: list[str] = []
    folder.mkdir(parents=True, exist_ok=True)
    for output in outputs:
        if output == "images":
            continue
        try:
            path = folder / f"{folder.name}{EXPORTERS[output].suffix}"
            warnings += export_file(output, document, source, path)
        except AirgapError as error:
            problems.append(f"{output}: {_in_words(error)}")
    if {"images", "markdown", "html"} & set(outputs):
        for name, data in iter_images(document, source):
            figure = folder / name
            figure.parent.mkdir(exist_ok=True)
            figure.write_bytes(data)
    return problems, warnings


def _send_all(
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
            return Outcome(path.name, problems=(_in_words(error),))

    with _progress("files", len(files)) as (bar, task), ThreadPoolExecutor(parallel) as pool:
        for outcome in pool.map(work, files, folders):
            outcomes.append(outcome)
            bar.advance(task)
    return outcomes


def _stream_all(client: OcrClient, files: Sequence[Path], fields: dict[str, Any]) -> int:
    """Print each file's text as it comes. Returns the exit code."""
    told = {name: fields[name] for name in ("mode", "language", "prompt")}
    failed = 0
    for path in files:
        for frame in client.stream(path, **told):
            if frame["type"] == "page_delta":
                sys.stdout.write(frame["delta"])
                sys.stdout.flush()
            elif frame["type"] == "error":
                notices.print(f"{path.name}: {frame['message']} {frame['remedy']}", style="red")
            elif frame["type"] == "end":
                failed += frame["ledger"]["failed"]
        sys.stdout.write("\n")
    return 1 if failed else 0


def _send_job(
    client: OcrClient, files: Sequence[Path], folder: Path, outputs: Sequence[str], fields: dict[str, Any]
) -> int:
    """Have the files read as one job and fetch its ZIP. Returns the exit code."""
    state = client.submit_job(files, outputs, **fields)
    notices.print(f"Job: {client.base_url}/jobs/{state['id']}", highlight=False)
    with _progress("pages") as (bar, task):
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


def _expand(paths: Sequence[Path]) -> list[Path]:
    """Folders become the files in them. Raises `InvalidOption` when nothing is left."""
    files = [file for path in paths for file in (files_in(path) if path.is_dir() else [path])]
    if not files:
        raise InvalidOption("The folder holds no picture and no PDF.", "Name files, or another folder.")
    return files


def _output_names(formats: Sequence[str]) -> tuple[str, ...]:
    names = [name for given in formats for name in given.split(",") if name.strip()]
    return tuple(dict.fromkeys(exporter_name(name) for name in names))


def _check_range(page_from: int | None, page_to: int | None) -> None:
    if page_from and page_to and page_from > page_to:
        raise InvalidOption(f"--page-from {page_from} is after --page-to {page_to}.", "Swap them.")


def _in_words(error: AirgapError | ClientError) -> str:
    return f"{error.code}: {error.message} {error.remedy}"


@contextmanager
def _stopping_errors() -> Iterator[None]:
    """End the command for what stops all files: 2 for wrong usage and settings, else 1."""
    try:
        yield
    except (AirgapError, ClientError) as error:
        notices.print(f"[bold red]{error.code}[/]: {error.message}\n  {error.remedy}", highlight=False)
        wrong_usage = isinstance(error, InvalidOption | ConfigurationError)
        raise typer.Exit(2 if wrong_usage else 1) from error


@contextmanager
def _progress(unit: str, total: int | None = None) -> Iterator[tuple[Progress, Any]]:
    columns = (SpinnerColumn(), TextColumn(unit), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=notices) as bar:
        yield bar, bar.add_task(unit, total=total)


def _finish(outcomes: Sequence[Outcome], folder: Path) -> None:
    """Print the ledger and what went wrong, and end with the exit code."""
    console = Console()
    console.print(_ledger_table(outcomes))
    for outcome in outcomes:
        for style, notes in (("red", outcome.problems), ("yellow", outcome.warnings)):
            for note in notes:
                console.print(f"{outcome.filename}: {note}", style=style, markup=False, highlight=False)
    console.print(f"Results: {folder.resolve()}", markup=False, highlight=False, soft_wrap=True)
    raise typer.Exit(1 if any(outcome.failed for outcome in outcomes) else 0)


def _ledger_table(outcomes: Sequence[Outcome]) -> Table:
    table = Table("File", title="Ledger", show_footer=True)
    table.columns[0].footer = f"{len(outcomes)} files"
    ledgers = [asdict(outcome.ledger) if outcome.ledger else {} for outcome in outcomes]
    for name, heading in {
        "expected": "Pages",
        "ok": "ok",
        "degraded": "degraded",
        "failed": "failed",
    }.items():
        total = sum(ledger.get(name, 0) for ledger in ledgers)
        table.add_column(heading, justify="right", footer=str(total))
    for outcome, ledger in zip(outcomes, ledgers, strict=True):
        cells = [str(count) for count in ledger.values()] or ["not opened", "", "", ""]
        table.add_row(outcome.filename, *cells, style="red" if outcome.failed else "")
    return table


if __name__ == "__main__":
    app()
