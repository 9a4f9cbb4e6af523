/** Files → pages: the streamed frames of one document, one event a frame. */

import { lines, request } from "./client";
import type { Options } from "./options";
import type { Ledger, SentPage, PageStatus, Problem } from "./types";

export type Frame =
  | { type: "start"; kind: string; pages: number }
  | { type: "page_start"; page: number }
  | { type: "page_picture"; page: number; picture: string; thumbnail: string; width: number; height: number }
  | { type: "page_delta"; page: number; delta: string }
  | { type: "page_end"; page: number; status: PageStatus; result: SentPage; warnings: string[] }
  | ({ type: "error"; page?: number } & Problem)
  | { type: "end"; usage: StreamUsage; ledger: Ledger };

export interface StreamUsage {
  prompt_tokens: number;
  completion_tokens: number;
  input_bytes: number;
  pages: number;
}

export interface Span {
  from: number;
  to: number;
}

/** Read a file and yield its frames as they come. Aborting stops the reading on the server too. */
export async function* readDocument(
  file: File,
  options: Options,
  prompts: Record<string, string>,
  signal: AbortSignal,
  span: Span | null,
): AsyncGenerator<Frame> {
  const form = optionsForm(options, prompts);
  form.set("file", file, file.name);
  form.set("detail", "true");
  form.set("pictures", "true");
  form.set("confidence", "true");
  if (span) {
    form.set("page_from", String(span.from));
    form.set("page_to", String(span.to));
  }
  if (options.crosscheck) form.set("crosscheck", "true");
  const response = await request("/api/ocr/document", { method: "POST", body: form, signal });
  for await (const line of lines(response)) {
    if (line) yield JSON.parse(line) as Frame;
  }
}

/** The form fields that all routes which read files share. An engine without prompts has none in `prompts`. */
export function optionsForm(options: Options, prompts: Record<string, string>): FormData {
  const form = new FormData();
  const own = options.preset === "own" && Object.keys(prompts).length > 0;
  const prompt = own ? options.prompt : (prompts[options.preset] ?? "");
  if (prompt.trim()) form.set("prompt", prompt);
  if (options.mode) form.set("mode", options.mode);
  if (options.language) form.set("language", options.language);
  form.set("dpi", String(options.dpi));
  if (options.pageFrom) form.set("page_from", options.pageFrom);
  if (options.pageTo) form.set("page_to", options.pageTo);
  if (options.password) form.set("password", options.password);
  return form;
}

/** Base64 → bytes, by the browser's own decoder where it has one. */
export function decodeBase64(text: string): Uint8Array<ArrayBuffer> {
  const decoder = Uint8Array as unknown as { fromBase64?: (text: string) => Uint8Array<ArrayBuffer> };
  if (decoder.fromBase64) return decoder.fromBase64(text);
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
  return bytes;
}
