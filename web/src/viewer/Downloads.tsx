import { useEffect, useRef, useState } from "react";

import { describe, request, save } from "../api/client";
import { originalOf } from "../api/jobs";
import { type DocumentState, toJson } from "../state/documents";
import { say } from "../state/messages";
import type { Key } from "../texts";
import { useTexts } from "../texts";

const FORMATS = ["markdown", "docx", "searchable_pdf", "zip", "json", "text", "html", "hocr", "alto", "layout_pdf", "annotated"];
const FROM_ORIGINAL = new Set(["searchable_pdf", "zip", "layout_pdf", "annotated"]);
const IN_ZIP = "markdown,json,searchable_pdf,docx,images";

/** The document as a file, with what was edited; the server makes it. */
export function Downloads({ document: shown }: { document: DocumentState }) {
  const { t } = useTexts();
  const [open, setOpen] = useState(false);
  const [working, setWorking] = useState(false);
  const menu = useRef<HTMLDivElement>(null);
  const ready = shown.pages.some((page) => page.result);

  useEffect(() => {
    if (!open) return;
    menu.current?.querySelector<HTMLElement>('[role="menuitem"]')?.focus();
    const listen = (event: PointerEvent): void => {
      if (event.target instanceof Node && !menu.current?.contains(event.target)) setOpen(false);
    };
    window.addEventListener("pointerdown", listen);
    return () => window.removeEventListener("pointerdown", listen);
  }, [open]);

  const download = async (format: string): Promise<void> => {
    setOpen(false);
    setWorking(true);
    say(t("download.working", { name: t(`out.${format}` as Key) }));
    try {
      const response = await request("/export", { method: "POST", body: await exportForm(shown, format) });
      say(t("zip.done", { name: await save(response, shown.name) }));
    } catch (error) {
      const { message, remedy } = describe(error);
      say(`${message} ${remedy}`, "error");
    } finally {
      setWorking(false);
    }
  };

  return (
    <div className="menu" ref={menu}>
      <button
        type="button"
        className="primary"
        disabled={!ready || working}
        aria-haspopup="menu"
        aria-expanded={open}
        onClick={() => setOpen(!open)}
      >
        {t("download")} ▾
      </button>
      {open && (
        <div
          className="menu-list"
          role="menu"
          aria-label={t("download")}
          onKeyDown={(event) => {
            if (event.key === "Escape") setOpen(false);
            if (event.key === "ArrowDown" || event.key === "ArrowUp") {
              event.preventDefault();
              moveFocus(event.currentTarget, event.key === "ArrowDown" ? 1 : -1);
            }
          }}
        >
          {FORMATS.map((format) => {
            const impossible = FROM_ORIGINAL.has(format) && !shown.file && !shown.jobId;
            return (
              <button
                key={format}
                type="button"
                role="menuitem"
                disabled={impossible}
                title={impossible ? t("download.needs_original") : undefined}
                onClick={() => void download(format)}
              >
                {t(`out.${format}` as Key)}
              </button>
            );
          })}
        </div>
      )}
    </div>
  );
}

async function exportForm(shown: DocumentState, format: string): Promise<FormData> {
  const form = new FormData();
  form.set("document", new Blob([JSON.stringify(toJson(shown))], { type: "application/json" }), "document.json");
  form.set("output", format === "zip" ? IN_ZIP : format);
  form.set("name", shown.name);
  if (FROM_ORIGINAL.has(format)) {
    const original = shown.file ?? (shown.jobId && (await originalOf(shown.jobId, shown.jobFile, shown.name)));
    if (original) form.set("file", original, shown.name);
    if (shown.options?.password) form.set("password", shown.options.password);
  }
  return form;
}

function moveFocus(list: HTMLElement, step: number): void {
  const items = [...list.querySelectorAll<HTMLElement>('[role="menuitem"]:not(:disabled)')];
  const at = items.indexOf(document.activeElement as HTMLElement);
  items[(at + step + items.length) % items.length]?.focus();
}
