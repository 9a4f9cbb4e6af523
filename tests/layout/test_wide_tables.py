"""Tables of which a network saw a part, and rows of figures that need none."""

from __future__ import annotations

from airgap.layout.lines import TextLine
from airgap.layout.wide_tables import clean_grid, widened

COLUMNS = (100, 220, 340, 520)


def line(text: str, x: float, y: float, width: float = 80) -> TextLine:
    return TextLine.known((x, y, x + width, y + 16), text)


def statement(rows: int = 10) -> list[list[TextLine]]:
    """Rows of a date, a name, an amount in every second one, and a balance."""
    found = []
    for row in range(rows):
        texts = (f"0{row % 9 + 1}/03", "rent", f"{row}.50", f"{row},00{row}.75")
        cells = [line(text, x, 100 + 24 * row) for text, x in zip(texts, COLUMNS, strict=True)]
        found.append(cells if row % 2 == 0 else [*cells[:2], cells[3]])
    return found


def flat(rows: list[list[TextLine]]) -> list[TextLine]:
    return [line for row in rows for line in row]


def test_columns_beside_a_table_that_go_on_in_its_rows_are_its() -> None:
    lines = flat(statement())
    seen = [line for line in lines if line.x0 < COLUMNS[2]]
    place, inside = widened((95, 95, 305, 340), seen, lines)
    assert {id(line) for line in inside} == {id(line) for line in lines}
    assert place == (95, 95, 600, 340)


def test_text_beside_a_table_stays_out_of_it() -> None:
    rows = flat(statement())
    text = [line("running text of a column", 620, 104 + 19 * number, 300) for number in range(12)]
    _, inside = widened((95, 95, 605, 340), rows, [*rows, *text])
    assert {id(line) for line in inside} == {id(line) for line in rows}


def test_what_is_far_away_is_another_table() -> None:
    rows, far = flat(statement()), [line("9", 900, 100 + 24 * row) for row in range(10)]
    assert len(widened((95, 95, 605, 340), rows, [*rows, *far])[1]) == len(rows)


def test_rows_of_single_lines_are_a_table_with_its_gaps() -> None:
    table = clean_grid(flat(statement()))
    assert table is not None
    assert table.to_html().startswith(
        "<table><tr><td>01/03</td><td>rent</td><td>0.50</td><td>0,000.75</td></tr>"
    )
    assert "<tr><td>02/03</td><td>rent</td><td></td><td>1,001.75</td></tr>" in table.to_html()


def test_wrapped_cells_and_headings_over_several_columns_are_for_the_network() -> None:
    wrapped = flat(statement())
    wrapped.append(line("and heating", COLUMNS[1], 348))
    wrapped.append(line("in March", COLUMNS[3], 348))
    assert clean_grid(wrapped) is None
    headed = [*flat(statement()), line("Account", COLUMNS[0], 76), line("Amounts of the month", 230, 76, 360)]
    assert clean_grid(headed) is None
