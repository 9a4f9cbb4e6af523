/**
 * Reads what is queued, one reading after another; the server reads the pages of each in parallel. A reading
 * is a whole document, or a span of its pages that is read again. Only this file knows what is read now.
 */

import { describe, Unreachable } from "../api/client";
import { decodeBase64, type Frame, readDocument, type Span } from "../api/reading";
import { change, changePage, type DocumentState, emptyPage, find, isActive, isMissing, newDocument, selected } from "./documents";
import { pack } from "./lines";
import type { Options } from "../api/options";
import { keepPicture } from "./pictures";
import { promptsOf, service } from "./service";
import { addUsage } from "./usage";

interface Reading {
  id: string;
  /** Null for the whole document, as its options want it. */
  span: Span | null;
}

let waiting: Reading[] = [];
let current: { id: string; abort: AbortController } | null = null;

export function readFiles(files: readonly File[], options: Options): void {
  const added = files.map((file) => newDocument(nameOf(file), { file, options }));
  if (added[0]) selected.set(added[0].id);
  waiting.push(...added.map(({ id }) => ({ id, span: null })));
  void readNext();
}

/** A file's name, with its folders where a folder was chosen. */
export const nameOf = (file: File): string => file.webkitRelativePath || file.name;

/** Stop a document: the server's work on it ends within the page. */
export function cancel(id: string): void {
  waiting = waiting.filter((reading) => reading.id !== id);
  if (current?.id === id) current.abort.abort();
  else if (find(id)?.status === "queued") change(id, () => ({ status: "cancelled" }));
}

export function cancelAll(): void {
  const ids = new Set([...waiting.map(({ id }) => id), ...(current ? [current.id] : [])]);
  for (const id of ids) cancel(id);
}

/** Whether something of a document is missing that this page could read. */
export function canRetry(document: DocumentState): boolean {
  if (!document.file || !document.options || isActive(document)) return false;
  return document.pages.length === 0 || document.pages.some(isMissing);
}

/** Read again the pages that failed or were never reached, and only those. */
export function retry(id: string, options: Partial<Options> = {}): void {
  const document = find(id);
  if (!document || !canRetry(document)) return;
  const missing = document.pages.filter(isMissing).map((page) => page.number);
  const spans = document.pages.length === 0 ? [null] : spansOf(missing);
  waiting.push(...spans.map((span) => ({ id, span })));
  change(id, (d) => ({ status: "queued", error: null, options: d.options && { ...d.options, ...options } }));
  void readNext();
}

/** Page numbers, ascending → runs of consecutive ones. */
function spansOf(numbers: readonly number[]): Span[] {
  const spans: Span[] = [];
  for (const number of numbers) {
    const last = spans.at(-1);
    if (last?.to === number - 1) last.to = number;
    else spans.push({ from: number, to: number });
  }
  return spans;
}

async function readNext(): Promise<void> {
  if (current) return;
  const next = waiting.shift();
  if (!next) return;
  const document = find(next.id);
  if (document) await read(document, next.span);
  void readNext();
}

async function read(document: DocumentState, span: Span | null): Promise<void> {
  const { id, file, options } = document;
  if (!file || !options) return;
  const abort = new AbortController();
  current = { id, abort };
  const { root } = service.get();
  change(id, () => ({
    status: "reading",
    began: performance.now(),
    ended: null,
    error: null,
    engine: root?.engine ?? "",
    model: root?.model ?? "",
  }));
  try {
    await follow(id, file, options, span, abort.signal);
    const more = waiting.some((reading) => reading.id === id);
    change(id, () => ({ status: more ? "queued" : "done" }));
  } catch (error) {
    const gone = abort.signal.aborted;
    waiting = waiting.filter((reading) => reading.id !== id);
    change(id, () => ({ status: gone ? "cancelled" : "failed", error: gone ? null : describe(error) }));
  } finally {
    current = null;
    change(id, () => ({ ended: performance.now() }));
  }
}

async function follow(id: string, file: File, options: Options, span: Span | null, signal: AbortSignal): Promise<void> {
  let complete = false;
  const prompts = promptsOf(service.get().info);
  for await (const frame of readDocument(file, options, prompts, signal, span)) {
    apply(id, frame, options, span);
    if (frame.type === "end") complete = true;
  }
  if (!complete) throw new Unreachable("the answer was cut off");
}

function apply(id: string, frame: Frame, options: Options, span: Span | null): void {
  if (frame.type === "start") {
    if (span) return;
    const first = Number(options.pageFrom) || 1;
    const pages = Array.from({ length: frame.pages }, (_, i) => emptyPage(first + i));
    change(id, () => ({ pages, finished: 0 }));
  } else if (frame.type === "page_start") {
    changePage(id, frame.page, () => ({ status: "reading", text: "", error: null }));
  } else if (frame.type === "page_picture") {
    keepPicture(id, frame.page, "page", decodeBase64(frame.picture));
    keepPicture(id, frame.page, "thumbnail", decodeBase64(frame.thumbnail));
    changePage(id, frame.page, () => ({ width: frame.width, height: frame.height }));
  } else if (frame.type === "page_delta") {
    changePage(id, frame.page, (page) => ({ text: page.text + frame.delta }));
  } else if (frame.type === "page_end") {
    const { result } = frame;
    changePage(id, frame.page, (page) => ({
      status: frame.status,
      result: pack(result),
      text: "",
      width: result.width || page.width,
      height: result.height || page.height,
      error: result.error,
    }));
  } else if (frame.type === "end") {
    const began = find(id)?.began ?? performance.now();
    addUsage(frame.usage, (performance.now() - began) / 1000);
    if (!span) change(id, () => ({ usage: frame.usage, ledger: frame.ledger }));
  }
}
