"""The test menu: tries a running server from outside, by hand or by `--run`.

    python test_ocr.py                                    the menu
    python test_ocr.py --run 1                            one entry, no questions
    python test_ocr.py --run 5 --file my.pdf --output out
    python test_ocr.py --lang zh-TW

The server is the one at OCR_URL (default http://localhost:8000), or what `--service` says. Exit
code: 0 when all went well, 1 when something failed, 2 for wrong usage. It is a client, built on
`airgap.client.http_client`; it holds no reading. Despite its name it is no pytest file: those are in tests/.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import sys
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from rich.console import Console
from rich.markup import escape
from rich.panel import Panel
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.prompt import Prompt
from rich.table import Table

from airgap.client import http_client
from airgap.client.http_client import (
    ClientError,
    JsonObject,
    OcrClient,
    choose_service,
    files_in,
    in_page_order,
)

SAMPLES = Path(__file__).resolve().parent / "samples"
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
    Path(__file__).with_name("test_ocr_texts.json").read_text(encoding="utf-8")
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


def quick_test(s: Session) -> bool:
    return show_image(s, s.files[0] if s.files else SAMPLES / "table.png", "1_quick_test", crops=False)


def image_upload(s: Session) -> bool:
    return show_image(s, s.file(SAMPLES / "table.png"), "2_image", crops=True)


def show_image(s: Session, path: Path, folder: str, *, crops: bool) -> bool:
    """Read one picture and show and save all that comes back."""
    with s.upload(path.name) as progress:
        result = s.client.image_advanced(path, progress, draw_boxes=True, crop_regions=crops, confidence=True)
    s.preview("markdown", result["markdown"])
    blocks = result["blocks"]
    rows = [(b["label"], corners(b["boxes"]), shown(b["confidence"]), short(b["text"])) for b in blocks[:20]]
    s.table(s.t("blocks"), ("label", "box", "confidence", "text"), rows)
    if len(blocks) > 20:
        s.console.print(s.t("more", count=len(blocks) - 20))
    s.warn(result["warnings"])
    stem = path.stem
    s.save(f"{folder}/{stem}.md", result["markdown"])
    s.save(f"{folder}/{stem}_annotated.png", base64.b64decode(result["annotated_image"]))
    for number, crop in enumerate(result["crops"], 1):
        name = "".join(c for c in crop["label"] if c.isalnum() or c == "_")[:40]
        s.save(f"{folder}/{stem}_crops/{number:03}_{name}.png", base64.b64decode(crop["image"]))
    return True


def folder_of_images(s: Session) -> bool:
    rows = []
    for number, path in enumerate(paths := s.several(pictures_only=True), 1):
        started = time.monotonic()
        try:
            with s.upload(f"{path.name} ({number}/{len(paths)})") as progress:
                text = s.client.image_simple(path, progress)["text"]
        except ClientError as error:
            rows.append((path.name, s.t("failed"), f"{error.code}: {error.message} {error.remedy}", ""))
            continue
        s.save(f"3_folder/{number:03}_{path.stem}.txt", text)
        rows.append((path.name, s.t("ok"), str(len(text)), f"{time.monotonic() - started:.1f}"))
    s.table(s.t("3"), ("file", "result", "characters", "seconds"), rows)
    return verdict(s, [row[1] != s.t("ok") for row in rows])


def several_prompts(s: Session) -> bool:
    path = s.file(SAMPLES / "table.png")
    rows, answers, warnings = [], [], []
    for prompt in s.chosen_prompts():
        started = time.monotonic()
        with s.upload(path.name) as progress:
            result = s.client.image_advanced(path, progress, prompt=prompt, draw_boxes=False)
        warnings += result["warnings"]
        rows.append(
            (prompt, f"{time.monotonic() - started:.1f}", len(result["raw"]), short(result["markdown"]))
        )
        answers.append(f"## {prompt}\n\n{result['markdown'] or result['raw']}\n")
    s.table(s.t("4"), ("prompt", "seconds", "characters", "text"), rows)
    s.warn(list(dict.fromkeys(warnings)))
    s.save(f"4_prompts/{path.stem}.md", "\n".join(answers))
    return True


def pdf_full(s: Session) -> bool:
    path = s.file(SAMPLES / "mixed.pdf")
    with s.upload(path.name) as progress:
        result = s.client.pdf(path, progress, draw_layouts=True, extract_images=True)
    s.preview("markdown", result["markdown"])
    folder = "5_pdf"
    s.save(f"{folder}/{path.stem}.md", result["markdown"])
    s.save(f"{folder}/{path.stem}_layout.pdf", base64.b64decode(result["layout_pdf"]))
    for image in result["images"]:
        s.save(f"{folder}/images/{PurePosixPath(image['name']).name}", base64.b64decode(image["image"]))
    return show_pages(s, result)


def pdf_simple(s: Session) -> bool:
    path = s.file(SAMPLES / "booklet.pdf")
    with s.upload(path.name) as progress:
        result = s.client.pdf_simple(path, progress)
    s.preview("text", result["text"])
    s.save(f"6_pdf_text/{path.stem}.txt", result["text"])
    return show_pages(s, result)


def show_pages(s: Session, result: JsonObject) -> bool:
    """The account of a PDF's pages. False when one failed."""
    rows = [
        (p["number"], p["status"], len(p.get("markdown") or p.get("text") or "")) for p in result["pages"]
    ]
    s.table(s.t("pages"), ("page", "status", "characters"), rows)
    s.console.print(s.t("ledger", **result["ledger"]), style="bold", highlight=False)
    s.warn(result["warnings"])
    return verdict(s, [page["status"] == "failed" for page in result["pages"]])


def batch(s: Session) -> bool:
    paths = s.several(pictures_only=False)
    with s.upload(s.t("7")) as progress:
        result = s.client.batch(paths, progress)
    rows = []
    for number, (path, entry) in enumerate(zip(paths, result["results"], strict=True), 1):
        if entry["markdown"]:
            s.save(f"7_batch/{number:03}_{path.stem}.md", entry["markdown"])
        good = s.t("ok") if entry["success"] else s.t("failed")
        error = entry["error"] or {"message": "", "remedy": ""}
        rows.append((path.name, good, len(entry["text"]), f"{error['message']} {error['remedy']}".strip()))
    s.table(s.t("7"), ("file", "result", "characters", "error"), rows)
    return verdict(s, [not entry["success"] for entry in result["results"]])


def batch_zip(s: Session) -> bool:
    paths = s.several(pictures_only=False)
    s.output.mkdir(parents=True, exist_ok=True)
    with s.upload(s.t("8")) as progress:
        path = s.client.batch_download(paths, s.output / "8_results.zip", ("markdown", "json"), progress)
    with zipfile.ZipFile(path) as archive:
        members = [(info.filename, info.file_size) for info in archive.infolist()]
        inputs = json.loads(archive.read("manifest.json"))["inputs"]
    s.table(s.t("contents"), ("file", "size"), members[:30])
    if len(members) > 30:
        s.console.print(s.t("more", count=len(members) - 30))
    s.saved(path)
    return verdict(s, [not e["success"] or e["ledger"]["failed"] > 0 for e in inputs])


def stream(s: Session) -> bool:
    """A file's pages as they are read, in order."""
    path = s.file(SAMPLES / "booklet.pdf")
    pages: list[str] = []
    failures: list[bool] = []
    with s.upload(path.name) as progress:
        frames = in_page_order(s.client.stream(path, progress, detail=True))
        first = next(frames)
    s.console.print(s.t("streaming", pages=first["pages"]), highlight=False)
    for frame in frames:
        if frame["type"] == "page_end":
            failures.append(frame["status"] == "failed")
            pages.append(frame["result"]["markdown"])
            s.console.print(s.t("page_read", page=frame["page"], status=frame["status"]), highlight=False)
    s.save(f"10_stream/{path.stem}.md", "\n\n".join(pages))
    return verdict(s, failures)


def job(s: Session) -> bool:
    """Files as a durable job: watched to its end, its ZIP fetched, then erased on the server."""
    paths = s.several(pictures_only=False)
    with s.upload(s.t("11")) as progress:
        state = s.client.submit_job(paths, ("markdown", "json"), progress)
    s.console.print(s.t("job_taken", id=state["id"]), highlight=False)
    for event, data in s.client.job_events(state["id"]):
        if event == "page":
            status = data["page"]["status"]
            s.console.print(
                s.t("page_read", page=f"{data['filename']} {data['page']['number']}", status=status),
                highlight=False,
            )
        else:
            state = data
    s.output.mkdir(parents=True, exist_ok=True)
    s.saved(s.client.job_result(state["id"], s.output / "11_job.zip"))
    s.client.erase_job(state["id"])
    s.console.print(s.t("ledger", **state["ledger"]), style="bold", highlight=False)
    return verdict(s, [state["status"] != "done" or state["ledger"]["failed"] > 0])


def everything(s: Session) -> bool:
    """Every other entry on the samples, whatever becomes of each."""
    samples = Session(s.console, s.language, s.output, s.client)
    rows = []
    for key in ENTRIES:
        if key != "9":
            started = time.monotonic()
            good = run(samples, key)
            rows.append((s.t(key), s.t("ok" if good else "failed"), f"{time.monotonic() - started:.1f}"))
    s.table(s.t("9"), ("entry", "result", "seconds"), rows)
    return verdict(s, [row[1] != s.t("ok") for row in rows])


ENTRIES: dict[str, Callable[[Session], bool]] = {
    "1": quick_test,
    "2": image_upload,
    "3": folder_of_images,
    "4": several_prompts,
    "5": pdf_full,
    "6": pdf_simple,
    "7": batch,
    "8": batch_zip,
    "9": everything,
    "10": stream,
    "11": job,
}


def verdict(s: Session, failures: Sequence[bool]) -> bool:
    """True when none failed, else say how many did."""
    if any(failures):
        s.console.print(s.t("some_failed", count=sum(failures), total=len(failures)), style="bold red")
    return not any(failures)


def corners(boxes: Sequence[Sequence[float]]) -> str:
    return "\n".join(" ".join(f"{side:.0f}" for side in box) for box in boxes)


def shown(confidence: float | None) -> str:
    return "–" if confidence is None else f"{confidence:.2f}"


def short(text: str) -> str:
    return " ".join(text.split())[:80]


def run(s: Session, key: str) -> bool:
    """One entry, with its error shown. True when all of it went well."""
    s.console.rule(f"{key} · {s.t(key)}")
    try:
        return ENTRIES[key](s)
    except ClientError as error:
        s.show_error(error)
        return False


def show_server(s: Session, reason: str) -> None:
    """Who answers, or why nobody does. Raises `ClientError`."""
    ready, info = s.client.ready(), s.client.info()["engine"]
    facts = {
        "server": f"{s.client.base_url} ({reason})",
        "engine": ready["engine"],
        "model": ready["model"],
        "device": info["device"],
        "ready": ready["reason"],
    }
    body = "\n".join(s.pair(key, value) for key, value in facts.items())
    s.console.print(
        Panel(escape(body), title=s.t("title"), border_style="green" if ready["ready"] else "yellow")
    )


def menu(s: Session) -> None:
    """Ask, run, show, until the person has had enough."""
    while True:
        s.console.print("\n".join(f"  [bold cyan]{key}[/]  {s.t(key)}" for key in (*ENTRIES, "0")))
        prompt = Prompt(s.t("choose"), console=s.console, choices=[*ENTRIES, "0"], show_choices=False)
        prompt.illegal_choice_message = f"[red]{s.t('no_such_entry')}"
        key = prompt(default="1")
        if key == "0":
            s.console.print(s.t("bye"))
            return
        run(s, key)
        Prompt.ask(s.t("again"), console=s.console, default="", show_default=False)


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line, its help in the language that it names."""
    first = argparse.ArgumentParser(add_help=False)
    first.add_argument("--lang", default=os.environ.get("OCR_LANG"))
    named = first.parse_known_args(arguments)[0].lang
    language = named if named in TEXTS else "en"
    t = TEXTS[language]
    parser = argparse.ArgumentParser(prog="test_ocr.py", description=t["about"])
    parser.add_argument("--run", nargs="+", choices=list(ENTRIES), metavar="N", help=t["help.run"])
    parser.add_argument("--file", type=Path, action="append", default=[], help=t["help.file"])
    parser.add_argument("--folder", type=Path, help=t["help.folder"])
    parser.add_argument("--prompt", action="append", default=[], help=t["help.prompt"])
    parser.add_argument("--output", type=Path, default=Path("ocr_output"), help=t["help.output"])
    parser.add_argument("--service", default="local", help=t["help.service"])
    parser.add_argument("--lang", choices=list(TEXTS), default=language, help=t["help.lang"])
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit code: 0, 1 when something failed, 2 when there is no one to ask."""
    args = parse(arguments)
    console = Console()
    screen = Screen(console, args.lang, args.output)
    try:
        choice = choose_service(args.service)
        with OcrClient(choice.url, api_key=os.environ.get("OCR_API_KEY")) as client:
            session = Session(
                console, args.lang, args.output, client, args.file, args.folder, args.prompt, not args.run
            )
            show_server(session, choice.reason)
            if args.run:
                results = [run(session, key) for key in args.run]
                return 0 if all(results) else 1
            menu(session)
    except ClientError as error:
        screen.show_error(error)
        return 1
    except EOFError:
        console.print(screen.t("no_terminal"))
        return 2
    except KeyboardInterrupt:
        console.print(f"\n{screen.t('bye')}")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
