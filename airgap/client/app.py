"""The command `ocr`: read files on this machine, or send them to a server.

    ocr read scans/ letter.pdf -o out --format md,searchable_pdf
    ocr send letter.pdf -o out --service auto
    ocr watch inbox out
    ocr eval truth/ out

The first two leave a folder per input in the output folder, laid out as in the server's ZIP, and end with the
ledger of all pages. Exit codes: 0 when every page was read, 1 when one failed, 2 for wrong usage.
It holds the options and no work: that is in the files beside it.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from airgap.accounts import audit_cli
from airgap.client.console import Outcome, notices, require_writable, stopping_errors, told_of
from airgap.client.files import named
from airgap.client.http_client import OcrClient, choose_service
from airgap.client.sending import send_each, send_job, stream_each
from airgap.core.document import Furniture, ReadOptions
from airgap.core.errors import InvalidOption
from airgap.core.opening import OPTIONS, WHOLE, Opening
from airgap.exporters import EXPORTERS, exporter_name

if TYPE_CHECKING:
    from airgap.client.reading import ReadRequest
    from airgap.http.service import Service

app = typer.Typer(
    name="ocr",
    help=__doc__.split("\n\n")[0],
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(audit_cli.app, name="audit")

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


def _option_of(name: str, **more: Any) -> Any:
    """The option for a field of `Opening`, in its words and with its bounds."""
    option = OPTIONS[name]
    words = option.description.replace("`", "")
    return typer.Option(min=option.least, max=option.most, help=words, **more)


Dpi = Annotated[int, _option_of("dpi")]
PageFrom = Annotated[int | None, _option_of("page_from")]
PageTo = Annotated[int | None, _option_of("page_to")]
Password = Annotated[str | None, _option_of("password", envvar="OCR_PDF_PASSWORD")]
TextLayer = Annotated[Literal["ignore", "auto"], _option_of("text_layer")]
KeepActiveContent = Annotated[bool, _option_of("keep_active_content")]
FurnitureOption = Annotated[
    Furniture,
    typer.Option(help="drop leaves headers, footers and page numbers out of Markdown and plain text."),
]

ServiceChoice = Annotated[
    str,
    typer.Option(
        "--service", "--ocr-service", help="auto (remote if it is ready, else local), local, remote or a URL."
    ),
]

DEFAULT_FORMATS = ["markdown,json"]
DEFAULT_FOLDER = Path("ocr_output")


@app.command()
def read(
    files: Files,
    output: OutputFolder = DEFAULT_FOLDER,
    formats: Formats = DEFAULT_FORMATS,
    mode: Mode = None,
    dpi: Dpi = WHOLE.dpi,
    language: Language = None,
    prompt: Prompt = None,
    page_from: PageFrom = None,
    page_to: PageTo = None,
    password: Password = None,
    text_layer: TextLayer = WHOLE.text_layer,
    keep_active_content: KeepActiveContent = WHOLE.keep_active_content,
    furniture: FurnitureOption = "keep",
    backend: Annotated[str | None, typer.Option(help="The engine, instead of BACKEND.")] = None,
) -> None:
    """Read files on this machine, without a server."""
    with stopping_errors():
        from airgap.client.reading import read_all

        opening = _opening(dpi, page_from, page_to, password, text_layer, keep_active_content)
        service, request = _reading(output, formats, prompt, mode, language, furniture, backend, opening)
        inputs = named(files, output)
        require_writable(output)
        outcomes: list[Outcome] = []
        with told_of(outcomes, len(inputs), output):
            asyncio.run(read_all(service, inputs, request, outcomes))


@app.command()
def send(
    context: typer.Context,
    files: Files,
    output: OutputFolder = DEFAULT_FOLDER,
    formats: Formats = DEFAULT_FORMATS,
    service: ServiceChoice = "auto",
    mode: Mode = None,
    dpi: Dpi = WHOLE.dpi,
    language: Language = None,
    prompt: Prompt = None,
    page_from: PageFrom = None,
    page_to: PageTo = None,
    password: Password = None,
    text_layer: TextLayer = WHOLE.text_layer,
    keep_active_content: KeepActiveContent = WHOLE.keep_active_content,
    furniture: FurnitureOption = "keep",
    parallel: Annotated[int, typer.Option(min=1, max=64, help="Files under way at once.")] = 4,
    stream: Annotated[
        bool, typer.Option("--stream", help="Print each page when it was read; write none.")
    ] = False,
    job: Annotated[bool, typer.Option("--job", help="As one durable job; its ZIP comes back.")] = False,
) -> None:
    """Send files to a server. OCR_URL and OCR_REMOTE_URL name servers, OCR_API_KEY holds a key."""
    with stopping_errors():
        opening = _opening(dpi, page_from, page_to, password, text_layer, keep_active_content)
        fields = _fields(mode, language, prompt, furniture, opening)
        _check_way(context, stream, job)
        outputs = _output_names(formats)
        inputs = named(files, output)
        if not stream:
            require_writable(output)
        choice = choose_service(service)
        notices.print(f"Server: {choice.url} ({choice.reason})", highlight=False)
        with OcrClient(choice.url, api_key=os.environ.get("OCR_API_KEY")) as client:
            client.ready()
            if stream:
                raise typer.Exit(stream_each(client, inputs, fields))
            fields["confidence"] = True  # the files are kept
            if job:
                raise typer.Exit(send_job(client, inputs, output, outputs, fields))
            outcomes: list[Outcome] = []
            with told_of(outcomes, len(inputs), output):
                send_each(client, inputs, output, outputs, fields, parallel, outcomes)


@app.command()
def watch(
    entrance: Annotated[Path, typer.Argument(metavar="IN", exists=True, file_okay=False, writable=True)],
    output: Annotated[Path, typer.Argument(metavar="OUT", file_okay=False)],
    formats: Formats = DEFAULT_FORMATS,
    mode: Mode = None,
    dpi: Dpi = WHOLE.dpi,
    language: Language = None,
    prompt: Prompt = None,
    page_from: PageFrom = None,
    page_to: PageTo = None,
    password: Password = None,
    text_layer: TextLayer = WHOLE.text_layer,
    keep_active_content: KeepActiveContent = WHOLE.keep_active_content,
    furniture: FurnitureOption = "keep",
    backend: Annotated[str | None, typer.Option(help="The engine, instead of BACKEND.")] = None,
    settle: Annotated[float, typer.Option(min=0, help="Seconds a file must not change to be whole.")] = 2.0,
    once: Annotated[bool, typer.Option(help="End when the folder is empty.")] = False,
) -> None:
    """Read what appears in IN; results appear in OUT, originals move to IN/done or IN/failed."""
    with stopping_errors():
        from airgap.client.reading import watch as watch_folder
        from airgap.client.watched_folder import Inbox

        opening = _opening(dpi, page_from, page_to, password, text_layer, keep_active_content)
        service, request = _reading(output, formats, prompt, mode, language, furniture, backend, opening)
        require_writable(output)
        inbox = Inbox(entrance, settle)
        with inbox.alone(), suppress(KeyboardInterrupt):
            asyncio.run(watch_folder(service, inbox, request, once))


@app.command()
def mcp(
    http: Annotated[bool, typer.Option("--http", help="At http://127.0.0.1:PORT/mcp, not on stdin.")] = False,
    port: Annotated[int, typer.Option(min=1, max=65535, help="With --http.")] = 8765,
) -> None:
    """Let assistants have documents read: a server of the Model Context Protocol, before OCR_URL."""
    with stopping_errors():
        from airgap.client.mcp_server import serve

        serve(http=http, port=port)


@app.command("eval")
def evaluate(
    truth: Annotated[
        Path, typer.Argument(exists=True, help="Annotations (.json), facts (.jsonl), a folder.")
    ],
    predictions: Annotated[Path, typer.Argument(exists=True, file_okay=False, help="Markdown by page.")],
    details: Annotated[bool, typer.Option("--details", help="Each page, each fact that fails.")] = False,
    report: Annotated[Path | None, typer.Option("--json", help="Write all figures here.")] = None,
) -> None:
    """Score Markdown against pages whose text, tables, order and headings are known."""
    from airgap.client.scoring import as_json, evaluate_folder, show

    with stopping_errors():
        found = evaluate_folder(truth, predictions)
    show(found, details)
    if report is not None:
        report.write_text(as_json(found), encoding="utf-8")


def _fields(
    mode: str | None, language: str | None, prompt: str | None, furniture: Furniture, opening: Opening
) -> dict[str, Any]:
    """What a server is sent beside a file."""
    return {"mode": mode, "language": language, "prompt": prompt, "furniture": furniture, **asdict(opening)}


def _reading(
    output: Path,
    formats: Sequence[str],
    prompt: str | None,
    mode: str | None,
    language: str | None,
    furniture: Furniture,
    backend: str | None,
    opening: Opening,
) -> tuple[Service, ReadRequest]:
    """What reads in this process, and what it is asked for. Raises `AirgapError` for wrong wishes."""
    # Imported here, so that `ocr send` and `ocr --help` need not wait for the server's modules.
    from airgap.client.reading import ReadRequest
    from airgap.http.forms import checked_language, checked_mode
    from config import load_settings
    from serve_ocr import create_service

    logging.basicConfig(level=logging.ERROR)
    options = ReadOptions(
        prompt=prompt,
        mode=checked_mode(mode),
        language=checked_language(language),
        confidence=True,
        furniture=furniture,
    )
    request = ReadRequest(output, _output_names(formats), options, opening)
    return create_service(load_settings(**({"backend": backend} if backend else {}))), request


def _output_names(formats: Sequence[str]) -> tuple[str, ...]:
    names = [name for given in formats for name in given.split(",") if name.strip()]
    return tuple(dict.fromkeys(exporter_name(name) for name in names))


def _check_way(context: typer.Context, stream: bool, job: bool) -> None:
    if stream:
        _check_unused(context, "--stream", ("job", "output", "formats", "parallel"))
    if job:
        _check_unused(context, "--job", ("parallel",))


def _check_unused(context: typer.Context, way: str, names: Sequence[str]) -> None:
    """Raises `InvalidOption` for an option that was given and would not be heard."""
    options = {param.name: param.opts[0] for param in context.command.params if param.name in names}
    sources = {name: context.get_parameter_source(name) for name in names}
    given = [options[name] for name, source in sources.items() if source and source.name == "COMMANDLINE"]
    if given:
        raise InvalidOption(f"{way} does nothing with {', '.join(given)}.", "Leave out one or the other.")


def _opening(
    dpi: int,
    page_from: int | None,
    page_to: int | None,
    password: str | None,
    text_layer: Any,
    keep_active_content: bool,
) -> Opening:
    """Raises `InvalidOption`."""
    if page_from and page_to and page_from > page_to:
        raise InvalidOption(f"--page-from {page_from} is after --page-to {page_to}.", "Swap them.")
    return Opening(dpi, page_from, page_to, password, text_layer, keep_active_content)
