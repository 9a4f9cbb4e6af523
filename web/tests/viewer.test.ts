/** What is shown of a text on its way, tables as cells, numbers, and words for what went wrong. */

import { expect, test } from "vitest";

import { formatPercent, text } from "../src/texts";
import { explained, reasonText, warningText } from "../src/texts/problems";
import { readable } from "../src/viewer/live";
import { type Cells, cellsOf, parseTable, withColumn, withoutColumn, withoutRow, withRow, withText, writeTable } from "../src/viewer/tables";

test("a text that is still being read shows no marks, however far it has come", () => {
  const raw =
    "<|ref|>title<|/ref|><|det|>[[10, 20, 300, 40]]<|/det|>\n# The planets\n\n" +
    "<|ref|>table<|/ref|><|det|>[[1, 2, 3, 4]]<|/det|>\n<table><tr><td>Mars</td><td>2 &amp; more</td></tr></table>";
  expect(readable(raw)).toContain("The planets");
  expect(readable(raw)).toContain("Mars\t2 & more");
  for (let end = 0; end <= raw.length; end++) {
    expect(readable(raw.slice(0, end))).not.toMatch(/[<>|#]|\[\[|det|ref|&amp;/);
  }
});

test("a text that comes as JSON shows the words in it", () => {
  expect(readable('```json\n[{"bbox_2d": [1, 2], "text_content": "Line one"}, {"text_content": "li')).toBe("Line one\nli");
});

test("what is less than means less than", () => {
  expect(readable("if a < b then")).toBe("if a < b then");
});

const TABLE = '<table><tr><th colspan="2">Head</th></tr><tr><td>a<sup>2</sup></td><td>one<br>two</td></tr></table>';

function cellsIn(html: string): Cells {
  const host = document.createElement("div");
  host.innerHTML = html;
  return cellsOf(host.firstElementChild as HTMLTableElement);
}

test("a table is cells and a table again, with its spans and the marks of cells that were left alone", () => {
  const cells = cellsIn(TABLE);
  expect(cells.map((row) => row.map((cell) => cell.text))).toEqual([["Head"], ["a2", "one\ntwo"]]);
  expect(writeTable(cells)).toBe(TABLE);
  expect(writeTable(withText(cells, 1, 1, "3 < 4\n& so"))).toBe(
    '<table><tr><th colspan="2">Head</th></tr><tr><td>a<sup>2</sup></td><td>3 &#60; 4<br>&#38; so</td></tr></table>',
  );
});

test("rows and columns come and go", () => {
  const cells = cellsIn(TABLE);
  expect(writeTable(withRow(cells))).toContain("<tr><td></td><td></td></tr></table>");
  expect(writeTable(withColumn(cells))).toContain('<th colspan="2">Head</th><th></th>');
  expect(writeTable(withoutColumn(cells))).toBe("<table><tr><th>Head</th></tr><tr><td>a<sup>2</sup></td></tr></table>");
  expect(writeTable(withoutRow(cells))).toBe('<table><tr><th colspan="2">Head</th></tr></table>');
});

test("what is not one table alone is no table", () => {
  expect(parseTable(`before ${TABLE}`)).toBeNull();
  expect(parseTable(TABLE + TABLE)).toBeNull();
  expect(parseTable("| a | b |")).toBeNull();
});

test("a share is never said to be more than it is", () => {
  expect(formatPercent(0.999, "en")).toBe("99%");
  expect(formatPercent(0.29, "en")).toBe("29%");
  expect(formatPercent(1, "en")).toBe("100%");
});

test("what helps is said in the page's own terms", () => {
  const problem = { code: "pdf_password_required", message: "Locked.", remedy: "Send the password in the `password` field." };
  expect(explained(problem, text, "en")).toEqual({ message: "Locked.", remedy: "Type its password beside the document." });
  expect(explained({ code: "of the future", message: "m", remedy: "r" }, text, "en")).toEqual({ message: "m", remedy: "r" });
  expect(explained(problem, text, "ru").message).toBe(text("problem.pdf_password_required"));
});

test("warnings are said in the page's language", () => {
  expect(warningText("3 lines left out as unreadable: why", text, "ru")).toBe("Lines were left out as unreadable: 3");
  expect(warningText("The answer reached `max_tokens` and was cut; raise it.", text, "ru")).toBe(text("warning.cut"));
  expect(warningText("a warning of the future", text, "ru")).toBe("a warning of the future");
  const unread = "12 % of the ink that looks like text was not read, in 3 places; `unread` says where.";
  expect(warningText(unread, text, "ru")).toBe(text("warning.unread", { share: "12", places: "3" }));
  const misread = "The page may be misread: the engine's mean confidence is 0.61. Check it by eye.";
  expect(warningText(misread, text, "ru")).toBe(text("warning.misread", { value: "0.61" }));
  expect(warningText("What deepseek_ocr left out in 1 place was read by rapidocr and put there.", text, "ru")).toContain("1");
});

test("why a job waits or failed is said in the page's words", () => {
  expect(reasonText("disk_full", text)).toBe(text("reason.disk_full"));
  expect(reasonText("the result could not be written: too large", text)).toBe(text("reason.unwritten"));
  expect(reasonText("what the server may say one day", text)).toBe("what the server may say one day");
});
