import { type KeyboardEvent, useState } from "react";

import { useTexts } from "../texts";
import { type Cells, withColumn, withoutColumn, withoutRow, withRow, withText, writeTable } from "./tables";

interface Props {
  cells: Cells;
  onSave: (html: string) => void;
  onCancel: () => void;
}

/** A table, edited as one: a field a cell. */
export function TableEditor({ cells: before, onSave, onCancel }: Props) {
  const { t } = useTexts();
  const [cells, setCells] = useState(before);
  const onKeyDown = (event: KeyboardEvent): void => {
    event.stopPropagation();
    if (event.key === "Escape") onCancel();
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) onSave(writeTable(cells));
    if (event.key === "ArrowDown" || event.key === "ArrowUp") step(event, event.key === "ArrowDown" ? 1 : -1);
  };
  return (
    <div className="editor" onKeyDown={onKeyDown}>
      <div className="table-editor">
        <table aria-label={t("table.editor")}>
          <tbody>
            {cells.map((row, r) => (
              <tr key={r}>
                {row.map((cell, c) => (
                  <td key={c} rowSpan={cell.rowspan} colSpan={cell.colspan} className={cell.header ? "head" : ""}>
                    <textarea
                      autoFocus={r === 0 && c === 0}
                      rows={cell.text.split("\n").length}
                      value={cell.text}
                      data-row={r}
                      data-column={c}
                      aria-label={t("table.cell", { row: r + 1, column: c + 1 })}
                      onChange={(event) => setCells(withText(cells, r, c, event.target.value))}
                    />
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <div className="row wrap">
        <button type="button" className="primary small" onClick={() => onSave(writeTable(cells))}>
          {t("save")}
        </button>
        <button type="button" className="small" onClick={onCancel}>
          {t("cancel")}
        </button>
        <button type="button" className="small" onClick={() => setCells(withRow(cells))} title={t("table.add_row")}>
          + {t("table.row")}
        </button>
        <button type="button" className="small" onClick={() => setCells(withColumn(cells))} title={t("table.add_column")}>
          + {t("table.column")}
        </button>
        {cells.length > 1 && (
          <button type="button" className="small" onClick={() => setCells(withoutRow(cells))} title={t("table.remove_row")}>
            − {t("table.row")}
          </button>
        )}
        <button type="button" className="small" onClick={() => setCells(withoutColumn(cells))} title={t("table.remove_column")}>
          − {t("table.column")}
        </button>
        <span className="muted">{t("block.save_hint")}</span>
      </div>
    </div>
  );
}

/** From a cell of one line, the arrows go to the cell above or below. */
function step(event: KeyboardEvent, by: number): void {
  const field = event.target;
  if (!(field instanceof HTMLTextAreaElement) || field.value.includes("\n")) return;
  const { row, column } = field.dataset;
  const next = field
    .closest("table")
    ?.querySelector<HTMLTextAreaElement>(`[data-row="${Number(row) + by}"][data-column="${column ?? ""}"]`);
  if (!next) return;
  event.preventDefault();
  next.focus();
  next.select();
}
