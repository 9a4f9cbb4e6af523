/** A page or a document as Markdown, for copying; files are made by the server. */

import type { DocumentState, PageState } from "../state/documents";

export function toMarkdown(page: PageState): string {
  if (!page.result) return page.text;
  return page.result.blocks
    .map((block) => block.text.trim())
    .filter(Boolean)
    .join("\n\n");
}

export function documentMarkdown(document: DocumentState): string {
  return document.pages.map(toMarkdown).filter(Boolean).join("\n\n---\n\n");
}
