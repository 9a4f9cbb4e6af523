/** Durable jobs on the server: sent, listed, followed page by page. */

import { json, lines, request } from "./client";
import { optionsForm } from "./reading";
import type { Options } from "./options";
import type { Job, JobList, SentPage } from "./types";

export type JobEvent =
  | { event: "state" | "end"; id: null; data: Job }
  | { event: "page"; id: string; data: { index: number; file: number; filename: string; page: SentPage } };

export async function sendJob(
  files: readonly File[],
  options: Options,
  prompts: Record<string, string>,
): Promise<Job> {
  const form = optionsForm(options, prompts);
  for (const file of files) form.append("files", file, file.webkitRelativePath || file.name);
  form.set("output", options.outputs.join(",") || "markdown");
  return json<Job>("/jobs", { method: "POST", body: form });
}

/** The caller's jobs; where callers have no accounts, those of `ids`, which is all that they are told of. */
export async function listJobs(ids: readonly string[] | null): Promise<JobList["jobs"]> {
  if (ids && !ids.length) return [];
  const query = new URLSearchParams([["limit", "50"], ...(ids ?? []).map((id) => ["id", id])]);
  return (await json<JobList>(`/jobs?${query.toString()}`)).jobs;
}

/** What may be done to a job: `cancel` stops it, `retry` reads again what failed or was not read. */
export async function act(id: string, action: "cancel" | "retry"): Promise<void> {
  await request(`/jobs/${id}/${action}`, { method: "POST" });
}

export async function eraseJob(id: string): Promise<void> {
  await request(`/jobs/${id}`, { method: "DELETE" });
}

export function picturePath(id: string, index: number): string {
  return `/jobs/${id}/pages/${index}.jpg`;
}

export function thumbnailPath(id: string, index: number): string {
  return `${picturePath(id, index)}?longest_side=216`;
}

/** A file of the job as it was sent. */
export async function originalOf(id: string, position: number, name: string): Promise<File> {
  const response = await request(`/jobs/${id}/files/${position}`, { headers: { Accept: "*/*" } });
  return new File([await response.blob()], name);
}

/** The job's events from the first page on; a connection that breaks is taken up where it was. */
export async function* followJob(id: string, signal: AbortSignal): AsyncGenerator<JobEvent> {
  let last = "";
  for (;;) {
    const headers: Record<string, string> = { Accept: "text/event-stream" };
    if (last) headers["Last-Event-ID"] = last;
    const response = await request(`/jobs/${id}/events`, { headers, signal });
    for await (const event of serverSentEvents(response)) {
      if (event.event === "page") last = event.id;
      yield event;
      if (event.event === "end") return;
    }
    await new Promise((resolve) => setTimeout(resolve, 1000));
  }
}

/** The text/event-stream format, as far as it is used: event, id and data. */
async function* serverSentEvents(response: Response): AsyncGenerator<JobEvent> {
  let event = "";
  let id: string | null = null;
  let data: string[] = [];
  for await (const raw of lines(response)) {
    const line = raw.replace(/\r$/, "");
    if (line === "") {
      if (data.length) yield { event, id, data: JSON.parse(data.join("\n")) as unknown } as JobEvent;
      event = "";
      id = null;
      data = [];
      continue;
    }
    const [, field, value] = /^([^:]*):? ?(.*)$/s.exec(line) ?? [];
    if (field === "event") event = value ?? "";
    else if (field === "id") id = value ?? null;
    else if (field === "data") data.push(value ?? "");
  }
}
