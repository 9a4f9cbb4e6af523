"""Pictures of every kind become upright RGB; everything else becomes a 4xx."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFile
from PIL.PngImagePlugin import PngInfo

from airgap.core.errors import (
    BadRequest,
    EmptyFile,
    ImageTooLarge,
    InvalidImage,
    TooLarge,
    UnsupportedMedia,
)
from process.image_process import MAX_SIDE, check_size, open_frames, open_image
from process.sniff import sniff
from tests.pixels import rgb

ROBUST = Path(__file__).parents[1] / "data" / "robust"
LIMIT = 1_000_000


def corners(size: tuple[int, int] = (64, 40)) -> Image.Image:
    """White, with a red corner top left and a blue one top right: every turn shows."""
    image = Image.new("RGB", size, "white")
    image.paste("red", (0, 0, 16, 12))
    image.paste("blue", (size[0] - 16, 0, size[0], 12))
    return image


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def opened(data: bytes | Path, max_pixels: int = LIMIT) -> Image.Image:
    image = open_image(data, max_pixels=max_pixels)
    assert image.mode == "RGB"
    return image


def assert_corners(image: Image.Image) -> None:
    assert image.size == (64, 40)
    for point, colour in (((5, 5), (255, 0, 0)), ((58, 5), (0, 0, 255)), ((5, 35), (255, 255, 255))):
        seen = rgb(image, point)
        assert all(abs(a - b) < 60 for a, b in zip(seen, colour, strict=True)), (point, seen)


def png(width: int, height: int, *chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG whose header claims a size; `chunks` follow."""
    header = (b"IHDR", struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0))
    body = b""
    for name, data in (header, *chunks, (b"IEND", b"")):
        body += struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
    return b"\x89PNG\r\n\x1a\n" + body


@pytest.mark.parametrize(
    ("kind", "sniffed"),
    [
        ("PNG", "png"), ("JPEG", "jpeg"), ("WEBP", "webp"), ("TIFF", "tiff"), ("BMP", "bmp"),
        ("GIF", "gif"), ("AVIF", "avif"), ("JPEG2000", "jp2"),
    ],
)  # fmt: skip
def test_each_kind_is_known_by_content_and_read(kind: str, sniffed: str, tmp_path: Path) -> None:
    data = saved(corners(), kind)
    assert sniff(data) == sniffed
    assert_corners(opened(data))
    path = tmp_path / "wrongly-named.pdf"
    path.write_bytes(data)
    assert_corners(opened(path))


def test_heic_is_read() -> None:
    import pillow_heif

    pillow_heif.register_heif_opener()
    if "HEIF" not in Image.SAVE:
        pytest.skip("this pillow-heif has no HEVC encoder")
    assert_corners(opened(saved(corners(), "HEIF", quality=95)))


@pytest.mark.parametrize("kind", ["JPEG", "TIFF", "PNG", "WEBP", "AVIF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(orientation: int, kind: str) -> None:
    # Each of the eight is its own inverse but for the quarter turns, which undo each other.
    stored = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    image = corners()
    if orientation in stored:
        image = image.transpose(stored[orientation])
    exif = Image.Exif()
    exif[0x0112] = orientation
    assert_corners(opened(saved(image, kind, exif=exif)))


@pytest.mark.parametrize(
    "exif", [b"Exif\0\0", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0MM\0*\0\0\0\x08\xff"]
)
def test_damaged_exif_does_not_cost_the_picture(exif: bytes) -> None:
    assert_corners(opened(saved(corners(), "JPEG", exif=b"Exif\0\0" + exif, quality=95)))


def test_an_absurd_orientation_is_ignored() -> None:
    exif = Image.Exif()
    exif[0x0112] = 77
    assert_corners(opened(saved(corners(), "JPEG", exif=exif, quality=95)))


@pytest.mark.parametrize(("mode", "kind"), [("RGBA", "PNG"), ("LA", "PNG"), ("P", "PNG"), ("LA", "TIFF")])
def test_transparency_lies_on_white(mode: str, kind: str) -> None:
    image = Image.new("RGBA", (40, 40), (0, 0, 0, 0))
    image.paste((0, 0, 0, 255), (10, 10, 20, 20))
    seen = opened(saved(image.convert(mode), kind))
    assert seen.getpixel((2, 2)) == (255, 255, 255)
    assert seen.getpixel((15, 15)) == (0, 0, 0)


def test_colour_key_transparency_lies_on_white() -> None:
    image = Image.new("RGB", (40, 40), (9, 9, 9))
    image.paste((0, 0, 0), (10, 10, 20, 20))
    seen = opened(saved(image, "PNG", transparency=(9, 9, 9)))
    assert seen.getpixel((2, 2)) == (255, 255, 255)
    assert seen.getpixel((15, 15)) == (0, 0, 0)


def lettered(ink: tuple[int, int, int], *more: tuple[int, int, int]) -> Image.Image:
    """Strokes on nothing, a row of them for each colour."""
    image = Image.new("RGBA", (200, 100), (0, 0, 0, 0))
    for row, colour in enumerate((ink, *more)):
        for x in range(10, 190, 12):
            image.paste((*colour, 255), (x, 10 + 40 * row, x + 4, 40 + 40 * row))
    return image


@pytest.mark.parametrize(
    ("inks", "paper"),
    [
        ([(0, 0, 0)], (255, 255, 255)),
        ([(200, 30, 30)], (255, 255, 255)),
        ([(255, 255, 255)], (0, 0, 0)),
        ([(240, 250, 230)], (0, 0, 0)),
        ([(255, 255, 255), (0, 0, 0)], (128, 128, 128)),
    ],
)
def test_letters_on_nothing_are_laid_on_paper_that_shows_them(
    inks: list[tuple[int, int, int]], paper: tuple[int, int, int]
) -> None:
    assert opened(saved(lettered(*inks), "PNG")).getpixel((2, 2)) == paper


def test_a_white_page_with_round_corners_stays_white() -> None:
    image = Image.new("RGBA", (300, 200), (255, 255, 255, 255))
    image.paste(lettered((0, 0, 0), (30, 30, 30)).convert("RGB"), (40, 40))
    image.paste((255, 255, 255, 0), (0, 0, 8, 8))
    assert opened(saved(image, "PNG")).getpixel((2, 2)) == (255, 255, 255)


def test_pixels_that_are_not_square_are_drawn_out() -> None:
    seen = opened(saved(corners((128, 40)), "TIFF", dpi=(204, 98)))
    assert seen.size == (128, 83)
    assert opened(saved(corners((128, 40)), "TIFF", dpi=(200, 200))).size == (128, 40)
    assert opened(saved(corners((128, 40)), "TIFF", dpi=(300, 2))).size == (128, 40)
    with pytest.raises(ImageTooLarge):
        opened(saved(corners((128, 40)), "TIFF", dpi=(204, 98)), max_pixels=128 * 82)


def test_cmyk_keeps_its_colours() -> None:
    assert_corners(opened(saved(corners().convert("CMYK"), "JPEG", quality=95)))
    assert_corners(opened(saved(corners().convert("CMYK"), "TIFF")))


def test_lab_keeps_its_lightness() -> None:
    image = Image.merge("LAB", [Image.new("L", (20, 20), value) for value in (255, 128, 128)])
    image.paste((0, 128, 128), (0, 0, 10, 20))
    seen = opened(saved(image, "TIFF"))
    assert min(rgb(seen, (15, 5))) > 245
    assert max(rgb(seen, (5, 5))) < 10


@pytest.mark.parametrize("mode", ["1", "P", "L"])
def test_few_bits_are_read(mode: str) -> None:
    image = Image.new("RGB", (40, 40), "white")
    image.paste("black", (10, 10, 20, 20))
    seen = opened(saved(image.convert(mode), "PNG"))
    assert seen.getpixel((2, 2)) == (255, 255, 255)
    assert seen.getpixel((15, 15)) == (0, 0, 0)


@pytest.mark.parametrize(
    ("dtype", "white", "kind"),
    [
        (np.uint16, 65535, "PNG"), (np.uint16, 65535, "TIFF"), (np.uint16, 4095, "TIFF"),
        (np.uint16, 1023, "PNG"), (np.int32, 200_000, "TIFF"), (np.float32, 1.0, "TIFF"),
        (np.float32, 255.0, "TIFF"),
    ],
)  # fmt: skip
def test_deep_grey_keeps_its_range(dtype: type[Any], white: float, kind: str) -> None:
    values = np.full((300, 40), white, dtype)
    values[:, 10:20] = 0
    values[:, 20:30] = white / 2
    seen = opened(saved(Image.fromarray(values), kind))
    assert seen.getpixel((2, 290)) == (255, 255, 255)
    assert seen.getpixel((15, 290)) == (0, 0, 0)
    assert 120 < rgb(seen, (25, 290))[0] < 136


def test_floats_that_are_not_numbers_do_no_harm() -> None:
    values = np.full((20, 20), np.nan, np.float32)
    values[:10] = 1.0
    assert opened(saved(Image.fromarray(values), "TIFF")).getpixel((5, 5)) == (255, 255, 255)


def test_sixteen_bit_tiff_that_counts_from_white() -> None:
    values = np.zeros((20, 20), np.uint16)
    values[:10] = 65535
    seen = opened(saved(Image.fromarray(values), "TIFF", tiffinfo={262: 0}))
    assert rgb(seen, (5, 5)) == (0, 0, 0)
    assert seen.getpixel((5, 15)) == (255, 255, 255)


def test_first_frame_of_an_animation() -> None:
    frames = [corners(), Image.new("RGB", (64, 40), "green")]
    for kind in ("GIF", "WEBP", "TIFF", "PNG"):
        assert_corners(opened(saved(frames[0], kind, save_all=True, append_images=frames[1:])))


def test_the_result_outlives_its_source(tmp_path: Path) -> None:
    path = tmp_path / "page.png"
    path.write_bytes(saved(corners(), "PNG"))
    image = opened(path)
    path.unlink()
    assert_corners(image)


def test_empty_file(tmp_path: Path) -> None:
    with pytest.raises(EmptyFile):
        opened(b"")
    (tmp_path / "empty").touch()
    with pytest.raises(EmptyFile):
        opened(tmp_path / "empty")


@pytest.mark.parametrize(
    ("data", "named"),
    [
        (b"PK\x03\x04rest", "ZIP"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", "PostScript"),
        (b"\xc5\xd0\xd3\xc6", "PostScript"),
        (b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>', "SVG"),
        (b"<!DOCTYPE html><p>hello", "HTML"),
        (b"\0\0\x01\0\x01\0", "icon"),
        (b"\0\0\0\x18ftypmp42\0\0\0\0isommp42", "video"),
        (b"plain text, whatever its name", "known kind"),
        (b"BM is how this text begins, and it is no bitmap", "known kind"),
    ],
)
def test_what_is_no_picture_is_named(data: bytes, named: str) -> None:
    with pytest.raises(UnsupportedMedia, match=named):
        opened(data)


@pytest.mark.parametrize("data", [b"%PDF-1.7\n", b"junk\n" * 200 + b"%PDF-2.0\n"])
def test_a_pdf_is_sent_to_its_route(data: bytes) -> None:
    assert sniff(data) == "pdf"
    with pytest.raises(UnsupportedMedia) as caught:
        opened(data)
    assert "/pdf/ocr" in caught.value.remedy


def test_limits_are_checked_on_the_header() -> None:
    bomb = png(25_000, 25_000, (b"IDAT", zlib.compress(bytes(100))))
    with pytest.raises(ImageTooLarge, match="25000 × 25000"):
        opened(bomb, max_pixels=100_000_000)
    with pytest.raises(ImageTooLarge, match="side"):
        opened(png(60_000, 10), max_pixels=100_000_000)
    with pytest.raises(ImageTooLarge):
        opened(saved(corners(), "PNG"), max_pixels=64 * 40 - 1)
    assert_corners(opened(saved(corners(), "PNG"), max_pixels=64 * 40))


@pytest.mark.parametrize("size", [(1, 1), (1, 20_000), (3, 100)])
def test_too_small_to_hold_writing(size: tuple[int, int]) -> None:
    with pytest.raises(InvalidImage, match=f"{size[0]} × {size[1]}"):
        opened(png(*size))


def test_sides_at_the_limit() -> None:
    check_size((MAX_SIDE, 60), 10_000_000)
    with pytest.raises(ImageTooLarge):
        check_size((MAX_SIDE + 1, 60), 10_000_000)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF", "AVIF", "JPEG2000"])
@pytest.mark.parametrize("share", [0.1, 0.6])
def test_truncated(kind: str, share: float) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (200, 200, 3), np.uint8)
    data = saved(Image.fromarray(noise), kind)
    with pytest.raises(InvalidImage):
        opened(data[: int(len(data) * share)])
    assert not ImageFile.LOAD_TRUNCATED_IMAGES


def test_damaged_heic() -> None:
    with pytest.raises(InvalidImage):
        opened(ROBUST / "corrupted.heic")


def test_png_text_bomb() -> None:
    text = b"k\0\0" + zlib.compress(bytes(20_000_000))
    with pytest.raises(InvalidImage):
        opened(png(64, 64, (b"zTXt", text), (b"IDAT", zlib.compress(bytes(64 * 9)))))


def test_much_metadata_is_no_reason_to_refuse() -> None:
    """A printer's profile, or a photograph's description, that takes more than a megabyte."""
    described, noted = PngInfo(), PngInfo()
    described.add_itxt("XML:com.adobe.xmp", "described " * 300_000, zip=True)
    noted.add_text("Comment", "noted " * 300_000, zip=True)
    profile = np.random.default_rng(1).bytes(2_000_000)
    for options in ({"icc_profile": profile}, {"pnginfo": described}, {"pnginfo": noted}):
        assert_corners(opened(saved(corners(), "PNG", **options)))


def test_odd_metadata_is_no_reason_to_refuse() -> None:
    # TIFF entry 700 (XMP) points beyond the end of the file: Pillow warns, and warnings are errors here.
    data = bytearray(saved(corners(), "TIFF", tiffinfo={700: b"x" * 40}))
    entry = data.index(struct.pack("<HH", 700, 1))
    struct.pack_into("<I", data, entry + 8, 10_000_000)
    with pytest.raises(UserWarning), Image.open(io.BytesIO(bytes(data))) as image:
        image.load()
    assert_corners(opened(bytes(data)))


def test_a_message_holds_nothing_of_the_machine(tmp_path: Path) -> None:
    path = tmp_path / "secret-name.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"nonsense")
    with pytest.raises(InvalidImage) as caught:
        opened(path)
    assert "secret" not in caught.value.message + caught.value.remedy


_KINDS = ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF", "JPEG2000", "AVIF")
_SEEDS = [saved(corners(), kind) for kind in _KINDS]


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(_SEEDS),
    st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), min_size=1, max_size=12),
)
def test_fuzzed_pictures_are_read_or_refused(seed: bytes, changes: list[tuple[int, int]]) -> None:
    data = bytearray(seed)
    for at, value in changes:
        data[at % len(data)] = value
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with suppress(BadRequest, TooLarge, UnsupportedMedia):
            assert open_image(bytes(data), max_pixels=LIMIT).mode == "RGB"


def test_frames_are_reached_through_one_handle() -> None:
    frames = [corners(), Image.new("RGB", (32, 20), "green")]
    data = saved(frames[0], "TIFF", save_all=True, append_images=frames[1:])
    with open_frames(data) as image:
        assert getattr(image, "n_frames", 1) == 2
        image.seek(1)
        assert image.size == (32, 20)
