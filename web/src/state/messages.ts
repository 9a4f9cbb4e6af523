/** Short words to the person, gone after a while and read out by screen readers. */

import { Store } from "./store";

export interface Message {
  id: number;
  text: string;
  kind: "info" | "error";
}

export const messages = new Store<readonly Message[]>([]);

const SHOWN_MS = { info: 4000, error: 12_000 };
let counter = 0;

export function say(text: string, kind: Message["kind"] = "info"): void {
  const id = ++counter;
  messages.update((all) => [...all.slice(-3), { id, text, kind }]);
  setTimeout(() => messages.update((all) => all.filter((message) => message.id !== id)), SHOWN_MS[kind]);
}
