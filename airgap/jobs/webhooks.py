"""Telling a site's other programs that a job has ended: a signed request to an address on the site's list.

What is still to be told lies as one small file a job under DATA_DIR until it was taken or given up, so a
server that is stopped, or killed, tells it after its next start; of several servers, whichever has the file's
lock. The form is that of https://www.standardwebhooks.com: `webhook-id`, `webhook-timestamp` and
`webhook-signature` (`v1,` and the HMAC-SHA256 of `id.timestamp.body` in base64). The body holds a job's id,
state and counts, and no name or text of a file. One request may come twice: the id is the same.
"""

from __future__ import annotations

import asyncio
import base64
import fcntl
import hmac
import json
import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import httpx

from airgap.core.errors import AirgapError, NotFound, UrlRefused
from airgap.http.addresses import Gate, Resolve, look_up, trusted
from airgap.jobs.description import describe
from airgap.jobs.service import Jobs
from airgap.jobs.tables import Job
from config import Settings
from process.work import briefly

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
ANSWER_SECONDS = 10.0
AT_ONCE = 8
PAUSES = (10, 60, 300, 1800, 7200, 21_600, 43_200)
"""Seconds from one attempt to the next; then the address is given up."""

ALLOW = "Have the site list the host in WEBHOOK_ALLOWLIST."


@dataclass(frozen=True, slots=True)
class Waiting:
    """Who is to be told of a job, and how often that was tried; times are Unix seconds."""

    job: str
    url: str
    attempts: int = 0
    not_before: float = 0.0


def pause_before(attempt: int) -> int:
    """Seconds that are waited before an attempt, the first of which is 0."""
    return PAUSES[attempt - 1] if 0 < attempt <= len(PAUSES) else 0


class Webhooks:
    """A part of the server: see the module docstring. `resolve` is replaced in tests."""

    def __init__(self, settings: Settings, jobs: Jobs, resolve: Resolve = look_up) -> None:
        self._jobs = jobs
        self._gate = Gate(settings.webhook_allowlist, resolve)
        self._on = bool(settings.webhook_allowlist)
        secret = settings.webhook_secret
        self._secret = secret.get_secret_value().encode() if secret else b""
        self._folder = settings.data_dir / "webhooks"

    def check(self, url: str) -> None:
        """Raise `UrlRefused` unless the site lets jobs name this address."""
        if not self._on:
            raise UrlRefused("This server tells nobody of jobs (WEBHOOK_ALLOWLIST is not set).", ALLOW)
        try:
            self._gate.checked(url)
        except UrlRefused as error:
            raise UrlRefused(error.message, ALLOW) from error

    async def expect(self, job: Job, url: str) -> None:
        """Note that `url` is to be told of the job's end; on the disk before this returns."""
        await briefly(self._write, Waiting(job.id, url))

    async def prepare(self) -> None:
        """Nothing is to be done before the start."""

    def trouble(self) -> str | None:
        """An address that does not answer is no trouble of this server's."""
        return None

    async def close(self) -> None:
        """What was not told stays on the disk."""

    async def start(self) -> None:
        """Tell, until the server stops."""
        while self._on:
            files = await briefly(self._due)
            for start in range(0, len(files), AT_ONCE):
                await asyncio.gather(*map(self._tell, files[start : start + AT_ONCE]))
            await asyncio.sleep(LOOK_SECONDS)

    # --- one job ---------------------------------------------------------------------------------

    async def _tell(self, path: Path) -> None:
        with _locked(path) as waiting:
            if waiting is None:
                return
            try:
                job = await self._jobs.job(None, waiting.job)
            except NotFound:
                await briefly(path.unlink, missing_ok=True)
                return
            if not job.finished:
                return
            said = await self._send(waiting, job)
            await briefly(self._settle, path, waiting, said)

    async def _send(self, waiting: Waiting, job: Job) -> str | None:
        """None where the address took it, else why not."""
        (counts,) = (await self._jobs.counts([job])).values()
        event = {"type": "job.ended", "timestamp": time.time(), "data": describe(job, counts, [])}
        body = json.dumps(event).encode()
        try:
            pinned = await self._gate.pinned(self._gate.checked(waiting.url))
            headers = {**pinned.headers, "Content-Type": "application/json", **self._signed(job.id, body)}
            async with (
                asyncio.timeout(ANSWER_SECONDS),
                httpx.AsyncClient(trust_env=False, verify=trusted()) as client,
            ):
                request = client.build_request(
                    "POST", pinned.url, content=body, headers=headers, extensions=pinned.extensions
                )
                answer = await client.send(request, stream=True, follow_redirects=False)
                await answer.aclose()
        except (AirgapError, httpx.HTTPError, TimeoutError) as error:
            return type(error).__name__
        return None if answer.is_success else f"status {answer.status_code}"

    def _signed(self, job_id: str, body: bytes) -> dict[str, str]:
        identity, seconds = f"job_{job_id}", str(int(time.time()))
        digest = hmac.digest(self._secret, f"{identity}.{seconds}.".encode() + body, "sha256")
        signature = f"v1,{base64.b64encode(digest).decode()}"
        return {"webhook-id": identity, "webhook-timestamp": seconds, "webhook-signature": signature}

    def _settle(self, path: Path, waiting: Waiting, said: str | None) -> None:
        if said is None:
            path.unlink(missing_ok=True)
        elif waiting.attempts >= len(PAUSES):
            log.error("job %s: its webhook was given up after %d attempts", waiting.job, waiting.attempts + 1)
            path.unlink(missing_ok=True)
        else:
            pause = PAUSES[waiting.attempts]
            log.warning("job %s: its webhook failed (%s); again in %d s", waiting.job, said, pause)
            later = replace(waiting, attempts=waiting.attempts + 1, not_before=time.time() + pause)
            self._write(later)

    # --- files -----------------------------------------------------------------------------------

    def _write(self, waiting: Waiting) -> None:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        beside = self._folder / f"{waiting.job}.part"
        with beside.open("w") as file:
            json.dump(asdict(waiting), file)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(self._folder / f"{waiting.job}.json")

    def _due(self) -> list[Path]:
        """Whose time has come, or lies further ahead than any pause: the clock was set back since."""
        found = [(path, _read(path)) for path in sorted(self._folder.glob("*.json"))]
        now = time.time()
        return [
            path
            for path, waiting in found
            if waiting and not now < waiting.not_before <= now + pause_before(waiting.attempts)
        ]


def _read(path: Path) -> Waiting | None:
    try:
        return Waiting(**json.loads(path.read_text()))
    except (OSError, ValueError, TypeError):
        return None


@contextmanager
def _locked(path: Path) -> Iterator[Waiting | None]:
    """What is waiting in the file, for as long as no other server has it; else None."""
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield _read(path) if path.exists() else None
    except (BlockingIOError, FileNotFoundError):
        yield None
