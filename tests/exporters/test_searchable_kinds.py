"""PDFs that a text layer is laid beneath with care: forms, signatures, odd pictures, fonts without a map."""

from __future__ import annotations

import io
from pathlib import Path

import pikepdf
import pymupdf
import pytest
from PIL import Image

from airgap.core.document import Block, Box, Line, Page
from airgap.exporters import export, export_file
from airgap.exporters.bookmarks import rotation
from airgap.exporters.searchable_pdf import AS_PICTURES, UNSIGNED
from process.pages import Limits, open_source
from tests.exporters.factory import document
from tests.exporters.test_searchable_pdf import encoded, pdf_source

FONT = Path(pymupdf.__file__).parents[1] / "ocrmypdf" / "data" / "NotoSans-Regular.ttf"
SIZE = (1000, 1400)


def page_with(text: str, *box: float) -> Page:
    """A page of 500 × 700 points on which one line was read."""
    place = Box(*box)
    return Page(1, *SIZE, blocks=(Block("text", text, (place,), lines=(Line(text, place),)),))


def saved(pdf: pikepdf.Pdf) -> bytes:
    buffer = io.BytesIO()
    pdf.save(buffer)
    return buffer.getvalue()


def form() -> bytes:
    """A field that is filled in, and text drawn without an embedded font."""
    with pymupdf.open() as pdf:
        page = pdf.new_page(width=500, height=700)
        field = pymupdf.Widget()
        field.field_type, field.field_name = pymupdf.PDF_WIDGET_TYPE_TEXT, "surname"
        field.rect, field.field_value = pymupdf.Rect(60, 100, 260, 120), "Beispiel"
        page.add_widget(field)
        return pdf.tobytes()


def printed(box: bytes = b"0 0 500 700", turn: bytes = b"0") -> bytes:
    """A PDF with these bytes for its page's box and its turn."""
    stream = b"BT /F 20 Tf 60 500 Td (printed) Tj ET"
    objects = (
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [" + box + b"] /Rotate " + turn + b" /Contents 4 0 R"
        b" /Resources << /Font << /F << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> >> >> >>",
        b"<< /Length %d >>\nstream\n%b\nendstream" % (len(stream), stream),
    )
    body = b"".join(b"%d 0 obj\n%b\nendobj\n" % entry for entry in enumerate(objects, 1))
    return b"%PDF-1.7\n" + body + b"trailer << /Root 1 0 R /Size 5 >>\n%%EOF\n"


@pytest.mark.parametrize("data", [printed(box=b"0 0 0 0"), printed(turn=b"900000000000000000090")])
def test_a_pdf_that_takes_no_text_layer_has_its_pages_as_pictures(data: bytes, tmp_path: Path) -> None:
    with open_source(data, name="odd.pdf", limits=Limits(render_workers=1)) as source:
        drawn = source.render(1)
        place = Box(100, 100, 400, 140)
        block = Block("text", "words", (place,), lines=(Line("words", place),))
        size = (drawn.width_pt, drawn.height_pt)
        page = Page(1, *drawn.image.size, blocks=(block,), width_pt=size[0], height_pt=size[1])
        assert AS_PICTURES in export_file("pdf", document(page), source, tmp_path / "s.pdf")
    with pymupdf.open(tmp_path / "s.pdf") as pdf:
        assert pdf[0].get_text().split() == ["words"]
        assert (pdf[0].rect.width, pdf[0].rect.height) == pytest.approx(size, abs=1)
        assert pdf[0].get_images()


def test_a_form_stays_a_form_and_its_values_are_not_doubled() -> None:
    page = page_with("Beispiel", 122, 202, 300, 238)
    other = page_with("printed words", 122, 602, 400, 638)
    page = Page(1, *SIZE, blocks=(*page.blocks, *other.blocks))
    data = export("pdf", document(page), pdf_source(form()))
    with pymupdf.open(stream=data) as pdf:
        assert [widget.field_value for widget in pdf[0].widgets()] == ["Beispiel"]
        assert pdf.is_form_pdf == 1
        assert sorted(pdf[0].get_text().split()) == ["Beispiel", "printed", "words"]


def test_a_signature_is_taken_off_and_said_to_be(tmp_path: Path) -> None:
    with pikepdf.open(io.BytesIO(form())) as pdf:
        kid = pdf.Root.AcroForm.Fields[0]
        kid.FT, kid.V = pikepdf.Name.Sig, pikepdf.Dictionary(Type=pikepdf.Name.Sig, Contents=b"0")
        pdf.Root.AcroForm.SigFlags = 3
        data = saved(pdf)
    path = tmp_path / "s.pdf"
    warnings = export_file("pdf", document(page_with("read", 122, 402, 300, 438)), pdf_source(data), path)
    assert UNSIGNED in warnings
    with pikepdf.open(path) as pdf:
        assert "/V" not in pdf.Root.AcroForm.Fields[0]
        assert "/SigFlags" not in pdf.Root.AcroForm
    with pymupdf.open(path) as shown:
        assert "read" in shown[0].get_text()


@pytest.mark.slow
def test_a_picture_that_cannot_be_unpacked_does_no_harm() -> None:
    with pymupdf.open() as made:
        made.new_page(width=500, height=700)
        data = made.tobytes()
    with pikepdf.open(io.BytesIO(data)) as pdf:
        tint = pdf.make_stream(b"{ 1 exch sub }", FunctionType=4, Domain=[0, 1], Range=[0, 1])
        space = [pikepdf.Name.DeviceN, [pikepdf.Name.Black], pikepdf.Name.DeviceGray, tint]
        picture = pdf.make_stream(
            bytes(8), Type=pikepdf.Name.XObject, Subtype=pikepdf.Name.Image, Width=8, Height=8,
            BitsPerComponent=1, ColorSpace=pdf.make_indirect(pikepdf.Array(space)),
        )  # fmt: skip
        pdf.pages[0].Resources = pikepdf.Dictionary(XObject=pikepdf.Dictionary(Im=picture))
        pdf.pages[0].Contents = pdf.make_stream(b"q 100 0 0 100 50 50 cm /Im Do Q")
        data = saved(pdf)
    result = export("pdf", document(page_with("read", 122, 402, 300, 438)), pdf_source(data))
    with pymupdf.open(stream=result) as shown:
        assert shown[0].get_text().strip() == "read"


def drawn(text: str, *, mapped: bool, at: float = 216) -> bytes:
    """A line in an embedded font of which the file says, or does not say, which letters it draws."""
    with pymupdf.open() as made:
        page = made.new_page(width=500, height=700)
        page.insert_text((60, at), text, fontsize=14, fontname="noto", fontfile=str(FONT))
        data = made.tobytes()
    with pikepdf.open(io.BytesIO(data)) as pdf:
        for font in pdf.objects:
            if not mapped and isinstance(font, pikepdf.Dictionary) and "/ToUnicode" in font:
                del font["/ToUnicode"]
        return saved(pdf)


@pytest.mark.parametrize("mapped", [True, False])
def test_what_a_font_draws_without_saying_which_letters_is_laid_beneath(mapped: bool) -> None:
    text = "Certificate of insurance"
    page = page_with(text, 120, 404, 460, 440)
    with pymupdf.open(stream=export("pdf", document(page), pdf_source(drawn(text, mapped=mapped)))) as pdf:
        assert pdf[0].get_text().count(text) == 1


@pytest.mark.slow
def test_a_box_that_is_taller_than_the_type_doubles_nothing() -> None:
    text = "Certificate of insurance"
    page = page_with(text, 100, 380, 560, 480)
    with pymupdf.open(stream=export("pdf", document(page), pdf_source(drawn(text, mapped=True)))) as pdf:
        assert pdf[0].get_text().count(text) == 1


def test_a_fax_has_the_shape_that_it_has_on_paper() -> None:
    fax = encoded(Image.new("L", (1728, 1078), 255), "TIFF", dpi=(204, 98))
    with open_source(fax, name="fax.tif", limits=Limits()) as source:
        size = source.image(1).size
        place = Box(204, 408, 816, 448)
        page = Page(1, *size, blocks=(Block("text", "Dear Sir", (place,), lines=(Line("Dear Sir", place),)),))
        result = export("pdf", document(page), source)
    assert size == (1728, 2244)
    with pymupdf.open(stream=result) as pdf:
        assert tuple(pdf[0].rect)[2:] == pytest.approx((610, 792), abs=2)
        found = pdf[0].search_for("Dear Sir")[0]
        assert found.y0 == pytest.approx(144, abs=3)


@pytest.mark.parametrize(
    ("stated", "turn"), [(0, 0), (90, 90), (-90, 270), (450, 90), (44, 0), (45, 90), (200, 180), (330, 0)]
)
def test_a_turn_that_is_no_quarter_is_taken_for_the_nearest(stated: int, turn: int) -> None:
    with pikepdf.new() as pdf:
        page = pdf.add_blank_page()
        page.obj["/Rotate"] = stated
        assert rotation(page) == turn
