"""Kinds of pages that were once read as `ok` and were not: drawn here, and read by the CPU engine."""

from __future__ import annotations

import pytest
import pytest_asyncio
from PIL import Image, ImageDraw

from airgap.engines.ppocr.engine import RapidOcrEngine
from airgap.engines.ppocr.scripts import find_tessdata, is_rule
from tests.engines.drawn_pages import html_page, one_engine, read

pytestmark = pytest.mark.asyncio(loop_scope="module")
engine = pytest_asyncio.fixture(one_engine, scope="module", loop_scope="module", name="engine")
has_osd = (tessdata := find_tessdata(None)) is not None and (tessdata / "osd.traineddata").is_file()

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
