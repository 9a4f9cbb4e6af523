/** A result that was saved as JSON, opened again without reading anything. */

import type { SentPage } from "../api/types";
import { text } from "../texts";
import { newDocument, type PageState, selected } from "./documents";
import { pack } from "./lines";
import { say } from "./messages";

interface Saved {
  engine?: string;
  model?: string;
  pages: SentPage[];
}

export async function openResult(file: File): Promise<void> {
  try {
    const saved = JSON.parse(await file.text()) as Saved;
    const pages = saved.pages.map(pageOf);
    const document = newDocument(file.name.replace(/\.json$/i, ""), {
      status: "done",
      pages,
      finished: pages.length,
      engine: saved.engine ?? "",
      model: saved.model ?? "",
    });
    selected.set(document.id);
  } catch {
    say(text("unreadable.result", { name: file.name }), "error");
  }
}

/** Raises `TypeError` for what is not a page. */
export function pageOf(result: SentPage): PageState {
  if (typeof result.number !== "number") throw new TypeError("This is not a page.");
  return {
    number: result.number,
    index: null,
    status: result.status,
    text: "",
    result: pack(result),
    width: result.width,
    height: result.height,
    error: result.error,
  };
}
