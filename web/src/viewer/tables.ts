/** A block's HTML table as cells that a person can edit, and back. A cell that is left alone keeps its marks. */

import { tableElement } from "./markdown";

export interface Cell {
  readonly text: string;
  /** The cell's content as it was written, for as long as its text stays. */
  readonly html: string | null;
  readonly header: boolean;
  readonly rowspan: number;
  readonly colspan: number;
}

export type Cells = readonly (readonly Cell[])[];

const WHOLE = /^\s*<table\b[^<>]*>[\s\S]*<\/table>\s*$/i;

/** The cells of a block that is one table and nothing else; null for any other. */
export function parseTable(html: string): Cells | null {
  if (!WHOLE.test(html) || html.toLowerCase().split("<table").length !== 2) return null;
  const table = tableElement(html);
  return table && cellsOf(table);
}

export function cellsOf(table: HTMLTableElement): Cells {
  return [...table.rows].map((row) => [...row.cells].map(cellOf));
}

function cellOf(cell: HTMLTableCellElement): Cell {
  const copy = cell.cloneNode(true) as HTMLTableCellElement;
  for (const end of copy.querySelectorAll("br")) end.replaceWith("\n");
  return {
    text: copy.textContent.trim(),
    html: cell.innerHTML,
    header: cell.tagName === "TH",
    rowspan: cell.rowSpan,
    colspan: cell.colSpan,
  };
}

export function writeTable(cells: Cells): string {
  const rows = cells.map((row) => `<tr>${row.map(written).join("")}</tr>`);
  return `<table>${rows.join("")}</table>`;
}

function written({ text, html, header, rowspan, colspan }: Cell): string {
  const tag = header ? "th" : "td";
  const spans = (rowspan > 1 ? ` rowspan="${rowspan}"` : "") + (colspan > 1 ? ` colspan="${colspan}"` : "");
  return `<${tag}${spans}>${html ?? escaped(text)}</${tag}>`;
}

function escaped(text: string): string {
  return text.replace(/[&<>]/g, (sign) => `&#${sign.charCodeAt(0)};`).replace(/\n/g, "<br>");
}

export function withText(cells: Cells, row: number, column: number, text: string): Cells {
  return cells.map((line, r) =>
    r === row ? line.map((cell, c) => (c === column ? { ...cell, text, html: null } : cell)) : line,
  );
}

const EMPTY: Cell = { text: "", html: "", header: false, rowspan: 1, colspan: 1 };

export function withRow(cells: Cells): Cells {
  const width = Math.max(1, ...cells.map((row) => row.reduce((sum, cell) => sum + cell.colspan, 0)));
  return [...cells, Array.from({ length: width }, () => EMPTY)];
}

export function withColumn(cells: Cells): Cells {
  return cells.map((row) => [...row, { ...EMPTY, header: row.length > 0 && row.every((cell) => cell.header) }]);
}

/** Without the last row; cells that reached into it end before it. */
export function withoutRow(cells: Cells): Cells {
  const left = cells.slice(0, -1);
  return left.map((row, r) => row.map((cell) => ({ ...cell, rowspan: Math.min(cell.rowspan, left.length - r) })));
}

export function withoutColumn(cells: Cells): Cells {
  return cells.map((row) => {
    const last = row.at(-1);
    if (last && last.colspan > 1) return row.with(-1, { ...last, colspan: last.colspan - 1 });
    return row.length > 1 ? row.slice(0, -1) : row;
  });
}
