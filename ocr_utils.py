"""What two or more route files share: bounded uploads, form fields → options, errors → responses.

It knows HTTP and the pipeline's names, and nothing of models, engines or how a file is decoded.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path, PurePath
from typing import Annotated, Any, ParamSpec, Protocol, TypeVar
from urllib.parse import quote

from fastapi import Depends, Form, Request, UploadFile
from fastapi.responses import FileResponse, Response
from starlette.background import BackgroundTask
from tqdm import tqdm
from typing_extensions import TypedDict

from config import Settings
from deepseek_ocr import mode_of_crop_mode
from document import LANGUAGES, MODES, Document, Mode, Page, ReadOptions
from engines.base import Engine
from errors import EmptyFile, EngineUnavailable, InvalidBase64, InvalidOption, from_page_error
from exporters import EXPORTERS, export_file, exporter_name
from exporters.archive import DEFAULT_OUTPUTS, Archive
from exporters.json_export import ledger_to_dict
from monitoring import trace
from process.pages import Limits, Source
from process.pipeline import Reader
from process.scratch import Scratch

P = ParamSpec("P")
T = TypeVar("T")


class Part(Protocol):
    """What lives as long as the server does."""

    async def start(self) -> None:
        """Called once pages can be read. May go on for as long as the server lives."""
        ...

    async def close(self) -> None:
        """Called while pages can still be read."""
        ...


class ServiceStatus(TypedDict):
    """Whether pages can be read now, the reason, and how many requests are being answered."""

    available: bool
    reason: str
    engine: str
    model: str
    requests: int


class Service:
    """What a running server holds: its settings, its engine and how that engine is doing."""

    def __init__(self, settings: Settings, engine: Engine, reader: Reader, reason: str) -> None:
        self.settings = settings
        self.engine = engine
        self.reader = reader
        self.reason = reason
        self.features: dict[str, str | None] = {}  # name → None when on, else why not
        self.started = False
        self.failure: str | None = None
        self.scratch = Scratch(settings.data_dir / "uploads")
        self.parts: list[Part] = []

    def ready(self) -> tuple[bool, str]:
        """Whether pages can be read now, and if not, why."""
        if self.failure:
            return False, self.failure
        if not self.started:
            return False, f"the engine {self.engine.name} is starting"
        health = getattr(self.engine, "health", None)
        return health() if health else (True, "ready")

    @property
    def uploads(self) -> Path:
        """Where uploads lie while they are read."""
        return self.scratch.path

    @property
    def limits(self) -> Limits:
        settings = self.settings
        return Limits(
            max_image_pixels=settings.max_image_pixels,
            pdf_max_pages=settings.pdf_max_pages,
            page_timeout_seconds=settings.pdf_page_timeout_seconds,
            page_memory_mb=settings.pdf_page_memory_mb,
            render_workers=settings.workers,
        )

    def status(self) -> ServiceStatus:
        """The answer of the `/…/status` routes."""
        ready, why = self.ready()
        return {
            "available": ready,
            "reason": why,
            "engine": self.engine.name,
            "model": self.engine.model,
            "requests": self.reader.requests,
        }

    def require_ready(self) -> None:
        """Raise `EngineUnavailable` unless pages can be read now."""
        ready, why = self.ready()
        if not ready:
            raise EngineUnavailable(f"No page can be read now: {why}.", retry_after=5)


def get_service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


def get_ready_service(service: Annotated[Service, Depends(get_service)]) -> Service:
    service.require_ready()
    return service


ServiceDep = Annotated[Service, Depends(get_service)]
ReadyService = Annotated[Service, Depends(get_ready_service)]


def checked_mode(mode: str | None, crop_mode: str | None = None) -> Mode | None:
    """`mode`, or the mode that the older field `crop_mode` stands for. Raises `InvalidOption`."""
    if mode:
        if mode not in MODES:
            raise InvalidOption(f"`mode` is {mode!r}.", f"Use one of: {', '.join(MODES)}.")
        return mode
    return mode_of_crop_mode(crop_mode) if crop_mode else None


def checked_language(language: str | None) -> str | None:
    if language and language not in LANGUAGES:
        raise InvalidOption(
            f"`language` is {language!r}.",
            "Use an ISO 639-1 code such as en, ru, de, fr, zh-Hant or zh-Hans.",
        )
    return language or None


def checked_max_tokens(max_tokens: int | None, settings: Settings) -> int | None:
    if max_tokens is not None and not 1 <= max_tokens <= settings.max_new_tokens:
        raise InvalidOption(
            f"`max_tokens` is {max_tokens}.", f"Choose 1 to {settings.max_new_tokens} (MAX_NEW_TOKENS)."
        )
    return max_tokens


def checked_temperature(temperature: float | None) -> float:
    if temperature is not None and not 0 <= temperature <= 2:
        raise InvalidOption(f"`temperature` is {temperature}.", "Choose 0 (the default) to 2.")
    return temperature or 0.0


def read_options(
    service: ServiceDep,
    prompt: Annotated[str | None, Form(max_length=8000, description="What to do with the page.")] = None,
    mode: Annotated[str | None, Form(description="tiny, small, base, large or gundam.")] = None,
    crop_mode: Annotated[str | None, Form(description="singlepage (= base) or tiling (= gundam).")] = None,
    language: Annotated[str | None, Form(description="A hint: en, ru, de, fr, zh-Hant, zh-Hans, …")] = None,
    max_tokens: Annotated[int | None, Form()] = None,
    temperature: Annotated[float | None, Form()] = None,
) -> ReadOptions:
    """The form fields that all reading routes share."""
    return ReadOptions(
        prompt=prompt or None,
        mode=checked_mode(mode, crop_mode),
        language=checked_language(language),
        max_tokens=checked_max_tokens(max_tokens, service.settings),
        temperature=checked_temperature(temperature),
    )


FormOptions = Annotated[ReadOptions, Depends(read_options)]
Crosscheck = Annotated[
    bool,
    Form(description="Have the CPU engine read the page too, and answer with `disagreements` of the two."),
]


def decode_base64(text: str) -> bytes:
    """Decode base64, with or without a data URL's prefix. Raises `InvalidBase64`, `EmptyFile`."""
    if text.startswith("data:"):
        head, comma, text = text.partition(",")
        if not comma or not head.endswith(";base64"):
            raise InvalidBase64("The data URL is not base64.")
    try:
        data = base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidBase64(f"The image is not base64: {error}.") from error
    if not data:
        raise EmptyFile("The image is empty.")
    return data


def encode_base64(data: bytes | memoryview) -> str:
    return base64.b64encode(data).decode("ascii")


def display_name(upload: UploadFile) -> str:
    """The client's own name for its file, for answers only: never a path on this machine."""
    return PurePath((upload.filename or "upload").replace("\\", "/")).name[:255] or "upload"


@asynccontextmanager
async def saved_upload(upload: UploadFile, folder: Path) -> AsyncIterator[Path]:
    """The upload as a file of our own naming in `folder`, deleted at the end. Raises `EmptyFile`."""
    path = await asyncio.to_thread(save_upload, upload, folder)
    try:
        yield path
    finally:
        await asyncio.to_thread(path.unlink, missing_ok=True)


def save_upload(upload: UploadFile, folder: Path) -> Path:
    """Copy an upload to a file of our own naming in `folder`. Blocks. Raises `EmptyFile`."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=folder, prefix="upload-", delete=False) as file:
        upload.file.seek(0)
        shutil.copyfileobj(upload.file, file, 1 << 20)
        path = Path(file.name)
        if file.tell() == 0:
            path.unlink()
            raise EmptyFile(f"The file {display_name(upload)!r} is empty.")
    trace.note_input(path)
    return path


async def unless_gone(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """Await `work`, and cancel it when the client goes away."""
    task = asyncio.ensure_future(work)
    watcher = asyncio.ensure_future(_gone(request))
    try:
        await asyncio.wait({task, watcher}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            task.cancel()
        return await task
    finally:
        for leftover in (task, watcher):
            leftover.cancel()


async def _gone(request: Request) -> None:
    """Return when the client has gone. The body must have been read: all that can still come is the end."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def on_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run what would block the event loop on a thread."""
    return await asyncio.to_thread(function, *args, **kwargs)


@contextmanager
def progress_bar(total: int, name: str, unit: str) -> Iterator[Callable[[], None]]:
    """A bar on the console where there is one; call what it yields for each unit done."""
    with tqdm(total=total, desc=name, unit=unit, disable=None, leave=False) as bar:
        yield lambda: bar.update() and None


def raise_if_failed(page: Page) -> None:
    """Where one page is the whole answer, its failure is the request's."""
    if page.error is not None:
        raise from_page_error(page.error)


def requested_outputs(
    output: Annotated[
        list[str] | None,
        Form(
            description="`json` (the default) answers with JSON; one other name answers with that file; "
            "several, or `zip`, with a ZIP. Comma-separated or repeated. Names: "
            + ", ".join(sorted(EXPORTERS))
        ),
    ] = None,
) -> tuple[str, ...]:
    """The exporters asked for; empty for the route's own JSON. Raises `InvalidOption`."""
    names = [name.strip() for field in output or [] for name in field.split(",") if name.strip()]
    if names in ([], ["json"]):
        return ()
    return tuple(dict.fromkeys(name if name == "zip" else exporter_name(name) for name in names))


async def respond_with_files(
    document: Document, source: Source, outputs: tuple[str, ...], folder: Path
) -> Response:
    """One exporter's file, or a ZIP of several, written to disk first and deleted after it was sent.

    What cannot be said inside a file is said in the headers `X-Ledger` and `X-Warnings` (JSON).
    """
    if len(outputs) == 1 and outputs != ("zip",):
        exporter = EXPORTERS[outputs[0]]
        path = await on_thread(temporary_path, folder, exporter.suffix)
        try:
            warnings = await on_thread(export_file, outputs[0], document, source, path)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        headers = _accounted(document, warnings)
        return file_response(path, exporter.media_type, source.name + exporter.suffix, headers)
    names = tuple(name for name in outputs if name != "zip") or DEFAULT_OUTPUTS
    path = await on_thread(_write_zip, document, source, names, folder)
    return file_response(path, "application/zip", f"{source.name}.zip", _accounted(document))


def _accounted(document: Document, warnings: Sequence[str] = ()) -> dict[str, str]:
    return {
        "X-Ledger": json.dumps(ledger_to_dict(document.ledger)),
        "X-Warnings": json.dumps([*document.warnings, *warnings][:20]),
    }


def _write_zip(document: Document, source: Source, names: tuple[str, ...], folder: Path) -> Path:
    path = temporary_path(folder, ".zip")
    with Archive(path, names) as archive:
        archive.add(source.name, document, source)
    return path


async def json_in_memory(members: Mapping[str, Any]) -> Response:
    """A JSON object, written on a thread, so that a long one does not hold up the event loop."""

    def write() -> bytes:
        return json.dumps(members, ensure_ascii=False, allow_nan=False).encode("utf-8", "replace")

    return Response(await on_thread(write), media_type="application/json")


async def json_from_disk(members: Mapping[str, Any], folder: Path) -> Response:
    """A JSON object, written on a thread to a file and sent from there.

    A member that is an iterator becomes an array, item by item; one that is a path becomes the file's
    bytes as base64. So an answer of a thousand pages takes neither the event loop nor the memory.
    """
    path = await on_thread(_write_json, members, folder)
    return FileResponse(
        path, media_type="application/json", background=BackgroundTask(path.unlink, missing_ok=True)
    )


def _write_json(members: Mapping[str, Any], folder: Path) -> Path:
    path = temporary_path(folder, ".json")
    try:
        with path.open("w", encoding="utf-8", errors="replace") as file:
            file.writelines(_json_pieces(members))
    except BaseException:
        path.unlink()
        raise
    return path


def _json_pieces(members: Mapping[str, Any]) -> Iterator[str]:
    for number, (name, value) in enumerate(members.items()):
        yield ("," if number else "{") + json.dumps(name) + ":"
        if isinstance(value, Iterator):
            yield "["
            for index, item in enumerate(value):
                yield ("," if index else "") + json.dumps(item, ensure_ascii=False, allow_nan=False)
            yield "]"
        elif isinstance(value, Path):
            yield '"'
            with value.open("rb") as file:
                while piece := file.read(3 << 18):
                    yield encode_base64(piece)
            yield '"'
        else:
            yield json.dumps(value, ensure_ascii=False, allow_nan=False)
    yield "}"


def temporary_path(folder: Path, suffix: str) -> Path:
    """A new empty file of our own naming in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=folder, suffix=suffix, delete=False) as file:
        return Path(file.name)


def zip_response(path: Path, filename: str) -> FileResponse:
    """Stream a ZIP from disk and delete it, sent or not."""
    return file_response(path, "application/zip", filename)


def file_response(
    path: Path, media_type: str, filename: str, headers: Mapping[str, str] | None = None
) -> FileResponse:
    """Stream a file of ours from disk under a name of the client's, and delete it, sent or not."""
    return FileResponse(
        path,
        media_type=media_type,
        headers={"Content-Disposition": content_disposition(filename), **(headers or {})},
        background=BackgroundTask(path.unlink, missing_ok=True),
    )


def content_disposition(filename: str) -> str:
    """An attachment of this name, for any script (RFC 6266, RFC 8187)."""
    ascii_name = filename.encode("ascii", "replace").decode("ascii").replace("?", "_").replace('"', "_")
    return f"attachment; filename=\"{ascii_name}\"; filename*=UTF-8''{quote(filename)}"
