"""A `DoclingDocument` in chunks, as docling-core's HierarchicalChunker cuts it: elements under headings.

docling-core itself cannot be installed beside this server: it wants an older typer, and its chunkers want
pandas, transformers and five grammars. What comes out is compared with docling-core's in the suite of real
clients. Otherwise than there, a table of one column keeps its header. Pure functions over JSON.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

MAX_PLACEHOLDER = 200


class ChunkOptions(BaseModel):
    """What of docling-serve's options changes the chunks."""

    model_config = ConfigDict(json_schema_extra={"additionalProperties": True})

    use_markdown_tables: bool = False
    use_markdown_images: bool = False
    image_placeholder: str = Field(default="![IMAGE]", max_length=MAX_PLACEHOLDER)
    include_raw_text: bool = False


def chunks_of(document: dict[str, Any], filename: str, options: ChunkOptions) -> list[dict[str, Any]]:
    """The chunks of a document, in the fields of docling-serve and in reading order."""
    return [
        {
            "filename": filename,
            "chunk_index": index,
            "text": "\n".join((*headings, text)),
            "raw_text": text if options.include_raw_text else None,
            "num_tokens": None,
            "headings": headings or None,
            "captions": None,
            "doc_items": [item["self_ref"]],
            "page_numbers": sorted({place["page_no"] for place in item["prov"]}),
            "metadata": {"has_image": item["label"] == "picture"},
        }
        for index, (item, text, headings) in enumerate(_parts(document, options))
    ]


def _parts(
    document: dict[str, Any], options: ChunkOptions
) -> Iterator[tuple[dict[str, Any], str, list[str]]]:
    """Each element that has something to say, and the headings that it stands under."""
    headings: dict[int, str] = {}
    for child in document["body"]["children"]:
        _, kind, index = child["$ref"].split("/")
        item = document[kind][int(index)]
        if item["content_layer"] != "body":
            continue
        if item["label"] in ("title", "section_header"):
            level = item.get("level", 0)
            headings = {above: text for above, text in headings.items() if above < level}
            headings[level] = item["text"]
        elif text := _text(item, options):
            yield item, text, list(headings.values())


def _text(item: dict[str, Any], options: ChunkOptions) -> str:
    if item["label"] == "table":
        rows, headers = _grid(item["data"])
        return _markdown(rows) if options.use_markdown_tables else _triplets(rows, headers)
    if item["label"] == "picture":
        return options.image_placeholder if options.use_markdown_images else ""
    text: str = item["text"]
    if item["label"] == "formula":
        return f"$${text}$$"
    return f"```\n{text}\n```" if item["label"] == "code" else text


def _grid(data: dict[str, Any]) -> tuple[list[list[str]], int]:
    """A table's rows, a cell's text in each place that it spans, and how many of them are headers."""
    rows = [[""] * data["num_cols"] for _ in range(data["num_rows"])]
    heads = [[False] * data["num_cols"] for _ in rows]
    for cell in data["table_cells"]:
        for row in range(cell["start_row_offset_idx"], cell["end_row_offset_idx"]):
            for column in range(cell["start_col_offset_idx"], cell["end_col_offset_idx"]):
                rows[row][column] = cell["text"].strip()
                heads[row][column] = cell["column_header"]
    headers = next((number for number, row in enumerate(heads) if not all(row)), len(rows))
    return rows, headers


def _triplets(rows: list[list[str]], headers: int) -> str:
    """`row, column = value`, one after another; a table without rows or values in plain order."""
    if not rows:
        return ""
    body = rows[headers:]
    columns = [".".join(row[at] for row in rows[:headers]) for at in range(len(rows[0]))]
    if len(columns) == 1:
        name, values = (columns[0], body) if headers else (body[0][0], body[1:])
        found = [f"{name} = {row[0]}" for row in values]
    else:
        names = columns if headers else [str(at) for at in range(len(columns))]
        found = [f"{row[0]}, {names[at]} = {row[at]}" for row in body for at in range(1, len(row))]
    return ". ".join(found or [text for row in rows for text in row if text])


def _markdown(rows: list[list[str]]) -> str:
    lines = [f"| {' | '.join(cell.replace('|', '&#124;') for cell in row)} |" for row in rows]
    lines = [line.replace("\n", " ") for line in lines]
    return "\n".join([*lines[:1], f"|{' --- |' * len(rows[0])}", *lines[1:]]) if rows else ""
