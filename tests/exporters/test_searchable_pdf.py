"""The searchable PDF: text found where the boxes are, the original untouched."""

import html
import io
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pikepdf
import pymupdf
import pypdfium2
import pytest
from PIL import Image

from airgap.core.document import Block, Box, Document, Line, Page
from airgap.core.errors import ExportFailed, UnsupportedOption
from airgap.exporters import export, export_file
from airgap.exporters.searchable_pdf import NOT_PDFA
from tests.exporters.factory import PictureSource, document, failed_page
from tests.exporters.test_lines import turned

WIDTH, HEIGHT, DPI = 1000, 1400, 144
TEXTS = {
    "en": (
        "The quick brown fox jumps over",
        "the lazy dog, and so it goes on.",
        "A third line; 1,234.50 EUR",
    ),
    "zh-Hant": ("繁體中文的頁面也必須能夠搜尋", "第二行文字在這裡結束。", "第三行：共有一百二十三個字元"),
    "mixed": ("帳戶持有 2,431,359 股 of ACME Ltd.", "A型 and B型: Ω ≥ 5 кг", "plain words at the end"),
    "ru": ("Съешь ещё этих мягких французских", "булок, да выпей же чаю сегодня.", "Третья строка документа"),
}


def read_page(texts=TEXTS["en"], turn: int = 0, number: int = 1) -> Page:
    size = (WIDTH, HEIGHT) if turn % 180 == 0 else (HEIGHT, WIDTH)
    boxes = [turned((100, 200 + 60 * i, 800 - 90 * i, 244 + 60 * i), turn) for i in range(len(texts))]
    lines = tuple(Line(text, box, 0.9) for text, box in zip(texts, boxes, strict=True))
    whole = boxes[0].union(boxes[-1])
    return Page(number, *size, blocks=(Block("text", " ".join(texts), (whole,), 0.9, lines),))


def encoded(image: Image.Image, kind: str = "JPEG", **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def photo(size: tuple[int, int]) -> Image.Image:
    return Image.radial_gradient("L").resize(size).convert("RGB")


def picture_source(page: Page, **options) -> PictureSource:
    image = photo((page.width, page.height))
    return PictureSource({page.number: image}, path=encoded(image, dpi=(DPI, DPI), **options))


def overlap(a, b) -> float:
    """Intersection over union of two rectangles."""
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    shared = max(0.0, width) * max(0.0, height)
    return shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared)


def corners(box: Box):
    return box.x0, box.y0, box.x1, box.y1


def images_of(page: pikepdf.Page) -> list[Any]:
    return [xobject for xobject in page.resources["/XObject"].values() if xobject.Subtype == "/Image"]


def assert_found(pdf: pymupdf.Document, page: Page, index: int = 0) -> None:
    shown = pdf[index]
    scale = page.width / shown.rect.width
    for line in page.blocks[0].lines:
        hit = pymupdf.Rect()
        for piece in shown.search_for(line.text):  # one hit may come in pieces, word by word
            hit |= piece * shown.rotation_matrix
        assert overlap([value * scale for value in hit], corners(line.box)) >= 0.9


CASES = [(language, turn) for language in TEXTS for turn in (0, 90, 180, 270)]


@pytest.fixture(scope="module")
def all_cases(tmp_path_factory) -> tuple[list[Page], Path]:
    """A page for every language and turn, and the searchable PDF of them all."""
    pages = [read_page(TEXTS[language], turn, number) for number, (language, turn) in enumerate(CASES, 1)]
    pictures = {page.number: photo((page.width, page.height)) for page in pages}
    path = tmp_path_factory.mktemp("searchable") / "all.pdf"
    assert export_file("pdf", document(*pages), PictureSource(pictures), path) == ()
    return pages, path


@pytest.mark.parametrize(("language", "turn"), CASES)
def test_text_is_found_at_its_boxes(language: str, turn: int, all_cases) -> None:
    pages, path = all_cases
    index = CASES.index((language, turn))
    with pymupdf.open(path) as pdf:
        assert_found(pdf, pages[index], index)


@pytest.mark.skipif(shutil.which("pdftotext") is None, reason="needs poppler's pdftotext")
@pytest.mark.parametrize(("language", "turn"), CASES)
def test_poppler_finds_it_there_too(language: str, turn: int, all_cases) -> None:
    pages, path = all_cases
    page = pages[CASES.index((language, turn))]
    command = ["pdftotext", "-f", str(page.number), "-l", str(page.number), "-bbox-layout", path, "-"]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    (height,) = re.findall(r'<page width="\S+" height="(.*?)"', out)
    scale = page.height / float(height)
    found = {}
    for *box, words in re.findall(
        r'<line xMin="(.*?)" yMin="(.*?)" xMax="(.*?)" yMax="(.*?)">(.*?)</line>', out, re.S
    ):
        text = " ".join(html.unescape(word) for word in re.findall(r"<word[^>]*>(.*?)</word>", words))
        found[text] = [float(value) * scale for value in box]
    for line in page.blocks[0].lines:
        assert overlap(found[line.text], corners(line.box)) >= 0.9


@pytest.mark.skipif(shutil.which("pdftotext") is None, reason="needs poppler's pdftotext")
def test_two_readers_copy_a_table_row_by_row_and_cell_by_cell(tmp_path: Path) -> None:
    rows = [["Planet", "Moons", "Day"], ["Mercury", "0", "4222.6"], ["Earth", "1", "24.0"]]
    lines = tuple(
        Line(text, Box(20 + 200 * x, 30 + 40 * y, 80 + 200 * x, 50 + 40 * y), 0.9)
        for y, row in enumerate(rows)
        for x, text in enumerate(row)
    )
    table = Block("table", "<table></table>", (Box(10, 20, 590, 160),), lines=lines)
    page = Page(1, 600, 400, "ok", (table,))
    path = tmp_path / "table.pdf"
    export_file("pdf", document(page), picture_source(page), path)
    wanted = " ".join(text for row in rows for text in row)
    command = ["pdftotext", "-raw", str(path), "-"]
    poppler = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    with pypdfium2.PdfDocument(path) as pdf:
        pdfium = pdf[0].get_textpage().get_text_range()
    assert " ".join(poppler.split()) == wanted
    assert " ".join(pdfium.split()) == wanted


def test_the_picture_of_a_jpeg_is_byte_for_byte_the_original_and_the_file_is_pdfa2() -> None:
    page = read_page()
    source = picture_source(page)
    with pikepdf.open(io.BytesIO(export("pdf", document(page), source))) as pdf:
        (image,) = images_of(pdf.pages[0])
        assert image.read_raw_bytes() == source.path
        with pdf.open_metadata() as metadata:
            assert metadata.pdfa_status.startswith("2")


def test_a_tagged_original_gets_its_layer_too() -> None:
    with pikepdf.new() as made:
        made.add_blank_page(page_size=(WIDTH * 72 / DPI, HEIGHT * 72 / DPI))
        made.Root.MarkInfo = pikepdf.Dictionary(Marked=True)
        made.Root.StructTreeRoot = pikepdf.Dictionary(Type=pikepdf.Name.StructTreeRoot)
        made.save(tagged := io.BytesIO())
    page = read_page()
    source = PictureSource({}, path=tagged.getvalue(), kind="pdf", media_type="application/pdf")
    with pymupdf.open(stream=export("pdf", document(page), source)) as pdf:
        assert_found(pdf, page)


@pytest.mark.slow
def test_a_photo_turned_by_its_exif_is_searched_as_it_is_seen() -> None:
    page = read_page()
    exif = Image.Exif()
    exif[0x0112] = 6
    stored = photo((HEIGHT, WIDTH))
    seen = stored.transpose(Image.Transpose.ROTATE_270)
    source = PictureSource({1: seen}, path=encoded(stored, dpi=(DPI, DPI), exif=exif))
    with pymupdf.open(stream=export("pdf", document(page), source)) as pdf:
        assert pdf[0].rect.width < pdf[0].rect.height
        assert_found(pdf, page)


@pytest.mark.parametrize(
    "kind", ["PNG", *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("WEBP", "BMP"))]
)
def test_other_pictures_are_kept_without_loss(kind: str) -> None:
    page = read_page()
    image = photo((WIDTH, HEIGHT))
    if kind == "PNG":
        image.putalpha(255)
    shown = Image.open(io.BytesIO(data := encoded(image, kind))).convert("RGB")
    with pikepdf.open(io.BytesIO(export("pdf", document(page), PictureSource({1: shown}, path=data)))) as pdf:
        (found,) = images_of(pdf.pages[0])
        stored = pikepdf.PdfImage(found).as_pil_image()
        assert stored.convert("RGB").tobytes() == shown.tobytes()


@pytest.mark.slow
def test_frames_of_a_tiff_are_pages_and_none_is_lost() -> None:
    frames = [photo((WIDTH, HEIGHT)).convert("L") for _ in range(3)]
    data = encoded(frames[0], "TIFF", save_all=True, append_images=frames[1:])
    pages = (read_page(number=1), failed_page(2), read_page(TEXTS["ru"], number=3))
    with pymupdf.open(stream=export("pdf", document(*pages), PictureSource({}, path=data))) as pdf:
        assert len(pdf) == 3
        assert pdf[1].get_text().strip() == ""
        assert_found(pdf, pages[2], 2)


def make_pdf(shapes=((0, False),), draw=None, **save) -> bytes:
    """A PDF with a page per `(rotation, cropped)`; as shown, every page measures 500 × 700 points."""
    with pymupdf.open() as pdf:
        for rotate, cropped in shapes:
            width, height = (500, 700) if rotate % 180 == 0 else (700, 500)
            page = pdf.new_page(width=width + 130 * cropped, height=height + 110 * cropped)
            page.insert_image(page.rect, stream=encoded(Image.new("L", (40, 40), 230)))
            if draw:
                draw(page)
            if cropped:
                page.set_cropbox(pymupdf.Rect(100, 30, 100 + width, 30 + height))
            page.set_rotation(rotate)
        return pdf.tobytes(**save)


def pdf_source(data: bytes) -> PictureSource:
    return PictureSource({}, path=data, kind="pdf", media_type="application/pdf")


def moved_origin(data: bytes, dx: float, dy: float) -> bytes:
    """The same pages in media boxes that do not begin at the origin."""
    with pikepdf.open(io.BytesIO(data)) as pdf:
        for page in pdf.pages:
            for name in ("/MediaBox", "/CropBox"):
                if name in page.obj:
                    x0, y0, x1, y1 = (float(value) for value in page.obj[name])
                    page.obj[name] = [x0 + dx, y0 + dy, x1 + dx, y1 + dy]
        buffer = io.BytesIO()
        pdf.save(buffer)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "origin", [(300, -200), *(pytest.param(at, marks=pytest.mark.slow) for at in ((0, 0), (-40, 350)))]
)
def test_pages_of_a_pdf_that_are_turned_and_cropped(origin) -> None:
    shapes = [(rotate, cropped) for rotate in (0, 90, 180, 270) for cropped in (False, True)]
    data = moved_origin(make_pdf(shapes), *origin)
    pages = [read_page(number=number) for number in range(2, len(shapes) + 1)]
    with pymupdf.open(stream=export("pdf", document(*pages), pdf_source(data))) as pdf:
        assert [page.rotation for page in pdf] == [rotate for rotate, _ in shapes]
        assert pdf[0].get_text().strip() == ""
        for index, page in enumerate(pages, 1):
            assert tuple(pdf[index].rect)[2:] == pytest.approx((500, 700))
            assert_found(pdf, page, index)


def test_an_older_text_layer_is_replaced_and_visible_text_is_not_doubled() -> None:
    page = read_page()

    def draw(shown) -> None:
        shown.insert_text((60, 400), "an older and wrong reading", fontsize=12, render_mode=3)
        box = page.blocks[0].lines[0].box
        shown.insert_text((box.x0 / 2, box.y1 / 2 - 4), TEXTS["en"][0], fontsize=23, fontname="tiro")

    with pymupdf.open(stream=export("pdf", document(page), pdf_source(make_pdf(draw=draw)))) as pdf:
        text = pdf[0].get_text()
        assert "older" not in text
        assert text.count(TEXTS["en"][0]) == 1
        assert TEXTS["en"][1] in text


def test_corrected_words_are_found_where_the_page_has_text_of_its_own(tmp_path: Path) -> None:
    """A page that was born digital, one of whose numbers a person corrected: the rest is not doubled."""
    data = make_pdf(
        draw=lambda page: page.insert_text((40, 60), "Total 24.9 EUR, due on Friday", fontsize=11)
    )
    with pymupdf.open(stream=data) as pdf:
        size = pdf[0].rect
    box = Box(30, 40, 400, 80)
    corrected = Block("text", "Total 24.91 EUR, due on Friday", (box,))
    page = Page(1, round(size.width), round(size.height), "ok", (corrected,))
    path = tmp_path / "corrected.pdf"
    export_file("pdf", document(page), pdf_source(data), path)
    with pymupdf.open(path) as pdf:
        (hit,) = pdf[0].search_for("24.91")
        assert box.x0 <= hit.x0 < hit.x1 <= box.x1
        assert len(pdf[0].search_for("Total")) == len(pdf[0].search_for("Friday")) == 1


@pytest.mark.slow
def test_corrected_words_keep_their_place_among_the_lines(tmp_path: Path) -> None:
    """A scan: a corrected block stands between two that the engine read, and is copied between them."""

    def read(text: str, top: float) -> Block:
        box = Box(40, top, 200, top + 20)
        return Block("text", text, (box,), lines=(Line(text, box, 0.9),))

    corrected = Block("text", "second", (Box(40, 100, 200, 120),))
    page = Page(1, 600, 400, "ok", (read("first", 40), corrected, read("third", 160)))
    path = tmp_path / "order.pdf"
    export_file("pdf", document(page), picture_source(page), path)
    with pypdfium2.PdfDocument(path) as pdf:
        assert pdf[0].get_textpage().get_text_range().split() == ["first", "second", "third"]


@pytest.mark.slow
def test_a_pdf_that_cannot_become_pdfa_says_so(tmp_path: Path) -> None:
    data = make_pdf(draw=lambda page: page.insert_text((60, 600), "a font that is not embedded"))
    path = tmp_path / "s.pdf"
    assert export_file("pdf", document(read_page()), pdf_source(data), path) == (NOT_PDFA,)
    assert path.stat().st_size > 0


def test_nothing_read_leaves_the_original_text(tmp_path: Path) -> None:
    data = make_pdf([(0, False)] * 3, lambda page: page.insert_text((60, 600), "older layer", render_mode=3))
    pages: Document = document(failed_page(1), failed_page(2), failed_page(3))
    with pymupdf.open(stream=export("pdf", pages, pdf_source(data))) as pdf:
        assert "older layer" in pdf[1].get_text()


@pytest.mark.slow
def test_a_locked_pdf_is_refused_and_opened_with_its_password() -> None:
    data = make_pdf(encryption=pymupdf.PDF_ENCRYPT_AES_256, user_pw="secret", owner_pw="owner")
    source = pdf_source(data)
    with pytest.raises(UnsupportedOption, match="password"):
        export("pdf", document(read_page()), source)
    source.password = "secret"
    with pymupdf.open(stream=export("pdf", document(read_page()), source)) as pdf:
        assert_found(pdf, read_page())


@pytest.mark.parametrize("data", [b"%PDF-1.7\nnothing else", b""])
def test_a_damaged_pdf_is_an_error_of_its_own(data: bytes) -> None:
    with pytest.raises(ExportFailed) as caught:
        export("pdf", document(read_page()), pdf_source(data))
    assert "/" not in caught.value.message


@pytest.mark.slow
def test_hostile_text_and_boxes_do_no_harm() -> None:
    lines = (
        Line("a\x00b\x1b \ufffe) Tj ET", Box(-50, 20, 300, 50)),
        Line("(\\", Box(5, 5, 5, 5)),
        Line("\U0001f600 🇺🇳 אבג عربي", Box(0, 0, 1e7, 30)),
        Line("tall", Box(10, 10, 11, 1400)),
    )
    page = Page(1, WIDTH, HEIGHT, blocks=(Block("text", "", (Box(0, 0, 1, 1),), lines=lines),))
    with pymupdf.open(stream=export("pdf", document(page), picture_source(page))) as pdf:
        assert "Tj ET" in pdf[0].get_text()
