import { useEffect, useRef, useState } from "react";

import { describe, request, save } from "../api/client";
import { originalOf } from "../api/jobs";
import type { Format } from "../api/types";
import { change, type DocumentState, toJson } from "../state/documents";
import { say } from "../state/messages";
import { service } from "../state/service";
import { useStore } from "../state/store";
import { type Key, useTexts } from "../texts";
import { sayProblem } from "../texts/problems";

const IN_ZIP = ["markdown", "json", "searchable_pdf", "docx", "images"];
const FIRST = ["docx", "searchable_pdf", "zip", "markdown", "json"];

/** What the page can ask for beside the server's own formats: all of them that matter, in one file. */
const ZIP = { name: "zip", needs_original: true, shows_figures: true, available: true } as const;
type Choice = Pick<Format, "name" | "needs_original" | "shows_figures" | "available">;

/** The document as a file, with what was edited; the server makes it. What cannot be had is not offered. */
export function Downloads({ document: shown }: { document: DocumentState }) {
  const { t } = useTexts();
  const { info } = useStore(service);
  const [open, setOpen] = useState(false);
  const [working, setWorking] = useState(false);
  const menu = useRef<HTMLDivElement>(null);
  const ready = shown.pages.some((page) => page.result);
  const choices = choicesFor(shown, info?.formats ?? []);

  useEffect(() => {
    if (!open) return;
    menu.current?.querySelector<HTMLElement>('[role="menuitem"]')?.focus();
    const listen = (event: PointerEvent): void => {
      if (event.target instanceof Node && !menu.current?.contains(event.target)) setOpen(false);
    };
    window.addEventListener("pointerdown", listen);
    return () => window.removeEventListener("pointerdown", listen);
  }, [open]);

  const close = (): void => {
    menu.current?.querySelector<HTMLElement>("button")?.focus();
    setOpen(false);
  };
  const download = async (choice: Choice): Promise<void> => {
    close();
    setWorking(true);
    say(t("download.working", { name: t(`out.${choice.name}` as Key) }));
    try {
      const names = IN_ZIP.filter((name) => info?.formats.some((format) => format.name === name && format.available));
      const body = await exportForm(shown, choice, names);
      say(t("zip.done", { name: await save(await request("/export", { method: "POST", body }), shown.name) }));
    } catch (error) {
      const problem = describe(error);
      if (problem.code === "pdf_password_required") change(shown.id, () => ({ error: problem }));
      sayProblem(error);
    } finally {
      setWorking(false);
    }
  };

  return (
    <div className="menu" ref={menu}>
      <button
        type="button"
        className="primary"
        disabled={!ready}
        aria-busy={working}
        aria-haspopup="menu"
        aria-expanded={open}
        onClick={() => setOpen(!open && !working)}
      >
        {t("download")} ▾
      </button>
      {open && (
        <div
          className="menu-list"
          role="menu"
          tabIndex={-1}
          aria-label={t("download")}
          onKeyDown={(event) => {
            if (event.key === "Escape" || event.key === "Tab") close();
            if (event.key === "ArrowDown" || event.key === "ArrowUp") {
              event.preventDefault();
              moveFocus(event.currentTarget, event.key === "ArrowDown" ? 1 : -1);
            }
          }}
        >
          {choices.map((choice) => (
            <button key={choice.name} type="button" role="menuitem" onClick={() => void download(choice)}>
              {t(`out.${choice.name}` as Key)}
            </button>
          ))}
        </div>
      )}
    </div>
  );
}

const hasOriginal = (shown: DocumentState): boolean => shown.file !== null || shown.jobId !== null;

function choicesFor(shown: DocumentState, formats: readonly Format[]): Choice[] {
  const possible = [ZIP, ...formats].filter(
    (choice) => choice.available && choice.name !== "images" && (hasOriginal(shown) || !choice.needs_original),
  );
  const rank = ({ name }: Choice): number => (FIRST.includes(name) ? FIRST.indexOf(name) : FIRST.length);
  return possible.sort((a, b) => rank(a) - rank(b));
}

async function exportForm(shown: DocumentState, choice: Choice, inZip: readonly string[]): Promise<FormData> {
  const form = new FormData();
  form.set("document", new Blob([JSON.stringify(toJson(shown))], { type: "application/json" }), "document.json");
  form.set("output", choice.name === "zip" ? inZip.join(",") : choice.name);
  form.set("name", shown.name);
  if (choice.needs_original || choice.shows_figures) {
    const original = shown.file ?? (shown.jobId && (await originalOf(shown.jobId, shown.jobFile, shown.name)));
    if (original) form.set("file", original, shown.name);
    if (shown.options?.password) form.set("password", shown.options.password);
  }
  return form;
}

function moveFocus(list: HTMLElement, step: number): void {
  const items = [...list.querySelectorAll<HTMLElement>('[role="menuitem"]')];
  const at = items.indexOf(document.activeElement as HTMLElement);
  items[(at + step + items.length) % items.length]?.focus();
}
