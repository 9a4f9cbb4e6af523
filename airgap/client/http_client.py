"""An HTTP client of the server, used by the test menu and by `ocr send`.

It knows the routes, their fields and the shape of an error, and nothing of how pages are read: it
needs httpx and the standard library alone, so that this file, `fields` and `transport` can be taken
elsewhere. Proxies that the environment names are never used.

    with OcrClient(choose_service("auto").url) as client:
        print(client.image_simple(Path("page.png"))["text"])
"""

from __future__ import annotations

import base64
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Unpack

import httpx

from airgap.client.fields import (
    BatchFields,
    ImageFields,
    JobFields,
    PageFields,
    PdfFields,
    ReadFields,
    StreamFields,
)
from airgap.client.transport import (
    LOCAL_URL,
    LOST,
    ClientError,
    Fields,
    JsonObject,
    Progress,
    as_client_errors,
    as_form,
    bytes_of,
    checked,
    object_of,
    raise_for_error,
    save,
    uploads,
)

__all__ = [
    "LOCAL_URL",
    "BatchFields",
    "ClientError",
    "ImageFields",
    "JobFields",
    "JsonObject",
    "OcrClient",
    "PageFields",
    "PdfFields",
    "Progress",
    "ReadFields",
    "ServiceChoice",
    "StreamFields",
    "choose_service",
    "in_page_order",
]

PROBE_SECONDS = 5.0
READ_SECONDS = 3600.0  # a synchronous batch answers only when its last page was read
RECONNECTIONS = 5


class OcrClient:
    """One server. A context manager. Every method raises `ClientError`.

    `timeout` is the longest silence of the server in seconds. `api_key` goes along as a bearer token.
    `progress` is called with the bytes sent and the bytes in all, while a request is being uploaded.
    """

    def __init__(self, base_url: str, *, api_key: str | None = None, timeout: float = READ_SECONDS) -> None:
        self.base_url = base_url.rstrip("/")
        headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        limits = httpx.Timeout(timeout, connect=PROBE_SECONDS)
        with as_client_errors(self.base_url):
            self._http = httpx.Client(
                base_url=self.base_url, headers=headers, timeout=limits, trust_env=False
            )

    def __enter__(self) -> OcrClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def health(self) -> JsonObject:
        """`GET /health`."""
        return self._probe("/health")

    def ready(self) -> JsonObject:
        """`GET /readyz`: `ready`, `reason`, `engine`, `model`; a server that is not ready answers too."""
        return self._probe("/readyz", also=503)

    def info(self) -> JsonObject:
        """`GET /info`: engine, modes, outputs, limits."""
        return self._probe("/info")

    def image_advanced(
        self, file: Path, progress: Progress | None = None, **fields: Unpack[ImageFields]
    ) -> JsonObject:
        """Markdown, text, blocks, `annotated_image` and `crops` (base64 PNG) of one picture."""
        return self._send("/ocr/image/advanced", [file], fields, progress)

    def image_simple(
        self, file: Path, progress: Progress | None = None, **fields: Unpack[ReadFields]
    ) -> JsonObject:
        """The `text` of one picture."""
        return self._send("/ocr/image/simple", [file], fields, progress)

    def generate(
        self,
        prompt: str | None = None,
        images: Sequence[Path] = (),
        *,
        max_tokens: int | None = None,
        temperature: float | None = None,
    ) -> JsonObject:
        """The model's raw `result` for a prompt and pictures."""
        body = {
            "prompt": prompt,
            "images": [base64.b64encode(bytes_of(path)).decode("ascii") for path in images],
            "max_tokens": max_tokens,
            "temperature": temperature,
        }
        with as_client_errors(self.base_url):
            return checked(self._http.post("/generate", json=body))

    def pdf(self, file: Path, progress: Progress | None = None, **fields: Unpack[PdfFields]) -> JsonObject:
        """Markdown, pages, ledger, figures and `layout_pdf` (base64) of one PDF."""
        return self._send("/pdf/ocr", [file], fields, progress)

    def pdf_simple(
        self, file: Path, progress: Progress | None = None, **fields: Unpack[PdfFields]
    ) -> JsonObject:
        """The `text` of one PDF, and its ledger."""
        return self._send("/pdf/ocr/simple", [file], fields, progress)

    def batch(
        self, files: Sequence[Path], progress: Progress | None = None, **fields: Unpack[BatchFields]
    ) -> JsonObject:
        """Markdown and text of each of many pictures and PDFs."""
        return self._send("/batch/ocr", files, fields, progress)

    def batch_simple(
        self, files: Sequence[Path], progress: Progress | None = None, **fields: Unpack[BatchFields]
    ) -> JsonObject:
        """The text of each of many pictures and PDFs."""
        return self._send("/batch/ocr/simple", files, fields, progress)

    def batch_download(
        self,
        files: Sequence[Path],
        destination: Path,
        outputs: Sequence[str] = (),
        progress: Progress | None = None,
        **fields: Unpack[BatchFields],
    ) -> Path:
        """The ZIP of many files' results, streamed to `destination`, which is returned."""
        form = {**fields, "output": ",".join(outputs)}
        return self._download("/batch/ocr/download", files, form, destination, progress)

    def convert(
        self,
        file: Path,
        destination: Path,
        outputs: Sequence[str],
        progress: Progress | None = None,
        name: str | None = None,
        **fields: Unpack[PdfFields],
    ) -> Path:
        """The ZIP of one file's results in the formats `outputs`, streamed to `destination`.

        `name` is what the file is called in them, with its folders, instead of its own name.

        What may have several pages (PDF, TIFF, GIF) goes to the PDF route, the rest to the image route.
        """
        head = bytes_of(file, 1024)
        paged = b"%PDF" in head or head.startswith((b"II", b"MM", b"GIF8"))
        route = "/pdf/ocr" if paged else "/ocr/image/advanced"
        form = {**fields, "output": ",".join(("zip", *outputs))}
        return self._download(route, [file], form, destination, progress, [name or file.name])

    def stream(
        self, file: Path, progress: Progress | None = None, **fields: Unpack[StreamFields]
    ) -> Iterator[JsonObject]:
        """The frames of `POST /api/ocr/document` while the pages of one file are read; the last is `end`.

        Pages are read in parallel and their frames interleave: see `in_page_order`.
        """
        last = ""
        with (
            as_client_errors(self.base_url),
            uploads("/api/ocr/document", [file], progress) as parts,
            self._http.stream("POST", "/api/ocr/document", data=as_form(fields), files=parts) as response,
        ):
            raise_for_error(response)
            for line in response.iter_lines():
                frame = object_of(line, response)
                last = frame["type"]
                yield frame
        if last != "end":
            raise ClientError("connection_lost", f"{self.base_url} ended the stream too soon.", LOST)

    def submit_job(
        self,
        files: Sequence[Path],
        outputs: Sequence[str] = (),
        progress: Progress | None = None,
        names: Sequence[str] = (),
        **fields: Unpack[JobFields],
    ) -> JsonObject:
        """`POST /jobs`: the new job's state, with its `id`. A ZIP among the files is unpacked there.

        `names` are what the files are called, with their folders, instead of their own names.
        """
        return self._send("/jobs", files, {**fields, "output": ",".join(outputs)}, progress, names)

    def job(self, job_id: str) -> JsonObject:
        """State, ledger, speed and estimate of a job."""
        return self._probe(f"/jobs/{job_id}")

    def job_events(self, job_id: str, after: int | None = None) -> Iterator[tuple[str, JsonObject]]:
        """A job's server-sent events as (event, data) until it has ended; `page` ones have an `index`.

        A connection that breaks is taken up again after the last page that came, up to `RECONNECTIONS`
        times in a row. `after`: the index of the last page one has.
        """
        failures = 0
        while True:
            try:
                for event, data in self._events(f"/jobs/{job_id}/events", after):
                    failures, after = 0, data.get("index", after)
                    yield event, data
                    if event == "end":
                        return
                raise ClientError("connection_lost", f"{self.base_url} ended the stream too soon.", LOST)
            except ClientError as error:
                failures += 1
                passing = error.code in ("connection_lost", "connection_failed", "timeout")
                if not passing or failures > RECONNECTIONS:
                    raise
                time.sleep(failures)

    def job_result(self, job_id: str, destination: Path) -> Path:
        """The ZIP of a job's results, or of what there is of them, streamed to `destination`."""
        with as_client_errors(self.base_url), self._http.stream("GET", f"/jobs/{job_id}/result") as response:
            return save(response, destination)

    def cancel_job(self, job_id: str) -> JsonObject:
        """Stop a job; what was read stays."""
        with as_client_errors(self.base_url):
            return checked(self._http.post(f"/jobs/{job_id}/cancel"))

    def erase_job(self, job_id: str) -> None:
        """Erase a job with its files and results."""
        with as_client_errors(self.base_url):
            raise_for_error(self._http.delete(f"/jobs/{job_id}"))

    def _events(self, route: str, after: int | None) -> Iterator[tuple[str, JsonObject]]:
        headers = {} if after is None else {"Last-Event-ID": str(after)}
        with (
            as_client_errors(self.base_url),
            self._http.stream("GET", route, headers=headers) as response,
        ):
            raise_for_error(response)
            event = ""
            for line in response.iter_lines():
                name, _, value = line.partition(": ")
                if name == "event":
                    event = value
                elif name == "data":  # the server writes each event's JSON on one line
                    yield event, object_of(value, response)

    def _probe(self, route: str, also: int = 200) -> JsonObject:
        with as_client_errors(self.base_url):
            return checked(self._http.get(route, timeout=PROBE_SECONDS), also)

    def _send(
        self,
        route: str,
        files: Sequence[Path],
        fields: Fields,
        progress: Progress | None,
        names: Sequence[str] = (),
    ) -> JsonObject:
        with as_client_errors(self.base_url), uploads(route, files, progress, names) as parts:
            return checked(self._http.post(route, data=as_form(fields), files=parts))

    def _download(
        self,
        route: str,
        files: Sequence[Path],
        fields: Fields,
        destination: Path,
        progress: Progress | None,
        names: Sequence[str] = (),
    ) -> Path:
        with (
            as_client_errors(self.base_url),
            uploads(route, files, progress, names) as parts,
            self._http.stream("POST", route, data=as_form(fields), files=parts) as response,
        ):
            return save(response, destination)


def in_page_order(frames: Iterable[JsonObject]) -> Iterator[JsonObject]:
    """The frames of `OcrClient.stream`, one page after the other.

    The page in turn comes as it is read; frames of the pages after it wait until it has ended.
    """
    waiting: dict[int, list[JsonObject]] = {}  # in the order in which the server began the pages
    for frame in frames:
        if "page" not in frame:
            yield frame
            continue
        waiting.setdefault(frame["page"], []).append(frame)
        while waiting:
            turn = next(iter(waiting))
            come, waiting[turn] = waiting[turn], []
            yield from come
            if not come or come[-1]["type"] != "page_end":
                break
            del waiting[turn]


@dataclass(frozen=True, slots=True)
class ServiceChoice:
    """The server's address, and why it was chosen."""

    url: str
    reason: str


_OTHER_NAMES = {"qwen": "auto", "qwen_local": "local", "qwen_remote": "remote", "deepseek": "local"}
"""The services of another client's `--ocr-service`."""


def choose_service(choice: str = "auto") -> ServiceChoice:
    """Settle `auto`, `local`, `remote` or a URL; or `qwen`, `qwen_local`, `qwen_remote`, `deepseek`.

    `remote` is what OCR_REMOTE_URL or QWEN_REMOTE_URL names, `local` is OCR_URL or http://localhost:8000,
    and `auto` takes the remote server if it is ready, else the local one. Raises `ClientError` for
    `remote` without an address.
    """
    choice = _OTHER_NAMES.get(choice, choice)
    remote = os.environ.get("OCR_REMOTE_URL") or os.environ.get("QWEN_REMOTE_URL") or ""
    local = os.environ.get("OCR_URL") or LOCAL_URL
    if choice == "local":
        return ServiceChoice(local, "local")
    if choice == "remote":
        if not remote:
            raise ClientError("no_service", "OCR_REMOTE_URL is not set.", "Set it, or use --service local.")
        return ServiceChoice(remote, "remote, OCR_REMOTE_URL")
    if choice == "auto":
        if not remote:
            return ServiceChoice(local, "local, as OCR_REMOTE_URL is not set")
        problem = _why_not_ready(remote)
        if problem is None:
            return ServiceChoice(remote, "remote, which is ready")
        return ServiceChoice(local, f"local, as {remote} is not ready: {problem}")
    return ServiceChoice(choice, "as named")


def _why_not_ready(url: str) -> str | None:
    try:
        with OcrClient(url) as client:
            answer = client.ready()
            return None if answer.get("ready") else str(answer.get("reason", "no reason given"))
    except ClientError as error:
        return error.message
