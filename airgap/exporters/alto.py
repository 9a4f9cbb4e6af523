"""Document to ALTO 4.4, the XML in which libraries keep what was read on a page.

Schema: Library of Congress, http://www.loc.gov/standards/alto/v4/alto-4-4.xsd. All measures are
pixels. Blocks stand in reading order, each tagged with its label. A page that could not be read is
there, empty, with `QUALITY="Missing"` and the reason.
"""

from __future__ import annotations

from xml.etree import ElementTree as ET

from airgap.core.document import Block, Box, Document, Page
from airgap.core.version import VERSION
from airgap.exporters import Source
from airgap.exporters.figures import is_figure
from airgap.exporters.lines import PrintedLine, page_lines, page_turn, xml_text
from airgap.exporters.markdown import failure_reason

NAMESPACE = "http://www.loc.gov/standards/alto/ns-v4#"
SCHEMA_VERSION = "4.4"


def to_alto(document: Document, source: Source | None = None) -> bytes:
    """The document as UTF-8 ALTO; the source, if there, gives the file's name."""
    root = ET.Element("alto", {"xmlns": NAMESPACE, "SCHEMAVERSION": SCHEMA_VERSION})
    _description(root, document, source)
    labels = sorted({_label(block) for page in document.pages for block in page.blocks})
    tags = {label: f"TAG_{number}" for number, label in enumerate(labels, 1)}
    if tags:
        element = ET.SubElement(root, "Tags")
        for label, identity in tags.items():
            ET.SubElement(element, "LayoutTag", {"ID": identity, "LABEL": label})
    layout = ET.SubElement(root, "Layout")
    for page in document.pages:
        _page(layout, page, tags)
    ET.indent(root)
    text = ET.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n'.encode()


def _description(root: ET.Element, document: Document, source: Source | None) -> None:
    description = ET.SubElement(root, "Description")
    ET.SubElement(description, "MeasurementUnit").text = "pixel"
    if source is not None:
        information = ET.SubElement(description, "sourceImageInformation")
        ET.SubElement(information, "fileName").text = xml_text(document.filename or source.name)
    processing = ET.SubElement(description, "Processing", {"ID": "PROCESSING_1"})
    ET.SubElement(processing, "processingCategory").text = "contentGeneration"
    settings = f"engine {document.engine}, model {document.model}, mode {document.mode or 'none'}"
    ET.SubElement(processing, "processingStepSettings").text = xml_text(settings)
    software = ET.SubElement(processing, "processingSoftware")
    ET.SubElement(software, "softwareName").text = "Airgap OCR"
    ET.SubElement(software, "softwareVersion").text = VERSION


def _page(layout: ET.Element, page: Page, tags: dict[str, str]) -> None:
    attributes = {
        "ID": f"PAGE_{page.number}",
        "PHYSICAL_IMG_NR": str(page.number),
        "WIDTH": str(page.width),
        "HEIGHT": str(page.height),
    }
    if page.confidence is not None:
        attributes["PC"] = _unit(page.confidence)
    if page.status == "failed":
        attributes |= {"QUALITY": "Missing", "QUALITY_DETAIL": xml_text(failure_reason(page))}
    elif turn := page_turn(page):
        attributes["ROTATION"] = str(-turn % 360)
    element = ET.SubElement(layout, "Page", attributes)
    space = ET.SubElement(
        element,
        "PrintSpace",
        {"HPOS": "0", "VPOS": "0", "WIDTH": str(page.width), "HEIGHT": str(page.height)},
    )
    for index, (block, lines) in enumerate(page_lines(page), 1):
        _block(space, block, lines, f"{page.number}_{index}", tags[_label(block)])


def _label(block: Block) -> str:
    return " ".join(xml_text(block.label).split()).lower() or "text"


def _block(space: ET.Element, block: Block, lines: list[PrintedLine], identity: str, tag: str) -> None:
    if is_figure(block):
        for number, box in enumerate(block.boxes, 1):
            attributes = {"ID": f"FIGURE_{identity}_{number}", **_place(box), "TAGREFS": tag}
            ET.SubElement(space, "Illustration", {**attributes, "TYPE": _label(block)})
        return
    attributes = {"ID": f"BLOCK_{identity}", "TAGREFS": tag}
    if block.boxes:
        attributes |= _place(Box.around(block.boxes))
    element = ET.SubElement(space, "TextBlock", attributes)
    for number, line in enumerate(lines, 1):
        _line(element, line, f"LINE_{identity}_{number}")
    if not lines:
        for number, text in enumerate(xml_text(block.text).splitlines(), 1):
            if words := text.split():
                placeless = ET.SubElement(element, "TextLine", {"ID": f"LINE_{identity}_{number}"})
                for word in words:
                    ET.SubElement(placeless, "String", {"CONTENT": word})


def _line(parent: ET.Element, line: PrintedLine, identity: str) -> None:
    words = line.words()
    element = ET.SubElement(parent, "TextLine", {"ID": identity, **_place(line.box)})
    confidence = {} if line.confidence is None else {"WC": _unit(line.confidence)}
    for index, word in enumerate(words):
        if index:
            ET.SubElement(element, "SP")
        ET.SubElement(element, "String", {"CONTENT": word.text, **_place(word.box), **confidence})


def _place(box: Box) -> dict[str, str]:
    return {
        "HPOS": f"{box.x0:.1f}",
        "VPOS": f"{box.y0:.1f}",
        "WIDTH": f"{box.width:.1f}",
        "HEIGHT": f"{box.height:.1f}",
    }


def _unit(confidence: float) -> str:
    return f"{min(max(confidence, 0.0), 1.0):.4f}"
