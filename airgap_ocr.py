"""OCRmyPDF's plug-in: `ocrmypdf --plugin airgap_ocr in.pdf out.pdf` has Airgap OCR read the pages.

OCR_URL names a server, with OCR_API_KEY where it asks for one; without it the engine of BACKEND reads in
OCRmyPDF's own process. So programs that call OCRmyPDF today, such as paperless-ngx, need no other change
than this plug-in. OCRmyPDF draws, cleans and writes; Tesseract is neither needed nor asked. Pages are
not turned (`--rotate-pages`, `--deskew`): lines that lie sideways are read as they lie.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping, Set
from functools import cache
from pathlib import Path
from typing import Any, Protocol
from xml.etree import ElementTree

import httpx
from ocrmypdf import hookimpl
from ocrmypdf.builtin_plugins.tesseract_ocr import TesseractOptions
from ocrmypdf.exceptions import SubprocessOutputError
from ocrmypdf.pluginspec import OcrEngine, OrientationConfidence

from airgap.core.version import VERSION

log = logging.getLogger("ocrmypdf.airgap_ocr")

PAGE_SECONDS = 600.0
DEFAULT_LANGUAGES = ["eng"]
"""What OCRmyPDF asks for where its caller asked for nothing: it says nothing of the page."""

Hocr = tuple[bytes, list[str]]
"""A page as hOCR, and warnings about it."""


class ReadsPages(Protocol):
    """Reads a picture. Raises `SubprocessOutputError`."""

    def hocr(self, picture: Path, language: str | None) -> Hocr: ...


class OfServer:
    """A running server reads."""

    def __init__(self, url: str, api_key: str | None) -> None:
        headers = {"X-API-Key": api_key} if api_key else {}
        self._http = httpx.Client(base_url=url, headers=headers, timeout=PAGE_SECONDS, trust_env=False)

    def hocr(self, picture: Path, language: str | None) -> Hocr:
        fields = {"output": "hocr", **({"language": language} if language else {})}
        try:
            with picture.open("rb") as file:
                answer = self._http.post("/ocr/image/advanced", files={"file": file}, data=fields)
        except httpx.HTTPError as error:
            raise SubprocessOutputError(f"{self._http.base_url} cannot be reached: {error}") from error
        if answer.status_code != 200:
            raise SubprocessOutputError(f"{self._http.base_url} answered: {_told(answer)}")
        if json.loads(answer.headers.get("X-Ledger", "{}")).get("failed"):
            raise SubprocessOutputError("The page could not be read; the server's log says why.")
        return answer.content, json.loads(answer.headers.get("X-Warnings", "[]"))


def _told(answer: httpx.Response) -> str:
    try:
        error: Mapping[str, Any] = answer.json()["error"]
        return f"{error['code']}: {error['message']} {error['remedy']}"
    except (ValueError, KeyError, TypeError):
        return f"status {answer.status_code}"


class OfThisProcess:
    """The engine of the settings reads, in this process; started with the first page."""

    def hocr(self, picture: Path, language: str | None) -> Hocr:
        from airgap.client.own_engine import own_engine
        from airgap.core.errors import AirgapError
        from airgap.exporters.hocr import to_hocr

        try:
            document = own_engine().read(picture, language)
        except AirgapError as error:
            raise SubprocessOutputError(f"{error.code}: {error.message} {error.remedy}") from error
        if failure := document.pages[0].error:
            raise SubprocessOutputError(f"{failure.code}: {failure.message} {failure.remedy}")
        return to_hocr(document), list(document.warnings)


@cache
def reads_pages() -> ReadsPages:
    """The server that the environment names, or this process."""
    url = os.environ.get("OCR_URL")
    return OfServer(url, os.environ.get("OCR_API_KEY")) if url else OfThisProcess()


class AirgapOcr(OcrEngine):
    """See the module docstring."""

    @staticmethod
    def version() -> str:
        return VERSION

    @staticmethod
    def creator_tag(options: Any) -> str:
        return f"Airgap OCR {VERSION}"

    def __str__(self) -> str:
        return f"Airgap OCR {VERSION}"

    @staticmethod
    def languages(options: Any) -> Set[str]:
        return frozenset()  # any: the engine itself refuses what it does not know

    @staticmethod
    def get_orientation(input_file: Path, options: Any) -> OrientationConfidence:
        return OrientationConfidence(0, 0.0)

    @staticmethod
    def generate_hocr(input_file: Path, output_hocr: Path, output_text: Path, options: Any) -> None:
        asked = [name for name in options.languages if name]
        language = "+".join(asked) if asked != DEFAULT_LANGUAGES else None
        hocr, warnings = reads_pages().hocr(Path(input_file), language)
        for warning in warnings:
            log.warning("%s", warning)
        output_hocr.write_bytes(hocr)
        output_text.write_text("\n".join(_lines(hocr)), encoding="utf-8")

    @staticmethod
    def generate_pdf(input_file: Path, output_pdf: Path, output_text: Path, options: Any) -> None:
        raise NotImplementedError("text is given as hOCR alone")


def _lines(hocr: bytes) -> list[str]:
    """The lines of a page in their order, as plain text."""
    root = ElementTree.fromstring(hocr.replace(b"<!DOCTYPE html>", b"", 1))
    lines = (node for node in root.iter() if node.get("class") in ("ocr_line", "ocr_caption"))
    return [" ".join("".join(word.itertext()) for word in line) for line in lines]


@hookimpl
def initialize(plugin_manager: Any) -> None:
    plugin_manager.set_blocked("ocrmypdf.builtin_plugins.tesseract_ocr")  # it insists on Tesseract


@hookimpl
def register_options() -> dict[str, type[Any]]:
    """Tesseract's options with their defaults: OCRmyPDF reads them even where Tesseract is off."""
    return {"tesseract": TesseractOptions}


@hookimpl
def get_ocr_engine(options: Any) -> OcrEngine:
    return AirgapOcr()
