"""Every metric of the server: the only place where a metric's name is spelled.

A leaf: any module may import it and count with it, and it imports none of the project's. Labels come
from small closed sets, never from a request, so that no client can make the page grow. Counters of an
engine that runs in this process, such as vLLM's own, stand in the same registry and appear beside
these.
"""

from __future__ import annotations

from collections import Counter as Counts
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)

disable_created_metrics()  # type: ignore[no-untyped-call]

CONTENT_TYPE = CONTENT_TYPE_LATEST

_REQUEST_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800)
_PAGE_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60, 120, 300)
_INPUT_BYTES = tuple(4.0**power * 1024 for power in range(1, 10))

# --- HTTP --------------------------------------------------------------------------------------------

# `path` says what `handler` says, for those whose queries ask for it.
HTTP_REQUESTS = Counter("http_requests", "HTTP requests answered.", ["method", "handler", "path", "status"])
HTTP_SECONDS = Histogram(
    "http_request_duration_seconds",
    "Time from a request's first byte to its answer's last.",
    ["method", "handler", "path"],
    buckets=_REQUEST_SECONDS,
)
HTTP_IN_FLIGHT = Gauge("http_in_flight_requests", "HTTP requests being answered now.")

# --- Requests that read ------------------------------------------------------------------------------

OCR_REQUESTS = Counter("ocr_requests", "Requests that ask for reading.", ["kind"])
OCR_SECONDS = Histogram(
    "ocr_processing_seconds",
    "Time from such a request's first byte to its answer's last.",
    ["kind"],
    buckets=_REQUEST_SECONDS,
)
OCR_IN_PROGRESS = Gauge("ocr_in_progress", "Such requests being answered now.", ["kind"])
OCR_INPUT_BYTES = Counter("ocr_input_bytes", "Bytes of the files sent to be read.", ["kind"])
OCR_INPUT_SIZE = Histogram("ocr_input_size_bytes", "Size of each file sent to be read.", buckets=_INPUT_BYTES)
IMAGE_REQUESTS = Counter("image_requests", "Requests to read one image.")
PDF_REQUESTS = Counter("pdf_requests", "Requests to read one PDF.")

# --- Pages and tokens --------------------------------------------------------------------------------

PAGES = Counter("ocr_pages", "Pages accounted for.", ["engine", "status"])
PAGE_SECONDS = Histogram(
    "ocr_page_seconds", "Time a page spends in the engine.", ["engine"], buckets=_PAGE_SECONDS
)
PAGES_WAITING = Gauge("ocr_queue_depth", "Pages that wait for a place in the engine.")
PAGES_READING = Gauge("ocr_pages_reading", "Pages in the engine now.")
PROMPT_TOKENS = Counter("prompt_tokens", "Tokens the engine was given.")
COMPLETION_TOKENS = Counter("completion_tokens", "Tokens the engine wrote.")
TOKENS = Counter("tokens", "Tokens the engine was given and wrote.")

# --- Trouble -----------------------------------------------------------------------------------------

LOOPS = Counter("ocr_loops", "Pages on which the engine repeated itself.", ["engine", "outcome"])
ENGINE_RESTARTS = Counter("ocr_engine_restarts", "Engines started again after they died.", ["engine"])
ENGINE_FALLOVERS = Counter(
    "ocr_engine_fallovers", "Pages handed to another engine because the first failed.", ["source", "target"]
)

ENGINES = Gauge("ocr_engines", "Engines side by side, where there are several.", ["state"])
UNREAD_PAGES = Counter("ocr_unread_pages", "Pages with text that was not read.", ["engine"])
UNREAD_PLACES = Counter("ocr_unread_places", "Places of text on them that were not read.", ["engine"])
FILLED_PLACES = Counter(
    "ocr_filled_places", "Places that an engine left out and another reading filled.", ["engine"]
)

# --- Jobs --------------------------------------------------------------------------------------------

JOB_STATUSES = ("queued", "running", "paused")
JOBS = Gauge("ocr_jobs", "Jobs that have not ended, of all servers that share the queue.", ["status"])
JOB_AGE = Gauge("ocr_oldest_job_age_seconds", "Time since the oldest of them was sent.")
JOBS_ENDED = Counter("ocr_jobs_ended", "Jobs that this server saw to their end.", ["status"])

# --- Accounts ----------------------------------------------------------------------------------------

USERS = Counter("users", "Accounts: those there at the start, and those registered since.")
LOGIN_FAILURES = Counter("login_failures", "Logins and keys that were refused.", ["reason"])


def page(engine: str, status: str) -> None:
    """Count one page by what became of it: ok, degraded or failed."""
    PAGES.labels(engine, status).inc()


def read(engine: str, seconds: float, prompt_tokens: int, completion_tokens: int) -> None:
    """Count one pass of the engine over a page."""
    PAGE_SECONDS.labels(engine).observe(seconds)
    PROMPT_TOKENS.inc(prompt_tokens)
    COMPLETION_TOKENS.inc(completion_tokens)
    TOKENS.inc(prompt_tokens + completion_tokens)


def loop(engine: str, outcome: str) -> None:
    """Count a loop that was caught: `recovered` in another mode, or `cut` out of a degraded page."""
    LOOPS.labels(engine, outcome).inc()


def engine_restarted(engine: str) -> None:
    """Count an engine that died and was started again."""
    ENGINE_RESTARTS.labels(engine).inc()


def count_engines(running: Callable[[], int], down: Callable[[], int]) -> None:
    """Have each scrape ask how many engines of several run and how many do not."""
    ENGINES.labels("running").set_function(running)
    ENGINES.labels("down").set_function(down)


def fell_over(source: str, target: str) -> None:
    """Count a page that engine `target` read because engine `source` failed."""
    ENGINE_FALLOVERS.labels(source, target).inc()


def unread(engine: str, places: int) -> None:
    """Count a page with so many places of text that were not read."""
    UNREAD_PAGES.labels(engine).inc()
    UNREAD_PLACES.labels(engine).inc(places)


def filled(engine: str, places: int) -> None:
    """Count places that engine `engine` left out and that were filled."""
    FILLED_PLACES.labels(engine).inc(places)


def jobs_waiting(statuses: Iterable[str], oldest_age: float) -> None:
    """Tell how the jobs stand that have not ended; `oldest_age` is 0 where there are none."""
    counts = Counts(statuses)
    for status in JOB_STATUSES:
        JOBS.labels(status).set(counts[status])
    JOB_AGE.set(oldest_age)


def job_ended(status: str) -> None:
    """Count a job that ended: done, failed or cancelled."""
    JOBS_ENDED.labels(status).inc()


def input_received(kind: str, size: int) -> None:
    """Count one file of `size` bytes sent with a request of this kind."""
    OCR_INPUT_BYTES.labels(kind).inc(size)
    OCR_INPUT_SIZE.observe(size)


@contextmanager
def request(kind: str) -> Iterator[None]:
    """Count and time a request that reads; `kind` is image, pdf, batch, chat or job."""
    OCR_REQUESTS.labels(kind).inc()
    if kind == "image":
        IMAGE_REQUESTS.inc()
    elif kind == "pdf":
        PDF_REQUESTS.inc()
    with OCR_IN_PROGRESS.labels(kind).track_inprogress(), OCR_SECONDS.labels(kind).time():
        yield


def exposition() -> bytes:
    """The page that Prometheus scrapes."""
    return generate_latest(REGISTRY)
