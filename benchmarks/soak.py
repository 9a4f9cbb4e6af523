"""Many clients at once, for a long time, in little memory: is anything lost, and does anything grow?

    python -m benchmarks.soak [--clients 50] [--minutes 8] [--memory-gb 4] [--documents 300]

Starts a server in a cgroup of so much memory (root; `--memory-gb 0` goes without) and lets clients of every
kind at it: pictures, PDFs, streams, jobs, slow senders and readers, those that hang up, rubbish. Then sends
`--documents` documents one after the other. Prints the table of docs/reliability.md, and exits with 1 when
a page is lost, an answer is somebody else's, an undocumented server's error comes, or memory, handles or
threads grow. Times are printed and decide nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path

import httpx

from benchmarks.cgroup import MemoryGroup, memory_group
from benchmarks.health_under_load import ROOT, _free_port, _ready
from benchmarks.memory import _pss, _tree
from benchmarks.soak_clients import PDFS, PICTURES, Client, Tally
from benchmarks.watch import MIB, Watch, percentile, slope

GROWTH = 1.25
"""Most that the last quarter's median may be of the second's; the first warms up."""
HANDLES = 16
"""So many handles or threads more are no growth: they come and go with the requests that are open."""
KIB_PER_DOCUMENT = 64
START_SECONDS = 120


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--minutes", type=float, default=8)
    parser.add_argument("--memory-gb", type=float, default=4)
    parser.add_argument("--documents", type=int, default=300)
    parser.add_argument("--backend", default="rapidocr")
    options = parser.parse_args(arguments)
    limit = int(options.memory_gb * (1 << 30))
    with memory_group(limit) if limit else nullcontext() as group, tempfile.TemporaryDirectory() as folder:
        with server(Path(folder), group, options.backend) as (process, url):
            tally, watch = asyncio.run(load(process.pid, url, options.clients, 60 * options.minutes))
            settled(url)
            points = one_after_the_other(process.pid, url, options.documents)
            violations = [*tally.violations, *growth(watch), *growth_of_documents(points)]
            violations += leftovers(url, Path(folder) / "data")
            if process.poll() is not None:
                violations.append(f"the server ended with {process.returncode}")
        log = (Path(folder) / "server.log").read_text()
        violations += [f"in the log: {line}" for line in log.splitlines() if "Traceback" in line]
        if group and group.oom_kills():
            violations.append(f"the kernel ended {group.oom_kills()} processes for want of memory")
        print(table(options, tally, watch, points, group))
        if violations:
            print("\n".join(["", "Violations:", *violations[:40]]))
            print(log[-4000:])
    return 1 if violations else 0


@contextmanager
def server(
    folder: Path, group: MemoryGroup | None, backend: str
) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """A server as `make serve` starts it, with a queue short enough to be full now and then."""
    port = _free_port()
    settings = {"BACKEND": backend, "HOST": "127.0.0.1", "PORT": str(port), "DATA_DIR": str(folder / "data")}
    settings |= {"MAX_QUEUE": "24", "MAX_JOBS": "12", "MAX_JOBS_PER_CALLER": "12", "LOG_LEVEL": "warning"}
    command = [sys.executable, "serve_ocr.py"]
    with (folder / "server.log").open("w") as log:
        process = subprocess.Popen(
            group.command(command) if group else command,
            cwd=ROOT,
            env=os.environ | settings,
            stdout=log,
            stderr=log,
        )
    url = f"http://127.0.0.1:{port}"
    try:
        with httpx.Client(base_url=url, timeout=30, trust_env=False) as client:
            deadline = time.monotonic() + START_SECONDS
            while not _ready(client):
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError((folder / "server.log").read_text())
                time.sleep(0.2)
        yield process, url
    finally:
        process.terminate()
        process.wait(60)


async def load(pid: int, url: str, clients: int, seconds: float) -> tuple[Tally, Watch]:
    """All clients at once until the time is over and each has ended what it had begun."""
    tally, deadline = Tally(), time.monotonic() + seconds
    with Watch(pid, url) as watch:
        crowd = [Client(url, tally, seed) for seed in range(clients)]
        async with asyncio.TaskGroup() as group:
            for client in crowd:
                group.create_task(client.go_on(lambda: time.monotonic() > deadline))
    return tally, watch


def settled(url: str) -> None:
    """Wait until nothing is read any more: what was begun for clients that hung up ends."""
    with httpx.Client(base_url=url, timeout=60, trust_env=False) as client:
        deadline = time.monotonic() + 120
        while _metric(client, "ocr_pages_reading") and time.monotonic() < deadline:
            time.sleep(0.5)


def one_after_the_other(pid: int, url: str, documents: int) -> list[tuple[float, float]]:
    """Send so many documents, a picture and a PDF in turns: (documents so far, KiB of the process tree)."""
    points = []
    with httpx.Client(base_url=url, timeout=120, trust_env=False) as client:
        for number in range(documents):
            kind = (PICTURES, PDFS)[number % 2]
            document = kind[number // 2 % len(kind)]
            client.post("/pdf/ocr/simple", files={"file": (document.name, document.data)}).raise_for_status()
            if number % 10 == 9:
                points.append((number + 1.0, sum(_pss(one) for one in _tree(pid)) / 1024))
    return points


def growth(watch: Watch) -> list[str]:
    """What was larger in the last quarter of the time than in the second."""
    found = []
    _, second, _, last = watch.quarters(lambda sample: sample.memory)
    if last > GROWTH * second:
        found.append(f"memory grew from {second:.0f} to {last:.0f} MiB")
    for name in ("handles", "threads"):
        _, second, _, last = watch.quarters(lambda sample, name=name: getattr(sample, name))  # type: ignore[misc]
        if last > second + HANDLES:
            found.append(f"{name} grew from {second:.0f} to {last:.0f}")
    return found


def growth_of_documents(points: list[tuple[float, float]]) -> list[str]:
    late = points[len(points) // 3 :]
    if len(late) > 2 and (found := slope(late)) > KIB_PER_DOCUMENT:
        return [f"memory grows by {found:.0f} KiB a document"]
    return []


def leftovers(url: str, data: Path) -> list[str]:
    """Files of requests that ended, and pages that are still said to be read."""
    with httpx.Client(base_url=url, timeout=60, trust_env=False) as client:
        reading = _metric(client, "ocr_pages_reading")
    found = [f"{reading:.0f} pages are still said to be read"] if reading else []
    left = [path for path in data.glob("uploads/*/*") if path.name != ".lock"]
    return found + ([f"{len(left)} files are left in uploads: {left[:3]}"] if left else [])


def _metric(client: httpx.Client, name: str) -> float:
    lines = client.get("/metrics").raise_for_status().text.splitlines()
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith((f"{name} ", f"{name}{{")))


def table(
    options: argparse.Namespace,
    tally: Tally,
    watch: Watch,
    points: list[tuple[float, float]],
    group: MemoryGroup | None,
) -> str:
    """The Markdown of the report."""
    by_status: Counter[str] = Counter()
    for outcome, count in tally.answers.items():
        by_status[outcome.rsplit(" ", 1)[1]] += count
    memory = watch.quarters(lambda sample: sample.memory)
    rows = [
        ("clients, minutes", f"{options.clients}, {options.minutes:g}"),
        ("answers", ", ".join(f"{status}: {count:,}" for status, count in sorted(by_status.items()))),
        ("pages accepted, accounted for", f"{tally.accepted:,}, {tally.accounted:,}"),
        ("numbers on pages read right, not read", f"{tally.own:,}, {tally.unread:,}"),
        ("answers with what is another's, lost connections, other violations", f"{len(tally.violations)}"),
        ("memory of the process tree by quarters, most (MiB)", f"{_row(memory)}, {watch.peak():.0f}"),
        ("handles of the server by quarters", _row(watch.quarters(lambda sample: sample.handles))),
        ("threads of the server by quarters", _row(watch.quarters(lambda sample: sample.threads))),
        ("child processes by quarters", _row(watch.quarters(lambda sample: sample.children))),
        ("`/healthz` p50, p99, most (ms)", _milliseconds(watch.answering)),
    ]
    if group is not None:
        found = f"{1024 * options.memory_gb:g}, {group.peak_bytes() / MIB:.0f}, {group.oom_kills()}"
        rows.append(("the cgroup's bound, its peak (MiB), processes ended by the kernel", found))
    if len(points) > 2:
        first, last, steepness = points[0][1], points[-1][1], slope(points[len(points) // 3 :])
        found = f"{first / 1024:.0f}, {last / 1024:.0f}, {steepness:.1f}"
        name = f"{options.documents} documents after it: first, last (MiB), slope (KiB a document)"
        rows.append((name, found))
    acts = ["", "| act | outcomes |", "|---|---|", *_acts(tally)]
    return "\n".join(["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows), *acts])


def _acts(tally: Tally) -> list[str]:
    acts: dict[str, list[str]] = {}
    for outcome, count in sorted(tally.answers.items()):
        act, status = outcome.rsplit(" ", 1)
        acts.setdefault(act, []).append(f"{status}: {count:,}")
    return [f"| {act} | {', '.join(outcomes)} |" for act, outcomes in acts.items()]


def _row(values: Sequence[float]) -> str:
    return " · ".join(f"{value:.0f}" for value in values)


def _milliseconds(values: Sequence[float]) -> str:
    return f"{statistics.median(values):.0f}, {percentile(values, 0.99):.0f}, {max(values):.0f}"


if __name__ == "__main__":
    sys.exit(main())
