"""Document to hOCR 1.2: XHTML in which every line and word carries its box.

Specification: http://kba.github.io/hocr-spec/1.2/ (K. Baierer and T. Breuel). A word's box is cut from
its line's, a line's from its block's where the engine knows no lines. A page that could not be read is
an empty `ocr_page` with the reason in a comment and in `data-error`.
"""

from __future__ import annotations

from xml.etree import ElementTree as ET

from airgap.core.document import Block, Box, Document, Page
from airgap.exporters import Source
from airgap.exporters.figures import is_figure
from airgap.exporters.lines import PrintedLine, page_lines, xml_text
from airgap.exporters.markdown import failure_reason

CAPABILITIES = "ocr_page ocr_carea ocr_par ocr_line ocrx_word ocr_photo ocr_table ocr_caption ocrp_wconf"


def to_hocr(document: Document, source: Source | None = None) -> bytes:
    """The document as UTF-8 hOCR; the source, if there, gives the pages' name."""
    root = ET.Element("html", {"xmlns": "http://www.w3.org/1999/xhtml", "lang": "und", "xml:lang": "und"})
    head = ET.SubElement(root, "head")
    name = xml_text(source.name) if source is not None else "document"
    ET.SubElement(head, "title").text = name
    ET.SubElement(head, "meta", {"charset": "utf-8"})
    system = xml_text(f"Airgap OCR ({document.engine}, {document.model})")
    ET.SubElement(head, "meta", {"name": "ocr-system", "content": system})
    ET.SubElement(head, "meta", {"name": "ocr-capabilities", "content": CAPABILITIES})
    ET.SubElement(head, "meta", {"name": "ocr-number-of-pages", "content": str(len(document.pages))})
    body = ET.SubElement(root, "body")
    for page in document.pages:
        _page(body, page, name)
    ET.indent(root)
    text = ET.tostring(root, encoding="unicode", short_empty_elements=True)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE html>\n{text}\n'.encode()


def _page(body: ET.Element, page: Page, name: str) -> None:
    image = name.replace('"', "").replace(";", "")
    title = f'image "{image}"; bbox 0 0 {page.width} {page.height}; ppageno {page.number - 1}'
    element = ET.SubElement(body, "div", {"class": "ocr_page", "id": f"page_{page.number}", "title": title})
    if page.status == "failed":
        reason = xml_text(f"Page {page.number} could not be read: {failure_reason(page)}")
        element.set("data-error", reason)
        element.append(ET.Comment(f" {reason.replace('--', '- -')} "))
        return
    for index, (block, lines) in enumerate(page_lines(page), 1):
        _block(element, block, lines, f"{page.number}_{index}")


def _block(parent: ET.Element, block: Block, lines: list[PrintedLine], identity: str) -> None:
    label = xml_text(block.label).strip().lower()
    kind = "ocr_photo" if is_figure(block) else "ocr_table" if label == "table" else "ocr_carea"
    attributes = {"class": kind, "id": f"block_{identity}", "data-label": label}
    if block.boxes:
        attributes["title"] = _bbox(Box.around(block.boxes))
    element = ET.SubElement(parent, "div", attributes)
    if not lines and not block.text.strip():
        return
    title = {"title": attributes["title"]} if "title" in attributes else {}
    paragraph = ET.SubElement(
        element, "p", {"class": "ocr_par", "id": f"par_{identity}", "dir": "auto", **title}
    )
    if not lines:
        paragraph.text = xml_text(block.text)
    for number, line in enumerate(lines, 1):
        _line(paragraph, line, f"{identity}_{number}", caption=label.endswith("caption"))


def _line(parent: ET.Element, line: PrintedLine, identity: str, *, caption: bool) -> None:
    angle = f"; textangle {-line.turn % 360}" if line.turn else ""
    attributes = {"class": "ocr_caption" if caption else "ocr_line", "id": f"line_{identity}"}
    element = ET.SubElement(parent, "span", {**attributes, "title": _bbox(line.box) + angle})
    confidence = (
        "" if line.confidence is None else f"; x_wconf {round(100 * min(max(line.confidence, 0), 1))}"
    )
    for number, word in enumerate(line.words(), 1):
        span = ET.SubElement(
            element,
            "span",
            {"class": "ocrx_word", "id": f"word_{identity}_{number}", "title": _bbox(word.box) + confidence},
        )
        span.text = word.text


def _bbox(box: Box) -> str:
    return "bbox {} {} {} {}".format(*(max(0, round(value)) for value in (box.x0, box.y0, box.x1, box.y1)))
