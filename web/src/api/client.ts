/** Requests to this server: the login on each, errors with their remedy, JSON and streams of lines. */

import type { Problem, Refusal } from "./types";

const TOKEN = "airgap-ocr.token";

let token = sessionStorage.getItem(TOKEN);
let refused: () => void = () => undefined;
let lost: () => void = () => undefined;

/** What the server answered instead of what was asked for. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly problem: Problem,
    readonly requestId: string,
  ) {
    super(problem.message);
  }
}

/** The server was not there, or went away before its answer was whole. */
export class Unreachable extends Error {}

export function setToken(value: string | null): void {
  token = value;
  if (value) sessionStorage.setItem(TOKEN, value);
  else sessionStorage.removeItem(TOKEN);
}

export function hasToken(): boolean {
  return token !== null;
}

/** Call `listener` whenever the server wants a login. */
export function onRefused(listener: () => void): void {
  refused = listener;
}

/** Call `listener` whenever the server does not answer. */
export function onLost(listener: () => void): void {
  lost = listener;
}

export async function request(path: string, init: RequestInit = {}): Promise<Response> {
  const headers = new Headers(init.headers);
  if (token && !headers.has("Authorization")) headers.set("Authorization", `Bearer ${token}`);
  if (!headers.has("Accept")) headers.set("Accept", "application/json");
  const response = await reached(fetch(path, { credentials: "omit", ...init, headers }));
  if (response.ok) return response;
  const error = await problemOf(response);
  if (response.status === 401 && path !== "/api/auth/token") refused();
  throw error;
}

/** What comes over the network, or `Unreachable`; being called off is neither. */
async function reached<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    lost();
    throw new Unreachable(error.message);
  }
}

async function problemOf(response: Response): Promise<ApiError> {
  try {
    const body = (await response.json()) as Refusal;
    return new ApiError(response.status, body.error, body.request_id);
  } catch {
    const problem = { code: "unknown", message: "", remedy: "" };
    return new ApiError(response.status, problem, response.headers.get("X-Request-ID") ?? "");
  }
}

export async function json<T>(path: string, init: RequestInit = {}): Promise<T> {
  return (await (await request(path, init)).json()) as T;
}

export function post(body: unknown, method = "POST"): RequestInit {
  return { method, headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
}

/** The lines of an answer as they arrive. */
export async function* lines(response: Response): AsyncGenerator<string> {
  if (!response.body) return;
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  const parts: string[] = [];
  try {
    for (;;) {
      const { done, value } = await reached(reader.read());
      if (done) break;
      const pieces = value.split("\n");
      for (const piece of pieces.slice(0, -1)) {
        parts.push(piece);
        yield parts.join("");
        parts.length = 0;
      }
      parts.push(pieces.at(-1) ?? "");
    }
    if (parts.join("")) yield parts.join("");
  } finally {
    reader.cancel().catch(() => undefined);
  }
}

export function describe(error: unknown): Problem {
  if (error instanceof ApiError) return error.problem;
  if (error instanceof Unreachable) return { code: "unreachable", message: "", remedy: "" };
  return { code: "unknown", message: error instanceof Error ? error.message : String(error), remedy: "" };
}

/** Save an answer as a file, under the name that the server gave it. */
export async function save(response: Response, fallback: string): Promise<string> {
  const disposition = response.headers.get("Content-Disposition") ?? "";
  const encoded = /filename\*=UTF-8''([^;]+)/.exec(disposition)?.[1];
  const name = encoded ? decodeURIComponent(encoded) : fallback;
  saveBlob(await response.blob(), name);
  return name;
}

export function saveBlob(blob: Blob, name: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
