"""What has to happen to jobs by itself: the work of dead servers, room on the disk, the time to live.

Every server keeps house for all; each deed is such that several may do it at once. A server lives while
its heartbeat goes on or, on the same machine, while it holds the lock on its file, which the kernel takes
from the dead at once. Heartbeats are compared with each other only, never with a clock.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import logging
import os
import socket
import time
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import ModuleType
from typing import IO

from airgap.db.away import AWAY, said_by
from airgap.jobs.plan import UNFINISHED
from airgap.jobs.reading import DISK_FULL, Threads
from airgap.jobs.store import DISK_TROUBLE, JobStore, is_disk_full
from airgap.jobs.tables import Job, Server, Tables
from airgap.monitoring import metrics

log = logging.getLogger(__name__)

_TROUBLE_SECONDS = 15.0
TICK_SECONDS = 1.0
DEAD_AFTER_SECONDS = 30.0
_TICKS_BETWEEN_LOOKS = 3
_QUEUED_SECONDS = 15.0
_ORPHAN_SECONDS = 3600.0
_CLEANING_SECONDS = 60.0


class Presence:
    """This server's place among those that share the queue.

    Ids are new at each start: two living processes never have the same one, whatever a site copies.
    """

    def __init__(self, root: Path) -> None:
        self._locks = root / "servers"
        self.machine = _machine()
        self.id = f"{socket.gethostname()[:80]}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
        self._beat = 0
        self._lock: IO[bytes] | None = None
        self._seen: dict[str, tuple[int, float]] = {}

    def enter(self) -> None:
        """Take the lock that says that this server lives. Blocks."""
        self._locks.mkdir(parents=True, exist_ok=True)
        self._lock = (self._locks / self.id).open("wb")
        fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def leave(self) -> None:
        """Let the lock go: the others may take up what is left."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def next_beat(self) -> Server:
        self._beat += 1
        return Server(self.id, self.machine, self._beat)

    def dead(self, servers: list[Server]) -> list[str]:
        """Those of `servers` that live no more."""
        now = time.monotonic()
        found = []
        for server in servers:
            beat, since = self._seen.get(server.id, (None, now))
            if beat != server.beat:
                self._seen[server.id] = (server.beat, now)
                since = now
            if server.id != self.id and (now - since > DEAD_AFTER_SECONDS or self._lock_is_free(server)):
                found.append(server.id)
        return found

    def forget(self, server_id: str) -> None:
        self._seen.pop(server_id, None)
        (self._locks / server_id).unlink(missing_ok=True)

    def _lock_is_free(self, server: Server) -> bool:
        """Whether a server of this machine has let its lock go."""
        if server.machine != self.machine:
            return False
        try:
            with (self._locks / server.id).open("r+b") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True


def _machine() -> str:
    """The same for all processes under one running kernel, and for no others."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


class Keeper:
    """Keeps house once a second, until cancelled. `flow` is the module of that name."""

    def __init__(
        self,
        *,
        presence: Presence,
        tables: Tables,
        store: JobStore,
        threads: Threads,
        flow: ModuleType,
        ttl_seconds: float,
        stall_seconds: float,
        tidy: Callable[[], Awaitable[None]],
        erased: Callable[[Job], None],
    ) -> None:
        self._presence = presence
        self._tables = tables
        self._store = store
        self._threads = threads
        self._flow = flow
        self._ttl = ttl_seconds
        self._stall = stall_seconds
        self._tidy = tidy
        self._erased = erased
        self._ahead: dict[str, tuple[float, float]] = {}  # a change in the future, and when it was seen
        self._failing_since: float | None = None
        self._full = False
        self._ticks = 0
        self._cleaned = 0.0

    async def run(self) -> None:
        while True:
            try:
                await self._threads(self._tick)
                await self._tidy()
                self._recovered()
            except Exception as error:
                self._failed(error)
            await asyncio.sleep(TICK_SECONDS)

    def _failed(self, error: Exception) -> None:
        self._failing_since = self._failing_since or time.monotonic()
        self._full = is_disk_full(error)
        if self._full:
            log.error("jobs wait: %s", DISK_TROUBLE)
        elif isinstance(error, AWAY):
            log.error("jobs wait: the jobs' database is away: %s", said_by(error))
        else:
            log.exception("keeping house for the jobs failed; trying again")

    def _recovered(self) -> None:
        if self._failing_since is not None:
            log.warning("jobs go on after %.0f s", time.monotonic() - self._failing_since)
        self._failing_since, self._full = None, False

    @property
    def trouble(self) -> str | None:
        """That it fails, once it has failed for long enough to be no hiccup."""
        since = self._failing_since
        if since is None or time.monotonic() - since < _TROUBLE_SECONDS:
            return None
        return DISK_TROUBLE if self._full else "the jobs' database cannot be used"

    def beat(self) -> None:
        self._tables.beat(self._presence.next_beat())

    def _tick(self) -> None:
        self._store.ages.look()
        self.beat()
        for server_id in self._presence.dead(self._tables.servers()):
            taken = self._flow.reclaim(server_id)
            log.warning("the server %s is dead; %d of its workflows go on", server_id, taken)
            self._tables.forget_server(server_id)
            self._presence.forget(server_id)
        if self._ticks % _TICKS_BETWEEN_LOOKS == 0:
            self._look()
        self._ticks += 1
        if time.monotonic() - self._cleaned > min(_CLEANING_SECONDS, self._ttl / 2):
            self._cleaned = time.monotonic()
            self._clean()

    def _look(self) -> None:
        unfinished = self._tables.unfinished()
        oldest = min((job.created_at for job in unfinished), default=time.time())
        metrics.jobs_waiting([job.status for job in unfinished], max(0.0, time.time() - oldest))
        ahead = {job.id for job in unfinished if job.changed_at > time.time()}
        self._ahead = {job_id: seen for job_id, seen in self._ahead.items() if job_id in ahead}
        for job in unfinished:
            self._look_after(job)

    def _still(self, job: Job) -> float:
        """Seconds since the job changed; since that was seen, where it lies ahead: the clock was set back."""
        if job.changed_at <= time.time():
            return time.time() - job.changed_at
        changed_at, seen = self._ahead.get(job.id, (0.0, 0.0))
        if changed_at != job.changed_at:
            seen = time.monotonic()
            self._ahead[job.id] = job.changed_at, seen
        return time.monotonic() - seen

    def _look_after(self, job: Job) -> None:
        """Take up a job that waits for room, or whose workflows were lost."""
        still = self._still(job)
        if job.status == "paused":
            if job.reason == DISK_FULL and self._store.has_room(factor=2):
                log.info("there is room again; job %s goes on", job.id)
                self._restart(job)
        elif job.status == "queued" and still > _QUEUED_SECONDS and not self._flow.is_alive(job.id):
            self._flow.enqueue_open(job.id, job.generation)
            if still > self._stall:
                self._restart(job)
        elif still > self._stall and not self._flow.is_alive(job.id):
            log.error("job %s had stopped; it is started again", job.id)
            self._restart(job)

    def _restart(self, job: Job) -> None:
        if self._tables.restart(job):
            self._flow.enqueue_open(job.id, job.generation + 1)

    def _clean(self) -> None:
        """Erase what has outlived its time, and what belongs to no job."""
        for job in self._tables.expired(time.time() - self._ttl):
            if self._store.ages.of(job.finished_at or 0.0) < self._ttl:
                continue
            log.info("job %s has outlived its time", job.id)
            erase(job.id, self._tables, self._store, self._flow)
            self._erased(job)
        for job_id in self._store.ids(older_than=_ORPHAN_SECONDS):
            if self._tables.job(job_id) is None:
                self._store.erase(job_id)
        self._store.sweep()


def erase(job_id: str, tables: Tables, store: JobStore, flow: ModuleType) -> None:
    """Erase a job: files, then workflows, then rows, so that what is cut short can be done again. Blocks."""
    tables.change(job_id, UNFINISHED, status="cancelled", finished_at=time.time())
    flow.cancel(job_id)
    with contextlib.suppress(FileNotFoundError):
        store.erase(job_id)
    flow.erase(job_id)
    tables.erase(job_id)
