/** The server's jobs as this page knows them, and the jobs that are opened here. */

import { describe } from "../api/client";
import { followJob, listJobs } from "../api/jobs";
import type { Job } from "../api/types";
import { change, type DocumentState, documents, newDocument, remove, selected } from "./documents";
import { pageOf } from "./results";
import { Store } from "./store";

export const jobs = new Store<readonly Job[] | null>(null);

const opened = new Map<string, AbortController>();

export async function refreshJobs(): Promise<void> {
  jobs.set(await listJobs());
}

/** Show a job's pages: those that are there, and those that come. Each file is a document. */
export async function openJob(id: string, title: string): Promise<void> {
  const before = documents.get().find((document) => document.jobId === id);
  if (before) {
    selected.set(before.id);
    return;
  }
  const abort = new AbortController();
  opened.set(id, abort);
  let current: DocumentState | null = null;
  let first = true;
  const finish = (status: DocumentState["status"], error: DocumentState["error"] = null): void => {
    if (current) change(current.id, () => ({ status, error, ended: performance.now() }));
  };
  try {
    for await (const event of followJob(id, abort.signal)) {
      if (event.event !== "page") {
        if (event.event === "end") finish(endOf(event.data));
        continue;
      }
      const { file, filename, page, index } = event.data;
      if (!current || file !== current.jobFile) {
        finish("done");
        current = newDocument(filename || title, { jobId: id, jobFile: file, status: "reading" });
        if (first) selected.set(current.id);
        first = false;
      }
      const shown = { ...pageOf(page), index };
      change(current.id, (d) => ({ pages: [...d.pages, shown], finished: d.finished + 1 }));
    }
  } catch (error) {
    if (!abort.signal.aborted) finish("failed", describe(error));
  } finally {
    opened.delete(id);
  }
}

/** Take a job off the page: it was erased, or is to be read again. */
export function closeJob(id: string): void {
  opened.get(id)?.abort();
  for (const document of documents.get()) {
    if (document.jobId === id) remove(document.id);
  }
}

function endOf(job: Job): DocumentState["status"] {
  return job.status === "cancelled" ? "cancelled" : job.status === "failed" ? "failed" : "done";
}
