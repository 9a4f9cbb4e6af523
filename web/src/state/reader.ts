/** Reads the queued documents, one after another; the server reads the pages of each in parallel. */

import { describe } from "../api/client";
import { decodeBase64, type Frame, readDocument, type Span } from "../api/reading";
import type { Options } from "../api/types";
import { change, changePage, type DocumentState, documents, emptyPage, find, newDocument, selected } from "./documents";
import { pack } from "./lines";
import { keepPicture } from "./pictures";
import { promptsOf, service } from "./service";
import { addUsage } from "./usage";

let current: { id: string; abort: AbortController } | null = null;

export function readFiles(files: readonly File[], options: Options): void {
  const added = files.map((file) => newDocument(file.name, { file, options }));
  if (added[0]) selected.set(added[0].id);
  void readNext();
}

/** Stop a document: the server's work on it ends within the page. */
export function cancel(id: string): void {
  if (current?.id === id) current.abort.abort();
  else change(id, () => ({ status: "cancelled" }));
}

/** Read again the pages that failed, and only those. */
export async function retry(document: DocumentState, numbers: readonly number[]): Promise<void> {
  for (const number of numbers) {
    if (!(await stream(document, { from: number, to: number }))) return;
  }
}

async function readNext(): Promise<void> {
  if (current) return;
  const next = documents.get().find((document) => document.status === "queued" && document.file);
  if (!next) return;
  await stream(next);
  void readNext();
}

/** Returns whether it came to its end. */
async function stream(document: DocumentState, span?: Span): Promise<boolean> {
  const { id, file, options } = document;
  if (!file || !options) return false;
  const abort = new AbortController();
  current = { id, abort };
  const engine = service.get().root;
  change(id, () => ({
    status: "reading",
    began: performance.now(),
    ended: null,
    error: null,
    engine: engine?.engine ?? "",
    model: engine?.model ?? "",
  }));
  let complete = false;
  try {
    const prompts = promptsOf(service.get().info);
    for await (const frame of readDocument(file, options, prompts, abort.signal, span)) {
      apply(id, frame, options, span);
      if (frame.type === "end") complete = true;
    }
    if (complete) change(id, () => ({ status: "done" }));
    else throw new Error("The answer was cut off.");
  } catch (error) {
    const gone = abort.signal.aborted;
    change(id, () => ({ status: gone ? "cancelled" : "failed", error: gone ? null : describe(error) }));
  } finally {
    current = null;
    change(id, () => ({ ended: performance.now() }));
  }
  return complete;
}

function apply(id: string, frame: Frame, options: Options, span?: Span): void {
  if (frame.type === "start") {
    const first = Number(options.pageFrom) || 1;
    if (span) return;
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
    change(id, (d) => (span ? {} : { usage: frame.usage, ledger: frame.ledger, finished: d.finished }));
  }
}
