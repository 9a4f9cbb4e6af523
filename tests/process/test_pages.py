"""Files become pages; what is wrong with one page costs that page, and nothing lingers."""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pymupdf
import pytest
from PIL import Image, ImageChops

from airgap.core.errors import (
    AirgapError,
    EmptyFile,
    FeatureDisabled,
    ImageTooLarge,
    InvalidImage,
    InvalidPdf,
    PageOutOfRange,
    PdfPasswordRequired,
    TooManyPages,
    UnsupportedMedia,
)
from process import pages, picture_source
from process.child_pool import shared_pool
from process.pages import Limits, open_source
from tests.pixels import rgb
from tests.process.files import FRAMES, LIMITS, POEM, opened, pdf, same, saved


def test_pages_of_a_pdf() -> None:
    with opened(pdf("one", "", "three")) as source:
        assert (source.kind, source.media_type, source.name) == ("pdf", "application/pdf", "page")
        assert source.page_count == 3
        assert source.numbers == range(1, 4)
        first = source.render(1)
        assert first.image.mode == "RGB"
        assert first.image.size == (600, 800)
        assert (first.width_pt, first.height_pt) == (300, 400)
        assert (first.number, first.blank, first.text_lines, first.warnings) == (1, False, None, ())
        assert source.render(2).blank
        assert same(source.image(1), first.image)
        assert not same(source.image(3), first.image)


def test_bytes_and_path_give_the_same_and_leave_nothing(tmp_path: Path) -> None:
    data = pdf("hello")
    path = tmp_path / "no-suffix"
    path.write_bytes(data)
    with opened(data) as from_bytes, opened(path) as from_path:
        assert same(from_bytes.image(1), from_path.image(1))
        assert from_bytes.read_bytes() == from_path.read_bytes() == data
        written = from_bytes.path
        assert isinstance(written, Path)
        assert written.exists()
    assert not written.parent.exists()
    assert path.exists()


def test_resolution() -> None:
    with opened(pdf("x"), dpi=72) as source:
        assert source.image(1).size == (300, 400)


def test_any_thread_may_render() -> None:
    texts = [f"page {n} of many" for n in range(12)]
    limits = Limits(render_workers=2)
    with opened(pdf(*texts), limits) as source:
        in_order = [source.image(n) for n in source.numbers]
        with ThreadPoolExecutor(6) as threads:
            at_once = list(threads.map(source.image, source.numbers))
    assert all(same(a, b) for a, b in zip(in_order, at_once, strict=True))
    assert len(shared_pool(2).pids) <= 2


@pytest.mark.parametrize(("first", "last", "expected"), [(2, 3, [2, 3]), (None, 1, [1]), (4, None, [4])])
def test_ranges(first: int | None, last: int | None, expected: list[int]) -> None:
    with opened(pdf("1", "2", "3", "4"), page_from=first, page_to=last) as source:
        assert list(source.numbers) == expected
        assert [source.render(n).number for n in source.numbers] == expected


@pytest.mark.parametrize(("first", "last"), [(0, 1), (5, None), (5, 9), (3, 2), (1, 0), (-1, None)])
def test_ranges_outside_the_document(first: int | None, last: int | None) -> None:
    with pytest.raises(PageOutOfRange):
        opened(pdf("1", "2", "3", "4"), page_from=first, page_to=last)
    with pytest.raises(PageOutOfRange):
        opened(saved(FRAMES, "TIFF"), page_from=9)


def test_a_range_ends_where_the_document_does() -> None:
    with opened(pdf("1", "2", "3"), page_from=2, page_to=5) as source:
        assert list(source.numbers) == [2, 3]
        assert source.notes == ("Pages up to 5 were asked for; the document has 3.",)
    with opened(pdf("1", "2", "3"), page_to=3) as source:
        assert source.notes == ()


def test_a_site_may_have_the_first_pages_of_a_long_document_read() -> None:
    limits = Limits(pdf_max_pages=2, pdf_over_max_pages="first", render_workers=1)
    with opened(pdf("1", "2", "3", "4"), limits, page_to=9) as source:
        assert list(source.numbers) == [1, 2]
        assert source.notes == (
            "Pages up to 9 were asked for; the document has 4.",
            "Pages 3 to 4 were not read: PDF_MAX_PAGES=2.",
        )
        assert source.left_out == 2


def test_a_site_without_pdfs_opens_none() -> None:
    with pytest.raises(FeatureDisabled, match="ENABLE_PDF_SUPPORT=0"):
        opened(pdf("1"), Limits(read_pdf=False))


def test_a_page_that_is_not_there() -> None:
    with opened(pdf("1")) as source, pytest.raises(PageOutOfRange):
        source.render(2)


def test_the_limit_counts_the_pages_asked_for() -> None:
    limits = Limits(pdf_max_pages=2, render_workers=1)
    for data in (pdf("1", "2", "3"), saved(FRAMES, "TIFF")):
        with pytest.raises(TooManyPages):
            opened(data, limits)
        with opened(data, limits, page_from=2) as source:
            assert list(source.numbers) == [2, 3]


def test_passwords() -> None:
    data = pdf("secret", encryption=pymupdf.PDF_ENCRYPT_AES_256, user_pw="пароль", owner_pw="owner")
    with pytest.raises(PdfPasswordRequired, match="locked"):
        opened(data)
    with pytest.raises(PdfPasswordRequired, match="does not open") as caught:
        opened(data, password="guess")
    assert "guess" not in caught.value.message
    for password in ("пароль", "owner"):
        with opened(data, password=password) as source:
            assert not source.render(1).blank


def test_an_owner_password_alone_locks_nothing() -> None:
    data = pdf("open", encryption=pymupdf.PDF_ENCRYPT_AES_256, owner_pw="owner")
    with opened(data) as source:
        assert not source.render(1).blank


@pytest.mark.parametrize("turn", [0, 90, 180, 270])
def test_rotation_and_crop_box_are_applied(turn: int) -> None:
    with pymupdf.open() as document:
        page = document.new_page(width=400, height=300)
        page.draw_rect((100, 50, 140, 70), fill=(0, 0, 0))
        page.insert_text((160, 66), POEM[:36], fontsize=10)
        page.set_cropbox(pymupdf.Rect(80, 40, 380, 240))
        page.set_rotation(turn)
        data = document.tobytes()
    with opened(data, dpi=72, text_layer="auto") as source:
        seen = source.render(1)
    upright = seen.image.rotate(turn, expand=True)
    assert upright.size == (300, 200)
    dark = upright.crop((20, 10, 60, 30))
    assert max(dark.convert("L").tobytes()) < 128
    assert rgb(upright, (10, 20))[0] == 255
    assert (seen.width_pt, seen.height_pt) == ((300, 200) if turn % 180 == 0 else (200, 300))
    assert seen.text_lines is None  # the bar has more ink than the line


@pytest.mark.parametrize("turn", [0, 90, 180, 270])
def test_text_lines_lie_on_their_ink(turn: int) -> None:
    with pymupdf.open() as document:
        page = document.new_page(width=500, height=300)
        page.insert_text((60, 100), POEM[:40], fontsize=16)
        page.set_cropbox(pymupdf.Rect(20, 20, 480, 280))
        page.set_rotation(turn)
        data = document.tobytes()
    with opened(data, text_layer="auto") as source:
        page_image = source.render(1)
    assert page_image.text_lines is not None
    (line,) = page_image.text_lines
    assert line.text == POEM[:40].strip()
    ink = ImageChops.invert(page_image.image.convert("L")).getbbox()
    assert ink is not None
    box = line.box
    assert all(near <= edge + 2 for near, edge in zip((box.x0, box.y0), ink[:2], strict=True))
    assert all(far >= edge - 2 for far, edge in zip((box.x1, box.y1), ink[2:], strict=True))
    assert box.area < 2.5 * (ink[2] - ink[0]) * (ink[3] - ink[1])
    assert pages.FROM_TEXT_LAYER in page_image.warnings


def test_the_text_layer_is_ignored_unless_asked_for() -> None:
    with opened(pdf(POEM[:40])) as source:
        assert source.render(1).text_lines is None


def hidden_under_a_scan() -> bytes:
    with pymupdf.open() as document:
        page = document.new_page(width=300, height=400)
        scan = io.BytesIO()
        Image.linear_gradient("L").resize((300, 400)).save(scan, "PNG")
        page.insert_image(page.rect, stream=scan.getvalue())
        page.insert_text((30, 50), POEM[:30], render_mode=3)
        return document.tobytes()


def beside_outlines() -> bytes:
    with pymupdf.open() as document:
        page = document.new_page(width=300, height=400)
        page.insert_text((30, 380), "footer, the only real text", fontsize=6)
        for n in range(20):
            page.draw_rect((30, 30 + 15 * n, 270, 38 + 15 * n), fill=(0, 0, 0))
        return document.tobytes()


@pytest.mark.parametrize(
    "data",
    [hidden_under_a_scan(), beside_outlines(), pdf("too short"), pdf("\ufffd" * 40), pdf("")],
    ids=["hidden", "outlines", "short", "replacement", "none"],
)
def test_a_text_layer_that_is_not_sound_is_not_used(data: bytes) -> None:
    with opened(data, text_layer="auto") as source:
        seen = source.render(1)
    assert seen.text_lines is None
    assert (pages.LAYER_NOT_SOUND in seen.warnings) == (not seen.blank)


def test_huge_pages_are_drawn_within_the_limit() -> None:
    with opened(pdf("large", width=14400, height=14400)) as source:
        seen = source.render(1)
    assert 3_500_000 < seen.image.width * seen.image.height <= 4_000_000
    assert any("200 × 200 inches" in warning and "instead of 144" in warning for warning in seen.warnings)
    assert (seen.width_pt, seen.height_pt) == (14400, 14400)


def test_tiny_pages_are_drawn_larger() -> None:
    with opened(pdf("", width=3.6, height=7.2)) as source:
        seen = source.render(1)
    assert seen.image.size == (16, 32)
    assert any("instead of 144" in warning for warning in seen.warnings)


def test_a_page_that_is_a_strip() -> None:
    with opened(pdf("", width=2, height=14000)) as source:
        seen = source.render(1)
        assert 4 <= seen.image.width < 16
        assert seen.image.height <= 32_000
        assert seen.blank


@pytest.mark.parametrize("kind", ["TIFF", "GIF", "WEBP", "PNG"])
def test_frames_are_pages(kind: str) -> None:
    frames = FRAMES if kind == "TIFF" else [frame.resize((60, 40)) for frame in FRAMES]
    with opened(saved(frames, kind)) as source:
        assert source.kind == "image"
        assert source.page_count == 3
        for number in (3, 1, 2, 2):
            image = source.render(number).image
            assert image.size == frames[number - 1].size
            seen, wanted = rgb(image, (20, 20)), rgb(frames[number - 1], (20, 20))
            assert max(abs(a - b) for a, b in zip(seen, wanted, strict=True)) < 8
        assert source.render(1).blank


def test_a_frame_over_the_limit_fails_alone() -> None:
    frames = [Image.new("L", (60, 40)), Image.new("L", (600, 400)), Image.new("L", (50, 40))]
    with opened(saved(frames, "TIFF"), Limits(max_image_pixels=10_000)) as source:
        assert source.render(1).image.size == (60, 40)
        with pytest.raises(ImageTooLarge):
            source.render(2)
        assert source.render(3).image.size == (50, 40)


def test_frames_from_many_threads() -> None:
    frames = [Image.new("L", (40, 40), 10 * n) for n in range(20)]
    with opened(saved(frames, "TIFF")) as source, ThreadPoolExecutor(6) as threads:
        images = list(threads.map(source.image, source.numbers))
    assert [rgb(image, (5, 5))[0] for image in images] == [10 * n for n in range(20)]


def test_frames_without_number_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picture_source, "MAX_FRAMES", 2)
    for kind in ("TIFF", "GIF"):
        with pytest.raises(TooManyPages, match="more than 2 frames"):
            opened(saved(FRAMES, kind), page_to=1)


def test_a_single_picture(tmp_path: Path) -> None:
    path = tmp_path / "x.pdf"
    FRAMES[0].save(path, "PNG")
    with open_source(path, name="Счёт №12 «résumé» 領収書 #1.png", limits=LIMITS) as source:
        assert (source.kind, source.media_type, source.page_count) == ("image", "image/png", 1)
        assert source.name == "Счёт №12 «résumé» 領収書 #1"
        seen = source.render(1)
        assert same(seen.image, FRAMES[0])
        assert (seen.width_pt, seen.height_pt) == (None, None)
        assert same(source.image(1), FRAMES[0])


def test_files_that_cannot_be_opened_at_all() -> None:
    png = saved(FRAMES[:1], "PNG")
    refusals: list[tuple[bytes, type[AirgapError]]] = [
        (b"", EmptyFile),
        (b"PK\x03\x04 docx", UnsupportedMedia),
        (b"hello", UnsupportedMedia),
        (png[:20], InvalidImage),
        (b"%PDF-1.7 and nothing", InvalidPdf),
        (saved([Image.new("1", (3000, 2000))], "PNG"), ImageTooLarge),
    ]
    for data, error in refusals:
        with pytest.raises(error):
            opened(data)


def test_opening_decodes_nothing() -> None:
    cut_off = saved(FRAMES[:1], "PNG")[:60]
    with opened(cut_off) as source, pytest.raises(InvalidImage):
        source.render(1)


@pytest.mark.parametrize(
    ("points", "pixels"), [((90, 150), (1506, 2500)), ((595, 842), (800, 1100)), ((90, 150), None)]
)
def test_a_scan_on_a_small_page_is_drawn_as_finely_as_it_is(
    points: tuple[int, int], pixels: tuple[int, int] | None
) -> None:
    with pymupdf.open() as document:
        page = document.new_page(width=points[0], height=points[1])
        if pixels:
            scan = io.BytesIO()
            Image.linear_gradient("L").resize(pixels).save(scan, "PNG")
            page.insert_image(page.rect, stream=scan.getvalue())
        else:
            page.insert_text((10, 50), "printed", fontsize=9)
        data = document.tobytes()
    with opened(data) as source:
        seen = source.render(1).image
    side = max(seen.size)
    assert side == pytest.approx(1600 if points[0] == 90 and pixels else 2 * points[1], abs=3)
