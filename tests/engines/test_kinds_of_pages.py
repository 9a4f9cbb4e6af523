"""Kinds of pages that were once read as `ok` and were not: drawn here, and read by the CPU engine."""

from __future__ import annotations

import io
from pathlib import Path

import pikepdf
import pymupdf
import pytest
import pytest_asyncio
from PIL import Image, ImageDraw, ImageFont

from airgap.core.document import ReadOptions
from airgap.core.opening import Opening
from airgap.engines.ppocr.engine import RapidOcrEngine
from airgap.engines.ppocr.scripts import find_tessdata, is_rule
from process.defaults import Defaults
from process.pages import LAYER_NOT_SOUND, Limits, open_source
from process.pipeline import Reader
from tests.engines.drawn_pages import html_page, one_engine, read

pytestmark = pytest.mark.asyncio(loop_scope="module")
engine = pytest_asyncio.fixture(one_engine, scope="module", loop_scope="module", name="engine")
has_osd = (tessdata := find_tessdata(None)) is not None and (tessdata / "osd.traineddata").is_file()

FONT = Path(pymupdf.__file__).parents[1] / "ocrmypdf" / "data" / "NotoSans-Regular.ttf"
WRONG_MAP = (
    b"1 begincodespacerange <0000> <ffff> endcodespacerange 16 beginbfrange %s endbfrange"
    % b" ".join(b"<%02x00> <%02xff> <00c0>" % (page, page) for page in range(16))
)
FOREIGN = {
    "Devanagari": "मराठी कथा<br/>सर्व मराठी कथा वाचा<br/>मराठी चारोळी वाचा",
    "Thai": "การแพทย์แผนจีนช่วยให้เด็กสมองพิการ",
    "Arabic": "تعتبر البرمجة من الأدوات القوية<br/>التي يمكن أن تعزز",
    "Bengali": "আমার সোনার বাংলা<br/>আমি তোমায় ভালোবাসি",
}


@pytest.mark.skipif(not has_osd, reason="Tesseract's script detection is not installed")
@pytest.mark.parametrize("script", FOREIGN)
async def test_a_script_that_nobody_here_reads_is_not_answered_with_nonsense(
    script: str, engine: RapidOcrEngine
) -> None:
    assert tessdata is not None
    page = await read(engine, html_page(f'<p style="font-size:20px">{FOREIGN[script]}</p>'))
    assert page.status == "degraded"
    assert not any(character.isascii() and character.isalpha() for b in page.blocks for character in b.text)
    assert any("script" in warning for warning in page.warnings)


async def test_what_is_read_without_being_sure_is_not_called_well_read(engine: RapidOcrEngine) -> None:
    """Print squeezed to a few pixels of height."""
    small = html_page("<p>Quarterly figures of seven branches<br/>were audited in the spring</p>", 300, 80)
    blurred = small.resize((small.width // 5, small.height // 5), Image.Resampling.BOX)
    page = await read(engine, blurred.resize((small.width, small.height), Image.Resampling.BICUBIC))
    assert page.status == "degraded"
    assert page.warnings
    assert (await read(engine, small)).status == "ok"


@pytest.mark.parametrize(
    ("text", "rule"),
    [("ummmmmmmmmmmmmmmmmmmm1", True), ("一一一一一一一一一一一一一", True), ("0000000000000", False),
     ("................", False), ("Hmmmmm", False), ("", False)],
)  # fmt: skip
async def test_a_letter_that_goes_on_and_on_is_a_rule(text: str, rule: bool) -> None:
    assert is_rule(text) is rule


async def test_dashed_rules_are_no_text(engine: RapidOcrEngine) -> None:
    page = Image.new("RGB", (1224, 1000), "white")
    draw = ImageDraw.Draw(page)
    for y in (400, 600):
        for x in range(110, 1110, 8):
            draw.rectangle((x, y, x + 4, y + 2), fill="black")
    read_page = await read(engine, page)
    assert not any(character.isalnum() for block in read_page.blocks for character in block.text)


def written(lines: list[tuple[str, int, int, int]], size: tuple[int, int] = (1440, 1080)) -> Image.Image:
    """Text at x and y in a type so many pixels high."""
    page = Image.new("RGB", size, "white")
    for text, x, y, height in lines:
        ImageDraw.Draw(page).text((x, y), text, fill="black", font=ImageFont.load_default(height))
    return page


@pytest.mark.parametrize("large", ["555-0123-99", "EUR 4,250", "SALE"])
@pytest.mark.parametrize("fill", ["white", (200, 220, 255)])
async def test_large_type_is_text_and_no_picture(
    large: str, fill: str | tuple[int, int, int], engine: RapidOcrEngine
) -> None:
    page = Image.new("RGB", (1440, 1080), "white")
    draw = ImageDraw.Draw(page)
    draw.rectangle((100, 340, 1340, 680), fill=fill)
    draw.text((200, 400), large, fill="black", font=ImageFont.load_default(180))
    for y, text in ((120, "Monthly news for all who ride"), (800, "Call us on weekdays before noon")):
        draw.text((120, y), text, fill="black", font=ImageFont.load_default(30))
    found = await read(engine, page)
    assert large in " ".join(block.text for block in found.blocks)
    assert not any(block.label == "image" for block in found.blocks)


async def test_a_shaded_heading_of_a_table_is_no_picture(engine: RapidOcrEngine) -> None:
    cells = "".join(f"<tr><td>{name}</td><td>{n}</td><td>{n * 7} sec</td></tr>" for n, name in enumerate(
        ("Alpha", "Bravo", "Carol", "Delta"), 2))  # fmt: skip
    css = "td{border:1px solid black;padding:4px 24px 4px 4px;font-family:sans-serif}"
    head = (
        "<tr><td rowspan=2 style='background-color:#8ab'>Group</td>"
        "<td colspan=2 style='background-color:#8ab'>Results</td></tr>"
        "<tr><td style='background-color:#8ab'>Ballots</td><td style='background-color:#8ab'>Time</td></tr>"
    )
    found = await read(engine, html_page(f"<p>Who took part:</p><table>{head}{cells}</table>", css=css))
    assert not any(block.label == "image" for block in found.blocks)
    assert "<td>28 sec</td>" in "".join(block.text for block in found.blocks).replace("<td >", "<td>")


async def test_a_small_ruled_table_on_a_page_of_few_lines_keeps_its_rows(engine: RapidOcrEngine) -> None:
    page = written(
        [("Contents", 110, 100, 40), ("Page 2 Heading", 110, 180, 24), ("Text of it.", 110, 260, 24)]
    )
    draw = ImageDraw.Draw(page)
    for row in range(4):
        draw.line((110, 500 + 40 * row, 1080, 500 + 40 * row), fill="black", width=2)
    for x in (110, 430, 1080):
        draw.line((x, 500, x, 620), fill="black", width=2)
    words = ("Column 1", "Column 2", "Cell p1", "Cell 2", "Cell 3", "Cell 4")
    for number, word in enumerate(words):
        at = (118 + 320 * (number % 2), 506 + 40 * (number // 2))
        draw.text(at, word, fill="black", font=ImageFont.load_default(22))
    found = await read(engine, page)
    table = next(block.text for block in found.blocks if block.label == "table")
    assert table.count("<tr>") == 3


async def test_a_ruled_form_that_leans_gives_labels_before_values(engine: RapidOcrEngine) -> None:
    page = Image.new("RGB", (1200, 800), "white")
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(22)
    for x in (60, 420, 780, 1140):
        draw.line((x, 100, x, 700), fill="black", width=3)
    for y in (100, 700):
        draw.line((60, y, 1140, y), fill="black", width=3)
    for column in range(3):
        for row in range(12):
            x, y = 70 + 360 * column, 120 + 48 * row
            draw.text((x, y), ("YES", "NO")[row % 2], fill="black", font=font)
            draw.text((x + 300, y), str(100 + 12 * column + row), fill="black", font=font)
    found = await read(engine, page.rotate(-0.7, Image.Resampling.BICUBIC, fillcolor="white"))
    text = " ".join(
        " ".join(block.text for block in found.blocks).replace("<", " <").replace(">", "> ").split()
    )
    for column in range(3):
        for row in range(12):
            label = ("YES", "NO")[row % 2]
            assert f"{label} {100 + 12 * column + row}" in text.replace("</td> <td> ", "")


@pytest.mark.slow
async def test_a_statement_keeps_all_columns_under_one_heading_line(engine: RapidOcrEngine) -> None:
    heads = ("Date", "Details", "Reference", "Branch", "Out", "In", "Balance")
    places = (80, 220, 560, 800, 960, 1160, 1420)
    lines = [("SAMPLE BANK  Statement of account  1 to 31 March  Sheet 1", 80, 40, 20)]
    lines += [(head, x, 90, 17) for head, x in zip(heads, places, strict=True)]
    for row in range(40):
        amount = f"{row + 3}.{row % 10}5"
        cells = (f"{row % 28 + 1:02}/03/24", "CARD PAYMENT GROCER", f"REF40{row:02}7", f"8{row:02}0",
                 amount if row % 3 else "", "" if row % 3 else amount, f"{9400 - row * 7}.50")  # fmt: skip
        lines += [(cell, x, 116 + 23 * row, 17) for cell, x in zip(cells, places, strict=True) if cell]
    found = await read(engine, written(lines, (1684, 1190)))
    table = max((block.text for block in found.blocks), key=len)
    assert table.count("<tr>") == 41
    assert all(f"<td>{9400 - row * 7}.50</td></tr>" in table for row in range(40))


async def test_a_font_that_lies_about_its_letters_is_read_from_pixels(engine: RapidOcrEngine) -> None:
    with pymupdf.open() as made:
        page = made.new_page(width=500, height=300)
        for row, text in enumerate(("Certificate of insurance", "The holder lives in Springfield")):
            page.insert_text((50, 60 + 24 * row), text, fontsize=14, fontname="noto", fontfile=str(FONT))
        data = made.tobytes()
    with pikepdf.open(io.BytesIO(data)) as pdf:
        for item in pdf.objects:
            if isinstance(item, pikepdf.Dictionary) and "/ToUnicode" in item:
                item.ToUnicode = pdf.make_stream(WRONG_MAP)
        buffer = io.BytesIO()
        pdf.save(buffer)
    reader = Reader(engine, Defaults(None, "base"), max_concurrency=1, max_queue=1, page_timeout=60)
    with open_source(
        buffer.getvalue(), name="a.pdf", limits=Limits(), opening=Opening(text_layer="auto")
    ) as source:
        assert source.render(1).text_lines is not None  # it is well formed
        document = await reader.recognize(source, ReadOptions())
    assert "Certificate of insurance" in document.pages[0].blocks[0].text
    assert LAYER_NOT_SOUND in document.pages[0].warnings


async def test_a_listing_on_a_dark_screen_keeps_its_indentation(engine: RapidOcrEngine) -> None:
    program = ["def total(rows):", "    found = {}", "    for row in rows:", "        if row.amount > 0:",
               "            found[row.key] = row.amount", "    return found", "",
               'if __name__ == "__main__":', '    print(total(load("may.csv")))']  # fmt: skip
    page = Image.new("RGB", (820, 300), (30, 30, 30))
    font = ImageFont.truetype(io.BytesIO(pymupdf.Font("cobo").buffer), 19)
    for number, line in enumerate(program):
        ImageDraw.Draw(page).text((20, 16 + 25 * number), line, fill=(220, 220, 220), font=font)
    found = await read(engine, page)
    assert [block.label for block in found.blocks] == ["code"]
    lines = found.blocks[0].text.split("\n")[1:-1]
    assert [line.replace(" ", "") for line in lines] == [line.replace(" ", "") for line in program]
    assert [len(line) - len(line.lstrip()) for line in lines] == [
        len(line) - len(line.lstrip()) for line in program
    ]


async def test_items_of_a_list_keep_how_deep_they_stand(engine: RapidOcrEngine) -> None:
    words = [("- One of the outer items of a list", 110), ("- Two, an inner item", 170), ("- Three", 110)]
    page = written([(text, x, 200 + 50 * row, 26) for row, (text, x) in enumerate(words)])
    found = await read(engine, page)
    assert [block.text.partition("-")[0] for block in found.blocks] == ["", "  ", ""]


async def test_a_line_that_runs_over_a_rule_is_read_in_its_cells(engine: RapidOcrEngine) -> None:
    page = Image.new("RGB", (900, 600), "white")
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(24)
    edges = (100, 200, 275, 350, 425)
    for row in range(7):
        draw.line((edges[0], 100 + 36 * row, edges[-1], 100 + 36 * row), fill="black", width=2)
    for x in edges:
        draw.line((x, 100, x, 316), fill="black", width=2)
    rows = [("Goods", "2022", "2023", "2024"), *((f"Kind {n}", "12345", "67890", "24680") for n in "ABCDE")]
    for row, cells in enumerate(rows):
        for x, cell in zip(edges, cells, strict=False):
            draw.text((x + 4, 103 + 36 * row), cell, fill="black", font=font)
    found = await read(engine, page)
    table = next(block.text for block in found.blocks if block.label == "table")
    for kind in "ABCDE":
        assert f"<td>Kind {kind}</td><td>12345</td><td>67890</td><td>24680</td>" in table
