"""Pictures made to cost time or memory: each costs itself alone, within its bounds."""

from __future__ import annotations

import io
import os
import signal
import struct
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from airgap.core.errors import AirgapError, ImageTooLarge, InvalidImage, PageRenderFailed, PageTimeout
from airgap.core.opening import Opening
from process import picture_source
from process.child_pool import shared_pool
from process.pages import Limits, open_source
from process.source import Source
from tests.attacks.files import gif_of_dots, jpeg_of_scans, webp_canvas

LIMITS = Limits(render_workers=1, image_timeout_seconds=60)


def opened(data: bytes, limits: Limits = LIMITS, **options: Any) -> Source:
    return open_source(data, name="x", limits=limits, opening=Opening(**options))


def resident_mb(pid: int, key: str = "VmHWM") -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(key)).split()[1]) // 1024


def png(size: tuple[int, int], mode: str = "L") -> bytes:
    buffer = io.BytesIO()
    Image.new(mode, size, "white").save(buffer, "PNG")
    return buffer.getvalue()


def test_a_late_frame_of_a_large_animation_is_refused_before_it_is_drawn() -> None:
    data = gif_of_dots(10_000, 10_000, frames=400)
    with pytest.raises(ImageTooLarge, match="takes all frames before it"):
        opened(data, page_from=400)
    with opened(data, page_to=1) as source:
        assert source.page_count == 400


def test_an_animation_is_gone_through_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with opened(gif_of_dots(64, 64, frames=30)) as source:
        for number in source.numbers:
            source.image(number)
        assert source._walked <= 31  # type: ignore[attr-defined]
        monkeypatch.setattr(picture_source, "MAX_WALKED_PIXELS", 64 * 64)
        with pytest.raises(PageRenderFailed, match="as much as is allowed"):
            source.image(1)


def test_a_picture_without_end_costs_itself_alone_and_not_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picture_source, "MAX_LOSSES", 1)
    limits = Limits(render_workers=1, image_timeout_seconds=0.2)
    with opened(png((40, 40))) as good:
        with opened(gif_of_dots(10_000, 10_000, frames=39), limits) as source:
            with pytest.raises(PageTimeout) as caught:
                source.image(39)
            assert "IMAGE_TIMEOUT_SECONDS" in caught.value.remedy
            pids = shared_pool(1).pids
            with pytest.raises(PageRenderFailed, match="no more is tried"):
                source.image(1)
            assert shared_pool(1).pids == pids
        assert good.image(1).size == (40, 40)


def test_thousands_of_scans_are_refused_unseen() -> None:
    with pytest.raises(InvalidImage, match="100 scans"):
        opened(jpeg_of_scans(side=64, scans=5000))


def test_a_canvas_of_memory_is_refused_unseen() -> None:
    with pytest.raises(ImageTooLarge):
        opened(webp_canvas(16_384, 16_384))


def test_a_picture_that_eats_memory_costs_itself_alone() -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (6000, 6000), "white").save(buffer, "JPEG2000", irreversible=False)
    limits = Limits(render_workers=1, image_memory_mb=512)
    with opened(png((40, 40)), limits) as good:
        with pytest.raises(ImageTooLarge, match="512 MB") as caught:
            opened(buffer.getvalue(), limits)
        assert "IMAGE_MEMORY_MB" in caught.value.remedy
        with (
            opened(png((10_000, 9_000), "RGBA"), limits) as source,
            pytest.raises(ImageTooLarge, match="512"),
        ):
            source.image(1)
        assert good.image(1).size == (40, 40)


@pytest.mark.slow
def test_the_largest_picture_allowed_fits_the_default_bounds() -> None:
    with opened(png((10_000, 10_000), "RGB")) as source:
        image = source.image(1)
        assert image.size == (10_000, 10_000)
        assert image.getpixel((9_999, 9_999)) == (255, 255, 255)
        (child,) = shared_pool(1).pids
    assert resident_mb(child) < 1280
    assert resident_mb(child, "VmRSS") < 250  # given back


def test_a_large_picture_is_the_same_in_strips(monkeypatch: pytest.MonkeyPatch) -> None:
    noise = Image.effect_noise((3000, 2001), 80).convert("RGB")
    buffer = io.BytesIO()
    noise.save(buffer, "PNG", compress_level=0)
    with opened(buffer.getvalue()) as source:
        assert source.image(1).tobytes() == noise.tobytes()


def test_a_killed_child_costs_the_picture_alone() -> None:
    data = gif_of_dots(10_000, 10_000, frames=39)
    with opened(png((40, 40))) as good, opened(data) as source:
        good.image(1)
        (child,) = shared_pool(1).pids
        seen: list[AirgapError] = []

        def decode() -> None:
            try:
                source.image(39)
            except AirgapError as error:
                seen.append(error)

        thread = threading.Thread(target=decode)
        thread.start()
        time.sleep(0.5)
        os.kill(child, signal.SIGKILL)
        thread.join()
        assert [error.code for error in seen] == [InvalidImage.code]
        assert good.image(1).size == (40, 40)


def test_lies_about_the_size() -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (100, 100), "white").save(buffer, "JPEG2000", irreversible=False)
    data = bytearray(buffer.getvalue())
    at = data.index(b"\xff\x51")
    struct.pack_into(">II", data, at + 6, 60_000, 60_000)
    struct.pack_into(">II", data, at + 22, 60_000, 60_000)
    with pytest.raises(AirgapError), opened(bytes(data)) as source:
        source.image(1)
