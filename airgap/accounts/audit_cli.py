"""`ocr audit`: check the audit log, on any machine that has the folder and the key."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from airgap.core.errors import AirgapError

if TYPE_CHECKING:
    from airgap.accounts.audit import AuditLog

app = typer.Typer(help="Check the audit log.", no_args_is_help=True)

Folder = Annotated[
    Path | None,
    typer.Option("--folder", help="The folder with audit.jsonl; by default the one under DATA_DIR."),
]


Anchor = Annotated[
    str | None,
    typer.Option("--anchor", help="NUMBER:HASH from a line `the audit log is at …` of the server's log."),
]


@app.callback()
def main() -> None:
    """Check the audit log."""


@app.command()
def verify(folder: Folder = None, anchor: Anchor = None) -> None:
    """Name every line that was changed, added or taken out. Exit code 1 where there is one."""
    log = _open(folder)
    if not log.path.exists():
        typer.echo(f"There is no audit log at {log.path}.", err=True)
        raise typer.Exit(2)
    count, findings = log.verify(_parsed(anchor) if anchor else None)
    for finding in findings:
        where = f"line {finding.line}" if finding.line else "the log"
        typer.echo(f"{log.path}: {where}: {finding.why}", err=True)
    if findings:
        raise typer.Exit(1)
    typer.echo(f"{log.path}: {count} entries, all as they were written")


def _parsed(anchor: str) -> tuple[int, str]:
    number, _, digest = anchor.partition(":")
    if not number.isdigit() or len(digest) != 64:
        raise typer.BadParameter("it is not NUMBER:HASH", param_hint="--anchor")
    return int(number), digest


def _open(folder: Path | None) -> AuditLog:
    from airgap.accounts.audit import AuditLog  # here, so that a client without the server's packages starts
    from airgap.accounts.credentials import derived_key
    from config import load_settings

    try:
        settings = load_settings()
        secret = settings.secret_key.get_secret_value() if settings.secret_key else None
        key = derived_key(secret, "audit") if secret else None
    except AirgapError as error:
        typer.echo(f"{error.message}\n  {error.remedy}", err=True)
        raise typer.Exit(2) from error
    return AuditLog(folder or settings.data_dir / "audit", key)
