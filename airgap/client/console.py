"""What the commands show: progress, errors with their remedy, the ledger of all files. It reads nothing."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table

from airgap.client.http_client import ClientError
from airgap.core.document import Ledger, PageError
from airgap.core.errors import AirgapError, ConfigurationError, InvalidOption

notices = Console(stderr=True)

SERVER_REMEDY = "Install the server's packages (pip install '.[server]'), or let a server read: ocr send."
MCP_REMEDY = "Install the protocol's library: pip install '.[mcp]'."


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one file. `ledger` is None when it could not be opened at all."""

    filename: str
    ledger: Ledger | None = None
    problems: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def failed(self) -> bool:
        return bool(self.problems) or self.ledger is None or self.ledger.failed > 0


def in_words(error: AirgapError | ClientError | PageError) -> str:
    return f"{error.code}: {error.message} {error.remedy}"


INTERRUPTED = 130
"""The exit code of a command that Ctrl-C ended, as shells have it."""


def require_writable(folder: Path) -> None:
    """Make the folder of results. Raises `InvalidOption` where nothing can be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        message = f"Nothing can be written to {folder.resolve()}: {error.strerror}."
        raise InvalidOption(message, "Name another folder with --output.") from error


@contextmanager
def stopping_errors() -> Iterator[None]:
    """End the command for what stops all files: 2 for wrong usage and settings, else 1; 130 for Ctrl-C."""
    try:
        yield
    except (AirgapError, ClientError) as error:
        notices.print(f"[bold red]{error.code}[/]: {error.message}\n  {error.remedy}", highlight=False)
        wrong_usage = isinstance(error, InvalidOption | ConfigurationError)
        raise typer.Exit(2 if wrong_usage else 1) from error
    except KeyboardInterrupt as error:
        notices.print("[bold]Stopped.[/]")
        raise typer.Exit(INTERRUPTED) from error
    except OSError as error:
        notices.print(f"[bold red]file_error[/]: {error.filename}: {error.strerror}.", highlight=False)
        notices.print("  Check the name, your rights to it and the free space.")
        raise typer.Exit(1) from error
    except ModuleNotFoundError as error:
        remedy = MCP_REMEDY if (error.name or "").partition(".")[0] == "mcp" else SERVER_REMEDY
        notices.print(f"[bold red]not_installed[/]: {error.name} is needed for this and is not installed.")
        notices.print(f"  {escape(remedy)}", highlight=False)
        raise typer.Exit(2) from error


@contextmanager
def progress(unit: str, total: int | None = None) -> Iterator[tuple[Progress, Any]]:
    columns = (SpinnerColumn(), TextColumn(unit), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=notices) as bar:
        yield bar, bar.add_task(unit, total=total)


@contextmanager
def told_of(outcomes: Sequence[Outcome], expected: int, folder: Path) -> Iterator[None]:
    """End the command with the ledger and the exit code; Ctrl-C too, with what there is by then."""
    try:
        yield
    except KeyboardInterrupt as error:
        _show(outcomes, folder)
        counts = f"{len(outcomes)} of {expected} files are finished"
        notices.print(f"[bold]Stopped.[/] {counts}; of the others nothing is kept, and nothing goes on.")
        raise typer.Exit(INTERRUPTED) from error
    _show(outcomes, folder)
    raise typer.Exit(1 if any(outcome.failed for outcome in outcomes) else 0)


def _show(outcomes: Sequence[Outcome], folder: Path) -> None:
    """Print the ledger and what went wrong."""
    console = Console()
    console.print(_ledger_table(outcomes))
    for outcome in outcomes:
        for style, notes in (("red", outcome.problems), ("yellow", outcome.warnings)):
            for note in notes:
                console.print(f"{outcome.filename}: {note}", style=style, markup=False, highlight=False)
    console.print(f"Results: {folder.resolve()}", markup=False, highlight=False, soft_wrap=True)


def _ledger_table(outcomes: Sequence[Outcome]) -> Table:
    table = Table("File", title="Ledger", show_footer=True)
    unopened = sum(outcome.ledger is None for outcome in outcomes)
    table.columns[0].footer = f"{len(outcomes)} files" + (f", {unopened} not opened" if unopened else "")
    columns = {"expected": "Pages", "ok": "ok", "degraded": "degraded", "failed": "failed"}
    ledgers = [asdict(outcome.ledger) if outcome.ledger else {} for outcome in outcomes]
    for name, heading in columns.items():
        total = sum(ledger.get(name, 0) for ledger in ledgers)
        table.add_column(heading, justify="right", footer=str(total))
    for outcome, ledger in zip(outcomes, ledgers, strict=True):
        cells = [str(ledger[name]) for name in columns if ledger] or ["not opened", "", "", ""]
        table.add_row(outcome.filename, *cells, style="red" if outcome.failed else "")
    return table
