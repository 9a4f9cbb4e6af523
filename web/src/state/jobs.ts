/** The server's jobs as this page knows them, and the jobs that are opened here. */

import { describe, Unreachable } from "../api/client";
import { followJob, type JobEvent, listJobs } from "../api/jobs";
import type { Job } from "../api/types";
import { change, type DocumentState, documents, newDocument, remove, selected } from "./documents";
import { pageOf } from "./results";
import { has, service } from "./service";
import { Store } from "./store";

export const jobs = new Store<readonly Job[] | null>(null);

const AGAIN_MS = 2000;
const SENT = "airgap-jobs";
const MAX_SENT = 50;
const opened = new Map<string, AbortController>();

export async function refreshJobs(): Promise<void> {
  if (has(service.get().root, "accounts")) {
    jobs.set(await listJobs(null));
    return;
  }
  const found = await listJobs(remembered());
  localStorage.setItem(SENT, JSON.stringify(found.map((job) => job.id).reverse()));
  jobs.set(found);
}

/** Keep a job's id: without accounts the server tells nobody of jobs whose ids they do not have. */
export function rememberJob(id: string): void {
  if (has(service.get().root, "accounts")) return;
  localStorage.setItem(SENT, JSON.stringify([...remembered(), id].slice(-MAX_SENT)));
}

function remembered(): string[] {
  try {
    const found: unknown = JSON.parse(localStorage.getItem(SENT) ?? "[]");
    return Array.isArray(found) ? found.filter((id): id is string => typeof id === "string") : [];
  } catch {
    return [];
  }
}

/** Show a job's pages: those that are there, and those that come. Each file is a document. */
export async function openJob(id: string, title: string): Promise<void> {
  const before = documentsOf(id)[0];
  if (before) selected.set(before.id);
  if (opened.has(id) || (before && documentsOf(id).every((document) => document.status === "done"))) return;
  const abort = new AbortController();
  opened.set(id, abort);
  try {
    await follow(id, title, abort.signal);
  } catch (error) {
    const failure = describe(error);
    if (!abort.signal.aborted) finish(id, "failed", failure);
  } finally {
    opened.delete(id);
  }
}

/** Take a job's pages as they come; while the server is away, ask again. */
async function follow(id: string, title: string, signal: AbortSignal): Promise<void> {
  for (;;) {
    try {
      for await (const event of followJob(id, signal)) {
        if (event.event === "page") take(id, title, event.data);
        else if (event.event === "end") {
          finish(id, endOf(event.data));
          return;
        }
      }
    } catch (error) {
      if (!(error instanceof Unreachable) || signal.aborted) throw error;
      await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
    }
  }
}

/** A page of a job, put where it belongs; what is there already, and perhaps corrected, stays. */
function take(id: string, title: string, data: Extract<JobEvent, { event: "page" }>["data"]): void {
  const { file, filename, page, index } = data;
  let document = documentsOf(id).find((each) => each.jobFile === file);
  if (!document) {
    const first = documentsOf(id).length === 0;
    finish(id, "done");
    document = newDocument(filename || title, { jobId: id, jobFile: file, status: "reading" });
    if (first) selected.set(document.id);
  }
  if (document.pages.some((each) => each.index === index)) return;
  const shown = { ...pageOf(page), index };
  change(document.id, (d) => ({ pages: [...d.pages, shown], finished: d.finished + 1 }));
}

/** The end of those documents of a job whose pages were still coming. */
function finish(id: string, status: DocumentState["status"], error: DocumentState["error"] = null): void {
  for (const { id: document, status: before } of documentsOf(id)) {
    if (before === "reading" || before === "interrupted") {
      change(document, () => ({ status, error, ended: performance.now() }));
    }
  }
}

const documentsOf = (id: string): DocumentState[] => documents.get().filter((document) => document.jobId === id);

/** Take a job off the page: it was erased, or is to be read again. */
export function closeJob(id: string): void {
  opened.get(id)?.abort();
  for (const document of documentsOf(id)) remove(document.id);
}

function endOf(job: Job): DocumentState["status"] {
  return job.status === "cancelled" || job.status === "failed" ? job.status : "done";
}
