"""`ocr mcp`: a server of the Model Context Protocol, so that assistants on the site have documents read.

It is a client of an Airgap OCR server, whose accounts, quotas, limits and audit log hold as for any other:
OCR_URL names it, OCR_API_KEY holds a key. Over standard input and output it reads files by their path, with
the rights of whoever started it; over HTTP, on this machine alone, what is sent inside the call. Built
on the protocol's own library, which is the extra `mcp`.
"""

from __future__ import annotations

import base64
import binascii
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from typing_extensions import TypedDict

from airgap.client.http_client import ClientError, OcrClient, choose_service, in_page_order
from airgap.core.version import VERSION

T = TypeVar("T")

LOCAL_HOST = "127.0.0.1"
MAX_CALL_BYTES = 256 << 20

INSTRUCTIONS = (
    "Reads scans, photos and PDFs into Markdown on this site's own OCR server. A page may be `degraded` or "
    "`failed`: the ledger counts such pages, and the warnings say what is missing on them."
)


class ReadPage(TypedDict):
    """A page by its number from 1; `status` is ok, degraded or failed."""

    number: int
    status: str
    markdown: str
    warnings: list[str]


class ReadDocument(TypedDict):
    """All pages of a document that were asked for, and the account of them."""

    pages: list[ReadPage]
    ledger: dict[str, int]
    warnings: list[str]


def make_server(*, paths: bool) -> MCPServer[Any]:
    """The server. `paths` lets calls name files of this machine."""
    server: MCPServer[Any] = MCPServer(
        "airgap-ocr", instructions=INSTRUCTIONS, version=VERSION, log_level="WARNING"
    )

    @server.tool(description="What the OCR server is and can do: engine, model, languages, limits.")
    def server_info() -> dict[str, Any]:
        with _client() as connection:
            return _told(connection.info)

    @server.tool(description="Read a picture or PDF that is sent as base64 into Markdown, page by page.")
    def read_data(
        data_base64: str,
        name: str = "document",
        language: str | None = None,
        page_from: int | None = None,
        page_to: int | None = None,
    ) -> ReadDocument:
        with tempfile.TemporaryDirectory(prefix="ocr-mcp-") as folder:
            path = Path(folder) / (Path(name).name or "document")
            path.write_bytes(_decoded(data_base64))
            return _read(path, language=language, page_from=page_from, page_to=page_to)

    if paths:

        @server.tool(description="Read a picture or PDF of this machine, by its path, into Markdown.")
        def read_file(
            path: str,
            language: str | None = None,
            page_from: int | None = None,
            page_to: int | None = None,
        ) -> ReadDocument:
            file = Path(path).expanduser()
            if not file.is_file():
                raise ToolError(f"There is no file {path}. Name a picture or a PDF by its whole path.")
            return _read(file, language=language, page_from=page_from, page_to=page_to)

    return server


def serve(*, http: bool, port: int) -> None:
    """Serve until told to stop: on standard input and output, or at http://127.0.0.1:PORT/mcp."""
    server = make_server(paths=not http)
    if http:
        server.run("streamable-http", host=LOCAL_HOST, port=port, max_request_body_size=MAX_CALL_BYTES)
    else:
        server.run("stdio")


def _client() -> OcrClient:
    return OcrClient(choose_service("auto").url, api_key=os.environ.get("OCR_API_KEY"))


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ToolError("`data_base64` is not base64. Send the file's bytes as base64.") from error


def _read(path: Path, **fields: Any) -> ReadDocument:
    with _client() as connection:
        return _told(lambda: _document(connection, path, fields))


def _told(ask: Callable[[], T]) -> T:
    """What is asked, an error in words that say what to do."""
    try:
        return ask()
    except ClientError as error:
        raise ToolError(f"{error.code}: {error.message} {error.remedy}") from error


def _document(connection: OcrClient, path: Path, fields: dict[str, Any]) -> ReadDocument:
    pages: list[ReadPage] = []
    ledger: dict[str, int] = {}
    warnings: list[str] = []
    for frame in in_page_order(connection.stream(path, detail=True, **fields)):
        if frame["type"] == "page_end":
            result = frame.get("result") or {}
            pages.append(
                {
                    "number": frame["page"],
                    "status": frame["status"],
                    "markdown": result.get("markdown", ""),
                    "warnings": list(result.get("warnings", [])),
                }
            )
        elif frame["type"] == "error":
            warnings.append(f"{frame['message']} {frame['remedy']}")
        elif frame["type"] == "end":
            ledger = dict(frame["ledger"])
            warnings += frame.get("warnings", [])
    return {"pages": pages, "ledger": ledger, "warnings": warnings}
