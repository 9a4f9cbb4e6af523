/** A result that was saved as JSON, opened again without reading anything. */

import { describe } from "../api/client";
import type { SentPage } from "../api/types";
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
    if (!Array.isArray(saved.pages)) throw new Error(`${file.name} is not a result.`);
    const pages = saved.pages.map(pageOf);
    const document = newDocument(file.name.replace(/\.json$/i, ""), {
      status: "done",
      pages,
      finished: pages.length,
      engine: saved.engine ?? "",
      model: saved.model ?? "",
    });
    selected.set(document.id);
  } catch (error) {
    say(describe(error).message, "error");
  }
}

export function pageOf(result: SentPage): PageState {
  if (typeof result.number !== "number" || !Array.isArray(result.blocks)) throw new Error("This is not a page.");
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
