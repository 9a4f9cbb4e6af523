"""Many files in, one answer or one ZIP out.

Images and PDFs may be mixed. A file that cannot be opened is one failed entry and costs no other.
"""

from __future__ import annotations

import functools
import logging
import tempfile
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any, NotRequired

from fastapi import APIRouter, Depends, File, Form, Request, Response, UploadFile
from typing_extensions import TypedDict

from airgap.core.document import Document, PageError, ReadOptions
from airgap.core.errors import AirgapError
from airgap.core.opening import Opening
from airgap.exporters.json_export import ErrorJson, LedgerJson, error_to_dict, ledger_to_dict
from airgap.exporters.markdown import document_markdown
from airgap.exporters.text import document_text
from airgap.exporters.writing import save
from airgap.http.forms import FormOpening
from airgap.http.opening import opened
from airgap.http.responses import written
from deepseek_ocr import clean_formula as drop_numbers
from deepseek_ocr import with_ngram_rule
from ocr_utils import (
    FormOptions,
    ReadyService,
    Service,
    ServiceDep,
    ServiceStatus,
    display_name,
    json_from_disk,
    on_thread,
    progress_bar,
    requested_outputs,
    save_upload,
    unless_gone,
    zip_response,
)
from process.in_order import in_order
from process.work import at_length

log = logging.getLogger(__name__)
router = APIRouter(prefix="/batch", tags=["batch"])

Files = Annotated[list[UploadFile], File(description="Images and PDFs, each as its own `files` field.")]
CleanFormula = Annotated[
    bool, Form(description="Drop equation numbers from formulas, as OmniDocBench's scoring expects.")
]

UNKNOWN = PageError("internal_error", "The file could not be read.", AirgapError.default_remedy)

USAGE = {
    "batch": "curl -F files=@a.png -F files=@b.pdf http://localhost:8000/batch/ocr",
    "simple": "curl -F files=@a.png -F files=@b.pdf http://localhost:8000/batch/ocr/simple",
    "download": "curl -F files=@a.png -F files=@b.pdf -F output=markdown,json,searchable_pdf "
    "-o results.zip http://localhost:8000/batch/ocr/download",
}


class FileText(TypedDict):
    """The text of one file, or why there is none."""

    filename: str
    success: bool
    text: str
    error: ErrorJson | None


class FileAnswer(FileText):
    """One file; where it could not be opened there is no ledger, and no warning."""

    markdown: str
    ledger: NotRequired[LedgerJson]
    warnings: NotRequired[list[str]]


class BatchText(TypedDict):
    """The text of every file, in the order they were sent; how many were read whole, how many not."""

    results: list[FileText]
    succeeded: int
    failed: int


class BatchAnswer(TypedDict):
    """Every file, in the order they were sent; how many were read whole, how many not."""

    results: list[FileAnswer]
    succeeded: int
    failed: int


@dataclass(frozen=True, slots=True)
class FileResult:
    """What became of one file: a document, or the error that kept it shut; `opening` opens it again."""

    filename: str
    opening: dict[str, Any] | None = None
    document: Document | None = None
    error: PageError | None = None

    def as_dict(self) -> FileAnswer:
        document, error = self.document, self.error
        if document is None:
            return {
                "filename": self.filename,
                "success": False,
                "markdown": "",
                "text": "",
                "error": error_to_dict(error),
            }
        failed = next((page.error for page in document.pages if page.error), None)
        return {
            "filename": self.filename,
            "success": failed is None,
            "markdown": document_markdown(document),
            "text": document_text(document),
            "error": error_to_dict(failed),
            "ledger": ledger_to_dict(document.ledger),
            "warnings": list(document.warnings),
        }


class Batch:
    """What was asked for: how the files are opened and read."""

    def __init__(self, service: Service, options: ReadOptions, opening: Opening, clean: bool) -> None:
        self.service = service
        self.opening = opening
        self.clean = clean
        self.options = with_ngram_rule(options, "eval") if clean else options


@router.post("/ocr", summary="Markdown and text of each file", responses={200: {"model": BatchAnswer}})
async def batch_ocr(
    request: Request,
    service: ReadyService,
    options: FormOptions,
    files: Files,
    opening: FormOpening,
    clean_formula: CleanFormula = False,
) -> Response:
    answer = await unless_gone(request, _summaries(Batch(service, options, opening, clean_formula), files))
    return await json_from_disk(answer, service.uploads)


@router.post("/ocr/simple", summary="Just the text of each file", responses={200: {"model": BatchText}})
async def batch_simple(
    request: Request,
    service: ReadyService,
    options: FormOptions,
    files: Files,
    opening: FormOpening,
    clean_formula: CleanFormula = False,
) -> Response:
    answer = await unless_gone(request, _summaries(Batch(service, options, opening, clean_formula), files))
    texts = map(_only_text, answer["results"])
    return await json_from_disk({**answer, "results": texts}, service.uploads)


def _only_text(file: FileAnswer) -> FileText:
    return {
        "filename": file["filename"],
        "success": file["success"],
        "text": file["text"],
        "error": file["error"],
    }


@router.post(
    "/ocr/download",
    summary="A ZIP with what `output` asks for, and a manifest",
    response_class=Response,
    responses={200: {"content": {"application/zip": {}}}},
)
async def batch_download(
    request: Request,
    service: ReadyService,
    options: FormOptions,
    files: Files,
    outputs: Annotated[tuple[str, ...], Depends(requested_outputs)],
    opening: FormOpening,
    clean_formula: CleanFormula = False,
    flat: Annotated[bool, Form(description="All files at the top of the ZIP, no folder per input.")] = False,
) -> Response:
    work = _written(Batch(service, options, opening, clean_formula), files, outputs, flat)
    return zip_response(await unless_gone(request, work), "results.zip")


async def _summaries(batch: Batch, files: list[UploadFile]) -> BatchAnswer:
    results = []
    with _folder(batch.service) as folder:
        async with aclosing(_results(batch, files, folder)) as stream:
            async for result in stream:
                results.append(await at_length(result.as_dict))
    succeeded = sum(entry["success"] for entry in results)
    return {"results": results, "succeeded": succeeded, "failed": len(results) - succeeded}


async def _written(batch: Batch, files: list[UploadFile], outputs: tuple[str, ...], flat: bool) -> Path:
    """The ZIP of all files. What was read of each lies on the disk until all are."""
    with _folder(batch.service) as folder:
        entries: list[dict[str, Any]] = []
        async with aclosing(_results(batch, files, folder)) as stream:
            async for result in stream:
                entries.append(await at_length(_entry, folder / f"{len(entries)}.json", result))
        call = "airgap.exporters.writing:write_batch"
        path, _ = await written(
            batch.service,
            ".zip",
            call,
            pages=sum(entry["pages"] for entry in entries),
            files=entries,
            outputs=list(outputs),
            flat=flat,
        )
        return path


def _entry(path: Path, result: FileResult) -> dict[str, Any]:
    """A file as `write_batch` takes it; its document is put into `path`."""
    if result.document is None:
        return {"filename": result.filename, "error": asdict(result.error or UNKNOWN), "pages": 0}
    save(result.document, path)
    return {
        "filename": result.filename,
        "error": None,
        "document": str(path),
        "source": result.opening,
        "pages": len(result.document.pages),
    }


@contextmanager
def _folder(service: Service) -> Iterator[Path]:
    """A folder of one request, for its files."""
    service.uploads.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=service.uploads, prefix="batch-") as folder:
        yield Path(folder)


async def _results(batch: Batch, files: list[UploadFile], folder: Path) -> AsyncGenerator[FileResult, None]:
    """Each file's result, in order; the files are put into `folder`."""
    reader = batch.service.reader
    with progress_bar(len(files), "batch", "file") as advance:
        work = functools.partial(_read_file, batch, folder)
        async with reader.admit(), aclosing(in_order(files, work, reader.max_concurrency + 1)) as results:
            async for result in results:
                advance()
                yield result


async def _read_file(batch: Batch, folder: Path, file: UploadFile) -> FileResult:
    name = display_name(file)
    try:
        path = await on_thread(save_upload, file, folder)
        async with opened(batch.service, path, name, batch.opening) as source:
            document = await batch.service.reader.recognize(source, batch.options)
        return FileResult(name, source.opening, cleaned(document) if batch.clean else document)
    except AirgapError as error:
        log.warning("batch: a file was not read: %s", error.code)  # the message may hold its name
        return FileResult(name, error=error.as_page_error())


def cleaned(document: Document) -> Document:
    """The document with equation numbers dropped from its formulas."""
    pages = (
        replace(page, blocks=tuple(replace(block, text=drop_numbers(block.text)) for block in page.blocks))
        for page in document.pages
    )
    return replace(document, pages=tuple(pages))


@router.get("/status", summary="Whether batches can be read now")
async def status(service: ServiceDep) -> ServiceStatus:
    return service.status()


@router.get("/info", summary="How to use the batch routes")
async def info(service: ServiceDep) -> dict[str, Any]:
    return {
        "routes": ["/batch/ocr", "/batch/ocr/simple", "/batch/ocr/download"],
        "max_upload_mb": service.settings.max_upload_mb,
        "examples": USAGE,
    }
