"""Files with some bytes changed, cut off or doubled: refused, or read; never anything else.

FUZZ says how many of each kind; few by default.
"""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from airgap.core.errors import AirgapError
from airgap.core.opening import WHOLE
from airgap.jobs import unpack
from config import Settings
from process.pages import Limits, open_source
from serve_ocr import create_app
from tests.jobs.helpers import pdf

EXAMPLES = int(os.environ.get("FUZZ", "12"))
LIMITS = Limits(
    max_image_pixels=1_000_000, image_timeout_seconds=20, page_timeout_seconds=20, render_workers=1
)
few = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
Change = tuple[float, bytes, int]


def picture(kind: str) -> bytes:
    buffer = io.BytesIO()
    Image.effect_noise((40, 30), 90).convert("L").save(buffer, kind)
    return buffer.getvalue()


def archive() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("a.png", picture("PNG"))
        made.writestr("folder/b.pdf", pdf(1))
    return buffer.getvalue()


WHOLE_FILES = {kind: picture(kind) for kind in ("PNG", "JPEG", "GIF", "WEBP", "TIFF", "BMP", "JPEG2000")}
WHOLE_FILES["PDF"] = pdf(2)
changes = st.lists(
    st.tuples(st.floats(0, 1, exclude_max=True), st.binary(max_size=8), st.integers(0, 64)), max_size=6
)


def changed(data: bytes, edits: list[Change]) -> bytes:
    """`data` with, at each place (a share of its length), so many bytes replaced by these."""
    for place, put, taken in edits:
        at = int(place * len(data))
        data = data[:at] + put + data[at + taken :]
    return data


@pytest.mark.parametrize("kind", sorted(WHOLE_FILES))
@few
@given(edits=changes)
def test_a_file(kind: str, edits: list[Change]) -> None:
    with (
        suppress(AirgapError),
        open_source(changed(WHOLE_FILES[kind], edits), name="x", limits=LIMITS, opening=WHOLE) as source,
    ):
        for number in source.numbers[:3]:
            with suppress(AirgapError):
                assert source.render(number).image.size > (0, 0)


@few
@given(edits=changes)
def test_an_archive(edits: list[Change], tmp_path: Path) -> None:
    path = tmp_path / "sent.zip"
    path.write_bytes(changed(archive(), edits))
    with suppress(AirgapError):
        entries, size = unpack.unpack(path, tmp_path, 0, 1 << 20)
        assert size <= 1 << 20
        assert all("/" not in entry.file and ".." not in entry.file for entry in entries)
    assert {found.parent for found in tmp_path.iterdir()} == {tmp_path}


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    folder = tmp_path_factory.mktemp("fuzzed")
    with TestClient(create_app(Settings(backend="fake", data_dir=folder))) as made:
        yield made


FORM = (
    b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\nContent-Type: image/png\r\n\r\n'
    + WHOLE_FILES["PNG"]
    + b'\r\n--x\r\nContent-Disposition: form-data; name="page_from"\r\n\r\n1\r\n--x--\r\n'
)
BODIES = {
    "/pdf/ocr/simple": ("multipart/form-data; boundary=x", FORM),
    "/generate": ("application/json", b'{"prompt": "x", "images": ["aGVsbG8="], "max_tokens": 5}'),
    "/v1/chat/completions": (
        "application/json",
        b'{"messages": [{"role": "user", "content": [{"type": "text", "text": "x"}]}], "stream": false}',
    ),
}


@pytest.mark.parametrize("path", sorted(BODIES))
@few
@given(edits=changes)
def test_a_body(path: str, edits: list[Change], client: TestClient) -> None:
    kind, body = BODIES[path]
    answer = client.post(path, content=changed(body, edits), headers={"Content-Type": kind})
    assert answer.status_code < 500, answer.text
    if answer.status_code >= 400:
        assert answer.json()["error"]["remedy"]
