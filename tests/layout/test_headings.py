"""A heading's level over the pages of one document: by size on paper and by numbering."""

from __future__ import annotations

from dataclasses import replace

import pytest

from airgap.core.document import Block, Box, Line, Page
from airgap.layout.headings import levelled

WIDTH, HEIGHT = 1000, 1400


def heading(text: str, size: float = 40.0, level: int = 2) -> Block:
    box = Box(100, 100, 600, 100 + size)
    label = "title" if level == 1 else "sub_title"
    return Block(label, f"{'#' * level} {text}", (box,), lines=(Line(text, box),))


def body(text: str = "Words of the text.") -> Block:
    box = Box(100, 300, 900, 320)
    return Block("text", text, (box,), lines=(Line(text, box),))


def page(*blocks: Block, number: int = 1, points: float | None = None) -> Page:
    return Page(number, WIDTH, HEIGHT, blocks=blocks, width_pt=points, height_pt=points)


def marks(*pages: Page) -> list[str]:
    return [
        block.text.partition(" ")[0]
        for one in levelled(pages)
        for block in one.blocks
        if block.text.startswith("#")
    ]


def test_a_size_has_one_level_on_all_pages() -> None:
    # A page of small print makes a title of what is a heading elsewhere.
    pages = [page(heading("The whole", 60, 1)), page(heading("One", 40)), page(heading("Two", 41, 1))]
    assert marks(*pages) == ["#", "##", "##"]


def test_letters_below_the_line_make_no_heading_larger() -> None:
    """Three titles of 22 points and a heading of 15, as high as their lines are found at 144 dpi."""
    titles = [heading("The Gettysburg Address", 46), heading("Down the Rabbit-Hole", 40)]
    last = page(heading("The Planets in Figures", 53), heading("Comparing the diameters", 37))
    assert marks(*map(page, titles), last) == ["##", "##", "##", "###"]


def test_sizes_are_ranked_deeper_than_two() -> None:
    assert marks(page(heading("A", 80, 1), heading("B", 60, 1), heading("C", 40))) == ["#", "##", "###"]


def test_sizes_found_a_little_apart_are_one_kind() -> None:
    sizes = (40, 42, 38, 41, 39, 43, 37, 40)
    assert set(marks(*(page(heading("Words", size)) for size in sizes))) == {"##"}


def test_one_larger_than_all_others_before_them_is_the_title() -> None:
    assert marks(page(heading("The whole", 60)), page(heading("One", 40), heading("Two", 40))) == [
        "#",
        "##",
        "##",
    ]
    assert marks(page(heading("One", 40), heading("Inserted", 60), heading("Two", 40))) == [
        "###",
        "##",
        "###",
    ]


def test_a_document_without_a_title_begins_where_its_pages_do() -> None:
    assert marks(page(heading("Only")), page(heading("Another"))) == ["##", "##"]


def test_numbers_go_before_sizes() -> None:
    pages = page(
        heading("The title", 60, 1),
        heading("1 Introduction", 40),
        heading("1.1 Scope", 40),
        heading("1.1.1 Bounds", 40),
        heading("2. Methods", 40),
        heading("References", 40),
    )
    assert marks(pages) == ["#", "##", "###", "####", "##", "##"]


def test_one_number_alone_says_nothing() -> None:
    assert marks(page(heading("3.2 percent", 60, 1), heading("Words", 40))) == ["#", "##"]


def test_a_date_is_no_number_of_a_section() -> None:
    found = marks(page(heading("2019 in figures", 40), heading("2020 in figures", 40)))
    assert found == ["##", "##"]


@pytest.mark.parametrize(
    ("outer", "inner"),
    [
        (("一、总则", "二、范围"), ("（一）目的", "（二）对象")),
        (("第一章 总则", "第二章 范围"), ("第一节 目的", "第二节 对象")),
        (("1总则", "2范围"), ("1.1目的", "2.1对象")),
    ],
)
def test_numbers_of_other_scripts(outer: tuple[str, str], inner: tuple[str, str]) -> None:
    found = marks(page(*(heading(text) for text in (outer[0], inner[0], outer[1], inner[1]))))
    assert found == ["##", "###", "##", "###"]


def test_sizes_are_compared_on_paper() -> None:
    # The second page was drawn at half the resolution.
    small = replace(page(heading("Two", 20)), width=500, height=700, width_pt=500.0)
    large = page(heading("One", 40), points=500.0)
    assert marks(large, small) == ["##", "##"]


def test_levels_end_at_six_and_are_stable() -> None:
    numbers = ("1 a", "1.1 a", "1.1.1 a", "1.1.1.1 a", "1.1.1.1.1 a", "1.1.1.1.1.1 a")
    pages = levelled([page(*(heading(text) for text in numbers))])
    assert [block.text.count("#") for block in pages[0].blocks] == [2, 3, 4, 5, 6, 6]
    assert levelled(pages) == pages


def test_what_a_model_wrote_is_left_alone() -> None:
    block = Block("sub_title", "### As the model has it", (Box(0, 0, 10, 10),))
    assert levelled([page(block)])[0].blocks == (block,)
    assert levelled([]) == ()


def test_labels_follow_the_level_and_nothing_else_changes() -> None:
    pages = levelled([page(heading("The whole", 60, 1), body(), heading("Two", 40, 1))])
    assert [block.label for block in pages[0].blocks] == ["title", "text", "sub_title"]
    assert pages[0].blocks[1] == body()
    assert pages[0].blocks[2].lines == heading("Two", 40, 1).lines
