"""What durable jobs cost, and how long people wait for them.

    python -m benchmarks.jobs [--backend fake] [--seconds 0.4] [--pages 200] [--turns 3] [--files folder]

Starts one server and prints: the wall time of a job over that of the bare pipeline for the same pages, in
turns; the server's processor time per page of a job; a one-page job alone and behind a 1,000-page one; and
how long a cancelled job keeps the engine. With the fake engine a page takes `--seconds` and no processor,
so that what is measured is the jobs; with `--backend rapidocr` it is real reading.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from airgap.core.document import ReadOptions
from config import load_settings
from process.pages import open_source
from serve_ocr import create_service
from tests.jobs.helpers import Server, done, pdf, picture


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--backend", default="fake")
    parser.add_argument("--seconds", default="0.4")
    parser.add_argument("--pages", type=int, default=200)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--files", type=Path, help="a PDF to read instead of a made one")
    parser.add_argument("--only", choices=["throughput", "waiting"])
    options = parser.parse_args()
    document = options.files.read_bytes() if options.files else pdf(options.pages)
    settings = {"BACKEND": options.backend, "FAKE_SECONDS_PER_PAGE": options.seconds}
    os.environ.update(settings)
    with tempfile.TemporaryDirectory() as folder:
        server = Server(Path(folder) / "server", Path(folder) / "data", **settings).start()
        server.finish(server.submit(picture())["id"])
        try:
            if options.only != "waiting":
                throughput(server, document, options.turns)
            if options.only != "throughput":
                waiting(server)
                cancelling(server, float(options.seconds))
        finally:
            server.stop()


def throughput(server: Server, document: bytes, turns: int) -> None:
    ratios = []
    for _ in range(turns):
        bare, pages = asyncio.run(read_bare(document))
        before, started = processor_seconds(server), time.monotonic()
        finish(server, server.submit(document)["id"])
        job, used = time.monotonic() - started, processor_seconds(server) - before
        ratios.append(bare / job)
        print(
            f"{pages} pages: bare {bare:.2f} s, job {job:.2f} s, throughput {bare / job:.3f} of bare, "
            f"{1000 * used / pages:.1f} ms of processor a page in the server",
            flush=True,
        )
    print(f"median ratio {statistics.median(ratios):.3f}")


def finish(server: Server, job_id: str) -> None:
    """Wait for a job, asking seldom: every answer costs the processor that is being measured."""
    while server.job(job_id)["status"] != "done":
        time.sleep(0.1)


async def read_bare(document: bytes) -> tuple[float, int]:
    """Seconds of `Reader.recognize` on an engine that was started before, and the pages."""
    service = create_service(load_settings())
    await service.engine.start()
    with open_source(picture(), name="warm", limits=service.limits) as source:
        await service.reader.recognize(source, ReadOptions())
    started = time.monotonic()
    with open_source(document, name="document", limits=service.limits) as source:
        read = await service.reader.recognize(source, ReadOptions())
    seconds = time.monotonic() - started
    await service.engine.close()
    return seconds, len(read.pages)


def processor_seconds(server: Server) -> float:
    """What the server's own process used so far, in user and system."""
    assert server.process is not None
    fields = Path(f"/proc/{server.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def waiting(server: Server) -> None:
    alone = [timed(lambda: server.finish(server.submit(picture())["id"])) for _ in range(7)]
    large = server.submit(pdf(1000))["id"]
    server.wait(large, lambda job: done(job) >= 8)
    behind = [timed(lambda: server.finish(server.submit(picture())["id"])) for _ in range(7)]
    at = done(server.job(large))
    server.client.post(f"/jobs/{large}/cancel")
    first, second = statistics.median(alone), statistics.median(behind)
    print(
        f"one page alone {first:.2f} s ({min(alone):.2f}–{max(alone):.2f}), "
        f"behind 1,000 pages {second:.2f} s "
        f"({min(behind):.2f}–{max(behind):.2f}), ratio {second / first:.2f}; {at} of 1,000 read meanwhile"
    )


def cancelling(server: Server, page_seconds: float) -> None:
    took = []
    for _ in range(7):
        job = server.submit(pdf(100))["id"]
        server.wait(job, lambda found: done(found) >= 4)
        took.append(timed(lambda job=job: server.client.post(f"/jobs/{job}/cancel")))  # type: ignore[misc]
        assert server.metric("ocr_pages_reading") == 0
    print(
        f"cancel: engine idle after {statistics.median(took) * 1000:.0f} ms "
        f"({min(took) * 1000:.0f}–{max(took) * 1000:.0f}), a page takes {page_seconds * 1000:.0f} ms"
    )


def timed(work: Callable[[], object]) -> float:
    started = time.monotonic()
    work()
    return time.monotonic() - started


if __name__ == "__main__":
    main()
