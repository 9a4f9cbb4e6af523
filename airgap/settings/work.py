"""Where work is done, how much of it at once, and for how long."""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import Field, field_validator

from airgap.settings.section import Section


class WorkSettings(Section):
    """What engines and server share."""

    data_dir: Path = Field(
        Path("data"), description="The one writable folder: uploads while they are read, caches, results."
    )
    max_concurrency: int | None = Field(
        None,
        ge=1,
        description="Pages in work at once. Unset: 100 for each engine of vLLM, the cores on a CPU.",
    )
    num_workers: int | None = Field(
        None,
        ge=1,
        description="Threads and rendering processes for the work before the engine. Unset: cores, and "
        "of the processes no more than fit into the memory at PDF_PAGE_MEMORY_MB each.",
    )
    max_queue: int = Field(
        512, ge=1, description="Requests in work or waiting; the next is answered 503 with Retry-After."
    )
    page_timeout_seconds: float = Field(300, gt=0, description="Longest time one page may take to be read.")

    @field_validator("data_dir")
    @classmethod
    def _where_processes_find_it(cls, value: Path) -> Path:
        return value.absolute()  # child processes work in another folder than the server

    @property
    def workers(self) -> int:
        """`num_workers`, or the cores this process may use."""
        return self.num_workers or len(os.sched_getaffinity(0))
