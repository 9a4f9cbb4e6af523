"""`ocr mcp` asked by the protocol's own client, over both of its ways."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import ROOT, free_port
from tests.dialects.drawing import TEXTS, pdf, png

mcp = pytest.importorskip("mcp")

COMMAND = [sys.executable, "-m", "airgap.client", "mcp"]


def environment(server: str) -> dict[str, str]:
    return os.environ | {"OCR_URL": server, "PYTHONPATH": str(ROOT)}


def stdio(server: str) -> Any:
    parameters = mcp.StdioServerParameters(command=COMMAND[0], args=COMMAND[1:], env=environment(server))
    return mcp.stdio_client(parameters)


async def call(where: Any, tool: str, **arguments: Any) -> Any:
    async with mcp.Client(where) as client:
        return await client.call_tool(tool, arguments)


async def test_a_file_is_read_by_its_path(server: str, tmp_path: Path) -> None:
    path = tmp_path / "two pages.pdf"
    path.write_bytes(pdf(2))
    result = await call(stdio(server), "read_file", path=str(path))
    assert not result.is_error
    document = result.structured_content
    assert [page["number"] for page in document["pages"]] == [1, 2]
    assert "21 20 201 40" in document["pages"][0]["markdown"]
    assert document["ledger"] == {"expected": 2, "ok": 2, "degraded": 0, "failed": 0}


async def test_the_tools_of_standard_input(server: str) -> None:
    async with mcp.Client(stdio(server)) as client:
        tools = {tool.name for tool in (await client.list_tools()).tools}
        assert tools == {"server_info", "read_data", "read_file"}
        info = await client.call_tool("server_info", {})
        assert info.structured_content["engine"]["name"] == "fake"


@pytest.mark.parametrize(
    ("tool", "arguments", "said"),
    [
        ("read_file", {"path": "/nowhere/page.png"}, "There is no file"),
        ("read_data", {"data_base64": "%%%"}, "not base64"),
        ("read_data", {"data_base64": base64.b64encode(b"words").decode()}, "unsupported_media"),
        ("read_data", {"data_base64": base64.b64encode(png()).decode(), "page_from": 7}, "page_out_of_range"),
    ],
)
async def test_what_goes_wrong_is_said(server: str, tool: str, arguments: dict[str, Any], said: str) -> None:
    result = await call(stdio(server), tool, **arguments)
    assert result.is_error
    assert said in result.content[0].text


@pytest.fixture
def http_server(server: str, tmp_path: Path) -> Iterator[str]:
    port = free_port()
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(
            [*COMMAND, "--http", "--port", str(port)], env=environment(server), stdout=log, stderr=log
        )
    url = f"http://127.0.0.1:{port}/mcp"
    deadline = time.monotonic() + 60
    while True:
        try:
            httpx.get(url, trust_env=False)
            break
        except httpx.TransportError:
            assert process.poll() is None, (tmp_path / "log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.1)
    yield url
    process.terminate()
    process.wait(30)


async def test_over_http_what_is_sent_is_read_and_no_file_of_the_machine(http_server: str) -> None:
    async with mcp.Client(http_server) as client:
        assert {tool.name for tool in (await client.list_tools()).tools} == {"server_info", "read_data"}
        data = base64.b64encode(png()).decode()
        result = await client.call_tool("read_data", {"data_base64": data, "language": "russian"})
    (page,) = result.structured_content["pages"]
    assert all(text in page["markdown"] for text in TEXTS)
    assert json.dumps(result.structured_content["ledger"])
    async with httpx.AsyncClient(trust_env=False) as stranger:
        foreign = await stranger.post(http_server, json={}, headers={"Host": "evil.example"})
    assert foreign.status_code in (403, 421)


def test_without_the_library_the_remedy_is_named() -> None:
    code = "import sys; sys.modules['mcp'] = None; from airgap.client.app import app; app(['mcp'])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "'.[mcp]'" in done.stderr
