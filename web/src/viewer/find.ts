/** Finding words in a document, and lighting them up without touching what is shown. */

import type { DocumentState, PageState } from "../state/documents";
import { plain } from "./markdown";

const folded = new WeakMap<PageState, string>();

/** The words of a page as they are compared: lower case, kept until the page changes. */
export function wordsOf(page: PageState): string {
  let words = folded.get(page);
  if (words === undefined) {
    const text = page.result ? page.result.blocks.map((block) => plain(block.text)).join("\n") : page.text;
    words = text.toLowerCase();
    folded.set(page, words);
  }
  return words;
}

/** For each page with hits: its index, and how many hits come before it. */
export interface Hits {
  total: number;
  pages: { index: number; before: number; count: number }[];
}

export function findAll(document: DocumentState, query: string): Hits {
  const needle = query.trim().toLowerCase();
  const hits: Hits = { total: 0, pages: [] };
  if (!needle) return hits;
  document.pages.forEach((page, index) => {
    const words = wordsOf(page);
    let count = 0;
    for (let at = words.indexOf(needle); at >= 0; at = words.indexOf(needle, at + needle.length)) count++;
    if (count) hits.pages.push({ index, before: hits.total, count });
    hits.total += count;
  });
  return hits;
}

/** The page of hit number `at`, and the hit's number on it. */
export function locate(hits: Hits, at: number): { index: number; nth: number } | null {
  const page = hits.pages.findLast((entry) => entry.before <= at);
  return page && at >= 0 && at < hits.total ? { index: page.index, nth: at - page.before } : null;
}

const supported = typeof Highlight !== "undefined" && "highlights" in CSS;
const all = supported ? new Highlight() : null;
const one = supported ? new Highlight() : null;
if (all && one) {
  one.priority = 1;
  CSS.highlights.set("find", all);
  CSS.highlights.set("find-current", one);
}

/** Light up a query below `root`. Returns the ranges, in order, and how to put them out again. */
export function lightUp(root: HTMLElement, query: string, nth: number | null): { at: Range | null; clear: () => void } {
  const ranges = rangesOf(root, query.trim().toLowerCase());
  const at = nth === null ? null : (ranges[Math.min(nth, ranges.length - 1)] ?? null);
  for (const range of ranges) all?.add(range);
  if (at) one?.add(at);
  return {
    at,
    clear: () => {
      for (const range of ranges) all?.delete(range);
      if (at) one?.delete(at);
    },
  };
}

function rangesOf(root: HTMLElement, needle: string): Range[] {
  const ranges: Range[] = [];
  if (!needle) return ranges;
  const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const words = (node.textContent ?? "").toLowerCase();
    for (let at = words.indexOf(needle); at >= 0; at = words.indexOf(needle, at + needle.length)) {
      const range = new Range();
      range.setStart(node, at);
      range.setEnd(node, Math.min(at + needle.length, node.textContent?.length ?? 0));
      ranges.push(range);
    }
  }
  return ranges;
}
