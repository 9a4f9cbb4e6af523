/** The documents on the page: what is known of each and of its pages, and how that changes. */

import type { StreamUsage } from "../api/reading";
import type { Block, Ledger, PageResult, PageStatus, Problem } from "../api/types";
import { unpack } from "./lines";
import type { Options } from "../api/options";
import { dropPictures } from "./pictures";
import { Store, useStore } from "./store";

export type DocumentStatus = "queued" | "reading" | "done" | "failed" | "cancelled";

export interface PageState {
  readonly number: number;
  /** The page's place in its job, where it came from one. */
  readonly index: number | null;
  readonly status: PageStatus | "waiting" | "reading";
  /** What was read so far, before the page is finished. */
  readonly text: string;
  readonly result: PageResult | null;
  readonly width: number;
  readonly height: number;
  readonly error: Problem | null;
}

export interface DocumentState {
  readonly id: string;
  readonly name: string;
  readonly file: File | null;
  readonly jobId: string | null;
  /** The file's place among those of its job. */
  readonly jobFile: number;
  readonly options: Options | null;
  readonly status: DocumentStatus;
  readonly pages: readonly PageState[];
  readonly finished: number;
  readonly began: number | null;
  readonly ended: number | null;
  readonly usage: StreamUsage | null;
  readonly ledger: Ledger | null;
  readonly error: Problem | null;
  readonly engine: string;
  readonly model: string;
}

export const documents = new Store<readonly DocumentState[]>([]);
export const selected = new Store<string | null>(null);

let counter = 0;

export function newDocument(name: string, fields: Partial<DocumentState> = {}): DocumentState {
  const document: DocumentState = {
    id: `document-${++counter}`,
    name,
    file: null,
    jobId: null,
    jobFile: 0,
    options: null,
    status: "queued",
    pages: [],
    finished: 0,
    began: null,
    ended: null,
    usage: null,
    ledger: null,
    error: null,
    engine: "",
    model: "",
    ...fields,
  };
  documents.update((all) => [...all, document]);
  if (selected.get() === null) selected.set(document.id);
  return document;
}

export function find(id: string): DocumentState | undefined {
  return documents.get().find((document) => document.id === id);
}

export function change(id: string, fields: (document: DocumentState) => Partial<DocumentState>): void {
  documents.update((all) => all.map((d) => (d.id === id ? { ...d, ...fields(d) } : d)));
}

export function remove(id: string): void {
  dropPictures(id);
  documents.update((all) => all.filter((document) => document.id !== id));
  if (selected.get() === id) selected.set(documents.get().at(-1)?.id ?? null);
}

export function emptyPage(number: number): PageState {
  return { number, index: null, status: "waiting", text: "", result: null, width: 0, height: 0, error: null };
}

/** Change one page; a number that is not there yet is added in its place. */
export function changePage(id: string, number: number, fields: (page: PageState) => Partial<PageState>): void {
  change(id, (document) => {
    const pages = [...document.pages];
    let index = pages[number - 1]?.number === number ? number - 1 : pages.findIndex((p) => p.number === number);
    if (index < 0) {
      index = pages.findIndex((page) => page.number > number);
      if (index < 0) index = pages.length;
      pages.splice(index, 0, emptyPage(number));
    }
    const before = pages[index] ?? emptyPage(number);
    const after = { ...before, ...fields(before) };
    pages[index] = after;
    return { pages, finished: document.finished + Number(isRead(after)) - Number(isRead(before)) };
  });
}

export function isRead(page: PageState): boolean {
  return page.status === "ok" || page.status === "degraded" || page.status === "failed";
}

/** Whether a page is to be read again: it failed, or was never reached. */
export function isMissing(page: PageState): boolean {
  return page.status === "failed" || !isRead(page);
}

/** Put a person's text in the place of the engine's. Lines told where the old words stood, so they go. */
export function editBlock(id: string, number: number, index: number, text: string): void {
  changePage(id, number, (page) => {
    if (!page.result) return {};
    const blocks = page.result.blocks.map((block, i): Block => {
      if (i !== index || block.text === text) return block;
      return { ...block, text, lines: "[]", confidence: null, edited: true };
    });
    return { result: { ...page.result, blocks } };
  });
}

/** The document as the server's JSON, of the pages that are finished. */
export function toJson(document: DocumentState): Record<string, unknown> {
  const pages = document.pages.flatMap((page) => (page.result ? [unpack(page.result)] : []));
  return { engine: document.engine, model: document.model, mode: document.options?.mode || null, pages };
}

export function useDocuments(): readonly DocumentState[] {
  return useStore(documents);
}

export function useSelected(): DocumentState | undefined {
  const id = useStore(selected);
  return useDocuments().find((document) => document.id === id);
}
