/** The documents on the page: what is known of each and of its pages, and how that changes. */

import type { StreamUsage } from "../api/reading";
import type { Block, Box, Ledger, PageResult, PageStatus, Problem, Review } from "../api/types";
import { linesOf, unpack } from "./lines";
import type { Options } from "../api/options";
import { dropPictures } from "./pictures";
import { Store, useStore } from "./store";

/** `interrupted`: it was being read when the page was left. */
export type DocumentStatus = "queued" | "reading" | "done" | "failed" | "cancelled" | "interrupted";

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

/** Unlike any other, in this visit and in those whose documents are restored. */
function newId(): string {
  const [high, low] = crypto.getRandomValues(new Uint32Array(2));
  return `document-${(high ?? 0).toString(36)}${(low ?? 0).toString(36)}`;
}

export function newDocument(name: string, fields: Partial<DocumentState> = {}): DocumentState {
  const document: DocumentState = {
    id: newId(),
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
  const at = documents.get().findIndex((document) => document.id === id);
  documents.update((all) => all.filter((document) => document.id !== id));
  const left = documents.get();
  if (selected.get() === id) selected.set((left[at] ?? left.at(-1))?.id ?? null);
}

export function isActive(document: DocumentState): boolean {
  return document.status === "queued" || document.status === "reading";
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
  changeResult(id, number, (result) => ({
    blocks: result.blocks.map((block, i): Block => {
      if (i !== index || block.text === text) return block;
      return { ...block, text, lines: "[]", doubts: [], confidence: null, edited: true };
    }),
  }));
}

/** Put `text` in the place of `reading` within a block; other lines keep their places and their doubts. */
export function amendBlock(id: string, number: number, index: number, change: Amendment): void {
  changeResult(id, number, (result) => ({
    blocks: result.blocks.map((block, i) => (i === index ? amended(block, change) : block)),
  }));
}

export interface Amendment {
  readonly reading: string;
  readonly text: string;
  readonly box: Box | null;
}

function amended(block: Block, { reading, text, box }: Amendment): Block {
  const isTable = block.text.includes("<table");
  const lines = linesOf(block);
  const at = lines.findIndex((line) => line.text.includes(reading) && (!box || holds(line.box, box)));
  const line = lines[at];
  const kept = line ? lines.with(at, { ...line, text: line.text.replace(reading, () => text), confidence: null }) : [];
  const doubts = block.doubts.filter((doubt) => !box || !holds(doubt.box, box));
  return {
    ...block,
    text: block.text.replace(reading, () => (isTable && reading !== block.text ? escapeHtml(text) : text)),
    lines: JSON.stringify(kept),
    doubts,
    confidence: doubts.length ? block.confidence : null,
    edited: true,
  };
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>]/g, (sign) => `&#${sign.charCodeAt(0)};`);
}

/** Whether the middle of `inner` lies in a box. */
export function holds([x0, y0, x1, y1]: Box, inner: Box): boolean {
  const x = (inner[0] + inner[2]) / 2;
  const y = (inner[1] + inner[3]) / 2;
  return x0 <= x && x <= x1 && y0 <= y && y <= y1;
}

/** Add what a person read where the engine read nothing, before the first block that stands lower. */
export function addBlock(id: string, number: number, text: string, box: Box): void {
  changeResult(id, number, ({ blocks }) => {
    const added: Block = {
      label: "text",
      text,
      boxes: [box],
      confidence: null,
      lines: "[]",
      engine: null,
      doubts: [],
      edited: true,
    };
    const below = blocks.findIndex((block) => (block.boxes[0]?.[1] ?? 0) >= (box[1] + box[3]) / 2);
    return { blocks: blocks.toSpliced(below < 0 ? blocks.length : below, 0, added) };
  });
}

export function addReview(id: string, number: number, review: Review): void {
  changeResult(id, number, (result) => ({ reviews: [...(result.reviews ?? []), review] }));
}

function changeResult(id: string, number: number, fields: (result: PageResult) => Partial<PageResult>): void {
  changePage(id, number, (page) => (page.result ? { result: { ...page.result, ...fields(page.result) } } : {}));
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
