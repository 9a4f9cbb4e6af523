"""What the test menu shows, saves and asks. It knows no route."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.panel import Panel
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.prompt import Prompt
from rich.table import Table

from airgap.client import http_client
from airgap.client.files import files_in
from airgap.client.http_client import ClientError, OcrClient

SAMPLES = Path(__file__).resolve().parents[3] / "samples"
PROMPTS = (
    "<|grounding|>Convert the document to markdown.",
    "Free OCR.",
    "Parse the figure.",
    "Describe this image in detail.",
)
PREVIEW_CHARACTERS = 1200

# Language → key → text. `error.<code>` and `remedy.<code>` stand for the English words of an error of
# the client's own; what the server says is shown as it says it.
TEXTS: dict[str, dict[str, str]] = json.loads(
    Path(__file__).with_name("texts.json").read_text(encoding="utf-8")
)


@dataclass
class Screen:
    """Where results are shown and saved, in a language."""

    console: Console
    language: str
    output: Path

    def t(self, key: str, **values: object) -> str:
        return TEXTS[self.language][key].format(**values)

    def pair(self, key: str, value: object) -> str:
        return self.t("pair", name=self.t(key), value=value)

    def save(self, name: str, data: str | bytes) -> Path:
        """Write a result into the output folder and print its path."""
        path = self.output / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data.encode() if isinstance(data, str) else data)
        self.saved(path)
        return path

    def saved(self, path: Path) -> None:
        line = self.pair("saved", path.resolve())
        self.console.print(escape(line), style="green", highlight=False, soft_wrap=True)

    def preview(self, heading: str, text: str) -> None:
        cut = text[:PREVIEW_CHARACTERS] + (" …" if len(text) > PREVIEW_CHARACTERS else "")
        body = escape(cut.strip()) or self.t("nothing_read")
        self.console.print(Panel(body, title=self.t(heading), border_style="cyan"))

    def table(self, heading: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        table = Table(title=heading)
        for column in columns:
            table.add_column(self.t(column), overflow="fold")
        for row in rows:
            table.add_row(*(escape(str(cell)) for cell in row))
        self.console.print(table)

    def warn(self, warnings: Sequence[str]) -> None:
        for warning in warnings:
            self.console.print(escape(self.pair("warning", warning)), style="yellow", highlight=False)

    def show_error(self, error: ClientError) -> None:
        texts = TEXTS[self.language]
        message = texts.get(f"error.{error.code}", error.message)
        remedy = texts.get(f"remedy.{error.code}", error.remedy)
        lines = [f"{error.code}: {message}", self.pair("remedy", remedy)]
        if message != error.message:
            lines.insert(1, error.message)
        if error.request_id:
            lines.append(self.pair("request", error.request_id))
        self.console.print(Panel(escape("\n".join(lines)), title=self.t("error"), border_style="red"))

    @contextmanager
    def upload(self, name: str) -> Iterator[http_client.Progress]:
        """A bar for one request: bytes while they go out, then a pulse until the answer is there."""
        columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
        with Progress(*columns, console=self.console, transient=True) as bar:
            task = bar.add_task(escape(self.t("sending", name=name)), total=None)

            def progress(sent: int, total: int) -> None:
                if sent < total:
                    bar.update(task, completed=sent, total=total)
                else:
                    bar.update(task, description=escape(self.t("reading", name=name)))
                    bar.tasks[0].total = None

            yield progress


@dataclass
class Session(Screen):
    """A screen, the server behind it, and what to send there; what is not given is asked for or a sample."""

    client: OcrClient
    files: list[Path] = field(default_factory=list)
    folder: Path | None = None
    prompts: list[str] = field(default_factory=list)
    asks: bool = False

    def file(self, default: Path) -> Path:
        """The file to send: as given, as answered, or the sample."""
        if self.files:
            return self.files[0]
        return Path(self._ask("ask.file", default)) if self.asks else default

    def several(self, *, pictures_only: bool) -> list[Path]:
        """The files to send: as given, or those of a folder. Raises `ClientError` when there are none."""
        if self.files:
            return self.files
        folder = self.folder or (Path(self._ask("ask.folder", SAMPLES)) if self.asks else SAMPLES)
        found = files_in(folder, pictures_only=pictures_only) if folder.is_dir() else []
        if not found:
            raise ClientError("no_files", self.t("no_files", folder=folder), self.t("no_files.remedy"))
        return found

    def chosen_prompts(self) -> list[str]:
        """The prompts to try: as given, as answered, or the model's own."""
        chosen = list(self.prompts)
        while self.asks and not self.prompts and (answer := self._ask("ask.prompt", "")):
            chosen.append(answer)
        return chosen or list(PROMPTS)

    def _ask(self, key: str, default: str | Path) -> str:
        answer = Prompt.ask(
            self.t(key), console=self.console, default=str(default), show_default=bool(default)
        )
        return answer.strip().strip("'\"")
