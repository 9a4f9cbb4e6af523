"""What the clients of the soak do: read, stream, hand in jobs, dawdle, hang up, send rubbish.

Each picture bears a number of its own, so that an answer that is somebody else's shows. It counts and
judges nothing of time; a violation is what no site may ever see.
"""

from __future__ import annotations

import asyncio
import io
import json
import random
import zipfile
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import httpx
import pymupdf
from PIL import Image, ImageDraw, ImageFont

from tests.attacks.files import gif_of_dots, jpeg_of_scans, webp_canvas

PATIENCE = 900.0
BUSY = {429, 503}
REFUSED = range(400, 500)
BOUNDARY = b"soak-boundary"


@dataclass
class Tally:
    """What came of all acts. Pages are those of requests and jobs that the server took."""

    answers: Counter[str] = field(default_factory=Counter)
    accepted: int = 0
    accounted: int = 0
    own: int = 0
    unread: int = 0
    violations: list[str] = field(default_factory=list)

    def note(self, act: str, outcome: object) -> None:
        self.answers[f"{act} {outcome}"] += 1

    def wrong(self, act: str, what: str) -> None:
        self.violations.append(f"{act}: {what}")

    def account(self, act: str, expected: int, counted: int) -> None:
        """The pages that the server took, and those that it says something of."""
        self.accepted += expected
        self.accounted += counted
        if counted != expected:
            self.wrong(act, f"{counted} of {expected} pages are accounted for")

    def compare(self, act: str, numbers: list[int], text: str) -> None:
        """Whether a document's text holds its own numbers, and no other document's."""
        for number in numbers:
            found = str(number) in text
            self.own += found
            self.unread += not found
        for other in ALL_NUMBERS - set(numbers):
            if str(other) in text:
                self.wrong(act, f"the answer to {numbers} holds {other}")


@dataclass(frozen=True, slots=True)
class Document:
    """A file and the numbers on its pages."""

    name: str
    data: bytes
    numbers: list[int]


def _picture(number: int) -> Image.Image:
    image = Image.new("RGB", (640, 200), "white")
    draw = ImageDraw.Draw(image)
    draw.text((30, 30), f"Receipt {number}", fill="black", font=ImageFont.load_default(48))
    draw.text((30, 110), "Total 12.50 paid in cash", fill="black", font=ImageFont.load_default(32))
    return image


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def _pdf(numbers: list[int]) -> bytes:
    document = pymupdf.open()
    for number in numbers:
        page = document.new_page(width=320, height=100)
        page.insert_image(page.rect, stream=_png(_picture(number)))
    return bytes(document.tobytes())


ALL_NUMBERS = {100_003 + 7_919 * index for index in range(80)}
_GIVEN = iter(sorted(ALL_NUMBERS))
PICTURES = [
    Document("a.png", _png(_picture(number)), [number]) for number in (next(_GIVEN) for _ in range(20))
]
PDFS = [
    Document("a.pdf", _pdf(numbers), numbers)
    for pages in (1, 2, 3, 4, 5) * 4
    if (numbers := [next(_GIVEN) for _ in range(pages)])
]
RUBBISH = [
    ("/pdf/ocr/simple", gif_of_dots(10_000, 10_000, 500)),
    ("/ocr/image/simple", jpeg_of_scans(64, 300)),
    ("/ocr/image/simple", webp_canvas(16_384, 16_384)),
    ("/ocr/image/simple", b"no picture at all"),
    ("/pdf/ocr", b"%PDF-1.7\nnothing more"),
    ("/jobs", b""),
]


class Client:
    """One client, who goes on until the time is over."""

    def __init__(self, url: str, tally: Tally, seed: int) -> None:
        self._url = url
        self._tally = tally
        self._chance = random.Random(seed)
        self._http = httpx.AsyncClient(base_url=url, timeout=PATIENCE, trust_env=False)
        self.now = ""

    async def go_on(self, until: Callable[[], bool]) -> None:
        acts: list[tuple[Callable[[], Awaitable[None]], int]] = [
            (self.image, 6),
            (self.pdf, 4),
            (self.stream, 3),
            (self.job, 4),
            (self.cancelled_job, 1),
            (self.slow_sender, 2),
            (self.slow_reader, 2),
            (self.hang_up, 3),
            (self.rubbish, 3),
        ]
        async with self._http:
            while not until():
                act = self._chance.choices([act for act, _ in acts], [weight for _, weight in acts])[0]
                self.now = act.__name__
                try:
                    await act()
                except (httpx.HTTPError, OSError, asyncio.IncompleteReadError) as error:
                    self._tally.wrong(self.now, f"the connection broke: {type(error).__name__} {error}")

    def _answered(self, act: str, status: int, body: bytes = b"") -> bool:
        """Note an answer; whether it is a success. A server's error that is not documented is a violation."""
        self._tally.note(act, status)
        if status >= 500 and status not in BUSY:
            self._tally.wrong(act, f"{status} {body[:300]!r}")
        if status in BUSY and b"remedy" not in body:
            self._tally.wrong(act, f"{status} without a remedy: {body[:300]!r}")
        return status < 300

    async def _breathe(self, answered: bool) -> None:
        if not answered:
            await asyncio.sleep(self._chance.uniform(0.5, 2))

    async def image(self) -> None:
        document = self._chance.choice(PICTURES)
        answer = await self._http.post("/ocr/image/simple", files={"file": (document.name, document.data)})
        if taken := self._answered("image", answer.status_code, answer.content):
            self._tally.account("image", 1, 1)
            self._tally.compare("image", document.numbers, answer.json()["text"])
        await self._breathe(taken)

    async def pdf(self) -> None:
        document = self._chance.choice(PDFS)
        answer = await self._http.post("/pdf/ocr", files={"file": (document.name, document.data)})
        if taken := self._answered("pdf", answer.status_code, answer.content):
            body = answer.json()
            ledger = body["ledger"]
            read = min(len(body["pages"]), ledger["ok"] + ledger["degraded"] + ledger["failed"])
            self._tally.account("pdf", len(document.numbers), read)
            self._tally.compare("pdf", document.numbers, body["markdown"])
        await self._breathe(taken)

    async def stream(self) -> None:
        document = self._chance.choice(PDFS)
        files = {"file": (document.name, document.data)}
        async with self._http.stream("POST", "/api/ocr/document", files=files) as answer:
            body = await answer.aread()
        if taken := self._answered("stream", answer.status_code, body):
            self._check_frames("stream", document, body)
        await self._breathe(taken)

    def _check_frames(self, act: str, document: Document, body: bytes) -> None:
        frames = [json.loads(line) for line in body.splitlines()]
        ended = [frame for frame in frames if frame["type"] == "page_end"]
        text = "\n".join(frame["delta"] for frame in frames if frame["type"] == "page_delta")
        self._tally.account(act, len(document.numbers), len({frame["page"] for frame in ended}))
        self._tally.compare(act, document.numbers, text)
        if not frames or frames[-1]["type"] != "end":
            self._tally.wrong(act, "the stream has no end")

    async def _hand_in(self, act: str) -> tuple[str, list[Document]] | None:
        documents = self._chance.sample(PDFS, self._chance.randint(1, 3))
        files = [("files", (document.name, document.data)) for document in documents]
        answer = await self._http.post("/jobs", files=files)
        if not self._answered(act, answer.status_code, answer.content):
            await self._breathe(False)
            return None
        return answer.json()["id"], documents

    async def job(self) -> None:
        if (handed_in := await self._hand_in("job")) is None:
            return
        job_id, documents = handed_in
        pages = sum(len(document.numbers) for document in documents)
        ledger = await self._ended(job_id)
        self._tally.account("job", pages, ledger["ok"] + ledger["degraded"] + ledger["failed"])
        answer = await self._http.get(f"/jobs/{job_id}/result")
        if self._answered("result", answer.status_code, answer.content):
            numbers = [number for document in documents for number in document.numbers]
            with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
                names = [name for name in archive.namelist() if name.endswith(".md")]
                self._tally.compare("job", numbers, "\n".join(archive.read(name).decode() for name in names))
        answer = await self._http.delete(f"/jobs/{job_id}")
        self._answered("erase", answer.status_code, answer.content)

    async def _ended(self, job_id: str) -> dict[str, int]:
        async with asyncio.timeout(PATIENCE):
            while True:
                answer = await self._http.get(f"/jobs/{job_id}")
                found = answer.json()
                if self._answered("job state", answer.status_code, answer.content) and found["status"] in (
                    "done",
                    "failed",
                    "cancelled",
                ):
                    if found["status"] == "failed":
                        self._tally.wrong("job", f"failed: {found['reason']}")
                    return dict(found["ledger"])
                await asyncio.sleep(1)

    async def cancelled_job(self) -> None:
        if (handed_in := await self._hand_in("job")) is None:
            return
        job_id, _ = handed_in
        await asyncio.sleep(self._chance.uniform(0, 3))
        answer = await self._http.post(f"/jobs/{job_id}/cancel")
        self._answered("cancel", answer.status_code, answer.content)
        ledger = await self._ended(job_id)
        counted = sum(ledger[state] or 0 for state in ("ok", "degraded", "failed", "pending"))
        if ledger["expected"] is not None:
            self._tally.account("cancelled job", ledger["expected"], counted)
        answer = await self._http.delete(f"/jobs/{job_id}")
        self._answered("erase", answer.status_code, answer.content)

    async def slow_sender(self) -> None:
        document = self._chance.choice(PICTURES)
        request = _raw_request("/ocr/image/simple", document)
        async with _Raw(self._url) as raw:
            for start in range(0, len(request), len(request) // 12):
                await raw.send(request[start : start + len(request) // 12])
                await asyncio.sleep(self._chance.uniform(0.1, 1))
            status, body = await raw.answer(pause=0)
        if self._answered("slow sender", status, body):
            self._tally.account("slow sender", 1, 1)
            self._tally.compare("slow sender", document.numbers, json.loads(body)["text"])

    async def slow_reader(self) -> None:
        document = self._chance.choice(PDFS)
        async with _Raw(self._url) as raw:
            await raw.send(_raw_request("/api/ocr/document", document, b"pictures", b"detail"))
            status, body = await raw.answer(pause=0.05)
        if self._answered("slow reader", status, body):
            self._check_frames("slow reader", document, body)

    async def hang_up(self) -> None:
        document = self._chance.choice(PDFS)
        path = self._chance.choice(["/pdf/ocr", "/api/ocr/document", "/jobs"])
        request = _raw_request(path, document, field=b"files" if path == "/jobs" else b"file")
        whole = path != "/jobs" and self._chance.random() < 0.6
        async with _Raw(self._url) as raw:
            await raw.send(request if whole else request[: self._chance.randrange(len(request))])
            await asyncio.sleep(self._chance.uniform(0, 2))
        self._tally.note("hang up", "gone")

    async def rubbish(self) -> None:
        path, data = self._chance.choice(RUBBISH)
        name = "files" if path == "/jobs" else "file"
        answer = await self._http.post(path, files={name: ("a.bin", data)})
        self._answered("rubbish", answer.status_code, answer.content)
        if answer.status_code not in REFUSED and answer.status_code not in BUSY:
            self._tally.wrong("rubbish", f"{path} took it: {answer.status_code}")


class _Raw:
    """A connection whose every byte is ours; one request, then it is closed."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._host, self._port = str(parts.hostname), int(parts.port or 80)

    async def __aenter__(self) -> _Raw:
        self._reader, self._writer = await asyncio.open_connection(self._host, self._port, limit=4096)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writer.close()
        with suppress(OSError):
            await self._writer.wait_closed()

    async def send(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def answer(self, pause: float) -> tuple[int, bytes]:
        """Status and body, read 2 KiB at a time, with `pause` seconds between two of them."""
        async with asyncio.timeout(PATIENCE):
            pieces = []
            while piece := await self._reader.read(2048):
                pieces.append(piece)
                await asyncio.sleep(pause)
        head, _, body = b"".join(pieces).partition(b"\r\n\r\n")
        if not head:
            raise ConnectionResetError("no answer came")
        chunked = b"transfer-encoding: chunked" in head.lower()
        return int(head.split()[1]), _unchunked(body) if chunked else body


def _unchunked(body: bytes) -> bytes:
    pieces = []
    while body:
        size, _, body = body.partition(b"\r\n")
        length = int(size, 16)
        pieces.append(body[:length])
        body = body[length + 2 :]
    return b"".join(pieces)


def _raw_request(path: str, document: Document, *flags: bytes, field: bytes = b"file") -> bytes:
    parts = [
        b'--%s\r\nContent-Disposition: form-data; name="%s"\r\n\r\ntrue\r\n' % (BOUNDARY, flag)
        for flag in flags
    ]
    parts.append(
        b'--%s\r\nContent-Disposition: form-data; name="%s"; filename="a"\r\n\r\n%s\r\n--%s--\r\n'
        % (BOUNDARY, field, document.data, BOUNDARY)
    )
    body = b"".join(parts)
    head = (
        b"POST %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        b"Content-Type: multipart/form-data; boundary=%s\r\nContent-Length: %d\r\n\r\n"
    )
    return head % (path.encode(), BOUNDARY, len(body)) + body
