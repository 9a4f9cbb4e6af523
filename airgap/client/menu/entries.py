"""What the test menu tries: one function an entry, True where all went well."""

from __future__ import annotations

import base64
import json
import time
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath

from airgap.client.http_client import ClientError, JsonObject, in_page_order
from airgap.client.menu.screen import SAMPLES, Session


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
