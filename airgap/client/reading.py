"""Files read in this process: they go through the server's pipeline, and the results are written.

It knows no server and no option of the command line.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path

from rich.markup import escape

from airgap.client.console import Outcome, in_words, notices, progress
from airgap.client.files import Named
from airgap.client.watched_folder import Inbox, Outbox
from airgap.core.document import Document, Page, ReadOptions
from airgap.core.errors import AirgapError
from airgap.core.file_names import UniqueNames
from airgap.core.opening import WHOLE, Opening
from airgap.exporters import EXPORTERS, export_file
from airgap.exporters.images import iter_images
from airgap.http.service import Service
from process.in_order import in_order
from process.pages import Source, open_source


@dataclass(frozen=True, slots=True)
class ReadRequest:
    """What `ocr read` was asked for, checked."""

    folder: Path
    outputs: tuple[str, ...]
    options: ReadOptions
    opening: Opening = WHOLE


async def read_all(
    service: Service, files: Sequence[Named], request: ReadRequest, outcomes: list[Outcome]
) -> None:
    """Start the engine, read the files in order, a few under way at once; `outcomes` grows by each."""
    names = UniqueNames()
    jobs = [(file, request.folder / names.claim_below(file.name)) for file in files]
    with notices.status(f"Starting the engine {service.engine.name} …"):
        await service.engine.start()
    try:
        with progress("pages") as (bar, task):

            async def work(job: tuple[Named, Path]) -> Outcome:
                def opened(pages: int) -> None:
                    bar.update(task, total=(bar.tasks[task].total or 0) + pages)

                return await _read_file(service, request, *job, opened, lambda page: bar.advance(task))

            async with aclosing(in_order(jobs, work, service.reader.max_concurrency + 1)) as finished:
                async for outcome in finished:
                    outcomes.append(outcome)
    finally:
        await service.engine.close()


async def _read_file(
    service: Service,
    request: ReadRequest,
    file: Named,
    folder: Path,
    opened: Callable[[int], None],
    on_page: Callable[[Page], None],
) -> Outcome:
    """Read one file and write what was asked for; whatever goes wrong is its own."""
    try:
        source = await asyncio.to_thread(
            open_source, file.path, name=file.name, limits=service.limits, opening=request.opening
        )
        with source:
            opened(len(source.numbers))
            document = await service.reader.recognize(source, request.options, on_page)
            problems, warnings = await asyncio.to_thread(_write, request.outputs, document, source, folder)
    except AirgapError as error:
        return Outcome(file.name, problems=(in_words(error),))
    except OSError as error:
        return Outcome(file.name, problems=(f"{error.filename or file.path}: {error.strerror}",))
    failures = [f"page {page.number}: {in_words(page.error)}" for page in document.pages if page.error]
    return Outcome(file.name, document.ledger, (*failures, *problems), (*document.warnings, *warnings))


def _write(
    outputs: Sequence[str], document: Document, source: Source, folder: Path
) -> tuple[list[str], list[str]]:
    """Write the formats and the figures; what went wrong with one format, and the warnings."""
    problems: list[str] = []
    warnings: list[str] = []
    folder.mkdir(parents=True, exist_ok=True)
    for output in outputs:
        if output == "images":
            continue
        try:
            path = folder / f"{folder.name}{EXPORTERS[output].suffix}"
            warnings += export_file(output, document, source, path)
        except AirgapError as error:
            problems.append(f"{output}: {in_words(error)}")
    if {"images", "markdown", "html"} & set(outputs):
        for name, data in iter_images(document, source):
            figure = folder / name
            figure.parent.mkdir(exist_ok=True)
            figure.write_bytes(data)
    return problems, warnings


async def watch(service: Service, inbox: Inbox, request: ReadRequest, once: bool) -> None:
    """Read the files that have arrived, a few under way at once, and look again."""
    outbox = Outbox(request.folder)

    async def work(path: Path) -> None:
        folder = await asyncio.to_thread(outbox.begin, path.name)
        file = Named(path, path.name)
        outcome = await _read_file(service, request, file, folder, lambda pages: None, lambda page: None)
        await asyncio.to_thread(outbox.finish, folder)
        problems = outcome.problems if outcome.failed else ()
        await asyncio.to_thread(inbox.finish, path, problems)
        state = "[red]failed[/]" if problems else "done"
        notices.print(f"{state}  {escape(path.name)}", highlight=False)

    await service.engine.start()
    notices.print(f"Watching {escape(str(inbox.entrance))} with the engine {service.engine.name}.")
    try:
        while True:
            arrived = await asyncio.to_thread(inbox.arrived)
            async with aclosing(in_order(arrived, work, service.reader.max_concurrency + 1)) as files:
                async for _ in files:
                    pass
            if once and inbox.empty:
                return
            await asyncio.sleep(min(1.0, inbox.settle / 2 or 0.1))
    finally:
        await asyncio.to_thread(outbox.close)
        await service.engine.close()
