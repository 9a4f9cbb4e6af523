"""What others notice of large work: waiting, memory, growth. On the fake engine, which reads asleep.

`python -m benchmarks.budget [--only waiting exports uploads documents refusals]` starts servers of its own
and prints a table row for each measurement; what each is to be below stands beside it.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import httpx
from PIL import Image, ImageDraw

from benchmarks.health_under_load import ROOT, _free_port, _ready
from benchmarks.memory import Peak, write_document

Measure = Callable[[], Coroutine[Any, Any, None]]


@contextmanager
def server(folder: Path, **settings: str) -> Iterator[tuple[str, int]]:
    """A server's URL and process id."""
    port = _free_port()
    named = {"BACKEND": "fake", "HOST": "127.0.0.1", "PORT": str(port), "DATA_DIR": str(folder / "data")}
    process = subprocess.Popen(
        [sys.executable, "serve_ocr.py"],
        cwd=ROOT,
        env=os.environ | named | settings,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        with httpx.Client(base_url=url, trust_env=False) as client:
            while not _ready(client):
                time.sleep(0.2)
        yield url, process.pid
    finally:
        process.terminate()
        process.wait(60)


@asynccontextmanager
async def clients(folder: Path, **settings: str) -> AsyncIterator[tuple[httpx.AsyncClient, int]]:
    """A client of a fresh server, which has read a page, and the server's process id."""
    with server(folder, **settings) as (url, pid):
        limits = httpx.Limits(max_connections=100)
        async with httpx.AsyncClient(base_url=url, timeout=None, trust_env=False, limits=limits) as client:
            await read(client, picture((400, 300)))
            yield client, pid


def picture(size: tuple[int, int]) -> bytes:
    image = Image.new("RGB", size, "white")
    ImageDraw.Draw(image).rectangle((size[0] // 4, size[1] // 4, size[0] // 2, size[1] // 2), fill="black")
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


async def read(client: httpx.AsyncClient, data: bytes) -> float:
    """Seconds until a picture's text is there."""
    started = time.monotonic()
    answer = await client.post("/ocr/image/simple", files={"file": data})
    answer.raise_for_status()
    return time.monotonic() - started


def document_of(folder: Path, pages: int) -> bytes:
    path = folder / f"{pages}.pdf"
    write_document(path, pages)
    return path.read_bytes()


async def send(client: httpx.AsyncClient, document: bytes, **fields: str) -> None:
    answer = await client.post("/pdf/ocr", files={"file": document}, data=fields)
    answer.raise_for_status()


async def waiting() -> None:
    """A tiny picture behind a long document, with the places that vLLM has."""
    seconds = 2.0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        long_document = document_of(folder, 300)
        settings = {"MAX_CONCURRENCY": "100", "FAKE_SECONDS_PER_PAGE": str(seconds)}
        async with clients(folder, **settings) as (client, _):
            alone = await read(client, picture((60, 40)))
            long = asyncio.create_task(send(client, long_document, extract_images="false"))
            waits = []
            while not long.done():
                await asyncio.sleep(0.5)
                waits.append(await read(client, picture((60, 40))))
            await long
    print(
        f"| a tiny picture behind a 300-page PDF, page of {seconds:g} s | alone {alone:.2f} s; behind "
        f"{median(waits):.2f} s (median), longest {max(waits):.2f} s of {len(waits)} | < {3 * seconds:g} s |",
        flush=True,
    )


async def exports() -> None:
    """A picture while six searchable PDFs are written."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        document = document_of(folder, 20)
        async with clients(folder, MAX_CONCURRENCY="2", FAKE_SECONDS_PER_PAGE="0.2") as (client, _):
            quiet = [await read(client, picture((1190, 1684))) for _ in range(10)]
            many = [asyncio.create_task(send(client, document, output="searchable_pdf")) for _ in range(6)]
            await asyncio.sleep(6)  # what is left to do is written, not read
            busy = []
            while not all(task.done() for task in many):
                busy.append(await read(client, picture((1190, 1684))))
            await asyncio.gather(*many)
    print(
        f"| an A4 picture while searchable PDFs are written | quiet {median(quiet):.2f} s, busy median "
        f"{median(busy):.2f} s, longest {max(busy):.2f} s of {len(busy)} | one page more |",
        flush=True,
    )


async def uploads() -> None:
    """Forty A4 pictures, one or two of which are in the engine, against as many as fill its places."""
    await compare("forty A4 pictures, one place", one_upload, forty_uploads, places=1)
    await compare("forty A4 pictures, two places", two_uploads, forty_uploads)


async def documents() -> None:
    """Eight PDFs at once."""
    await compare("eight PDFs of 20 pages, two places", one_document, eight_documents)


async def one_upload(client: httpx.AsyncClient, folder: Path) -> None:
    for _ in range(3):
        await read(client, picture((1190, 1684)))


async def two_uploads(client: httpx.AsyncClient, folder: Path) -> None:
    await asyncio.gather(one_upload(client, folder), one_upload(client, folder))


async def forty_uploads(client: httpx.AsyncClient, folder: Path) -> None:
    await asyncio.gather(*(read(client, picture((1190, 1684))) for _ in range(40)))


async def one_document(client: httpx.AsyncClient, folder: Path) -> None:
    await send(client, document_of(folder, 20))


async def eight_documents(client: httpx.AsyncClient, folder: Path) -> None:
    document = document_of(folder, 20)
    await asyncio.gather(*(send(client, document) for _ in range(8)))


async def compare(
    name: str,
    one: Callable[[httpx.AsyncClient, Path], Coroutine[Any, Any, None]],
    many: Callable[[httpx.AsyncClient, Path], Coroutine[Any, Any, None]],
    places: int = 2,
) -> None:
    peaks = []
    for work in (one, many):
        with tempfile.TemporaryDirectory() as folder:
            settings = {"MAX_CONCURRENCY": str(places), "FAKE_SECONDS_PER_PAGE": "0.5", "NUM_WORKERS": "2"}
            async with clients(Path(folder), **settings) as (client, pid):
                with Peak(pid) as peak:
                    await work(client, Path(folder))
                peaks.append(peak.stop() / 2**20)
    print(
        f"| {name} | few {peaks[0]:.0f} MiB, all {peaks[1]:.0f} MiB: {peaks[1] / peaks[0]:.2f} | ≤ 1.3 |",
        flush=True,
    )


async def refusals() -> None:
    """Uploads that are refused once they have streamed past the bound."""
    with tempfile.TemporaryDirectory() as folder:
        async with clients(Path(folder), MAX_UPLOAD_MB="1") as (client, pid):
            await refuse(client, 100)
            sizes = [resident(pid)]
            for _ in range(5):
                await refuse(client, 100)
                sizes.append(resident(pid))
    steps = ", ".join(f"{size / 2**20:.1f}" for size in sizes)
    print(f"| after 100, 200, … 600 refused uploads | resident MiB: {steps} | no growth |", flush=True)


async def refuse(client: httpx.AsyncClient, times: int) -> None:
    head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n\r\n'

    async def body() -> AsyncIterator[bytes]:
        yield head
        for _ in range(24):
            yield b"x" * (1 << 16)

    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    for _ in range(times):
        try:
            answer = await client.post("/ocr/image/simple", content=body(), headers=headers)
            assert answer.status_code == 413, answer.text
        except httpx.TransportError:
            continue  # it was cut off


def resident(pid: int) -> int:
    line = next(x for x in Path(f"/proc/{pid}/status").read_text().splitlines() if x.startswith("VmRSS"))
    return int(line.split()[1]) * 1024


def median(values: list[float]) -> float:
    return sorted(values)[len(values) // 2]


MEASUREMENTS: dict[str, Measure] = {
    "waiting": waiting,
    "exports": exports,
    "uploads": uploads,
    "documents": documents,
    "refusals": refusals,
}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--only", nargs="*", choices=MEASUREMENTS, default=list(MEASUREMENTS))
    print("| What | measured | to be |\n|---|---|---|", flush=True)
    for name in arguments.parse_args().only:
        asyncio.run(MEASUREMENTS[name]())


if __name__ == "__main__":
    main()
