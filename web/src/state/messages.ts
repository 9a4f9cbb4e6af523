/** Short words to the person, read out by screen readers. What went wrong stays until it is closed. */

import { Store } from "./store";

export interface Message {
  id: number;
  text: string;
  kind: "info" | "error";
}

export const messages = new Store<readonly Message[]>([]);

const SHOWN_MS = 4000;
let counter = 0;

export function say(text: string, kind: Message["kind"] = "info"): void {
  const id = ++counter;
  messages.update((all) => [...all.filter((message) => message.text !== text).slice(-3), { id, text, kind }]);
  if (kind === "info") setTimeout(() => dismiss(id), SHOWN_MS);
}

export function dismiss(id: number): void {
  messages.update((all) => all.filter((message) => message.id !== id));
}
