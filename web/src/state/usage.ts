/** What was read from this page since it was opened. */

import type { StreamUsage } from "../api/reading";
import { Store } from "./store";

export interface Usage {
  documents: number;
  pages: number;
  promptTokens: number;
  completionTokens: number;
  bytes: number;
  seconds: number;
}

export const usage = new Store<Usage>({
  documents: 0,
  pages: 0,
  promptTokens: 0,
  completionTokens: 0,
  bytes: 0,
  seconds: 0,
});

export function addUsage(add: StreamUsage, seconds: number): void {
  usage.update((sum) => ({
    documents: sum.documents + 1,
    pages: sum.pages + add.pages,
    promptTokens: sum.promptTokens + add.prompt_tokens,
    completionTokens: sum.completionTokens + add.completion_tokens,
    bytes: sum.bytes + add.input_bytes,
    seconds: sum.seconds + seconds,
  }));
}
