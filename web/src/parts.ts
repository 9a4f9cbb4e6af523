/**
 * Parts of the page that load after the first screen. They are fetched as soon as the server is ready, so that a
 * server which goes away takes none of them with it; one that could not be fetched is asked for again.
 */

import { type ComponentType, lazy } from "react";

import { service } from "./state/service";

const AGAIN_MS = 2000;

const parts: (() => Promise<unknown>)[] = [];
let fetching = false;

export function part<P extends object>(load: () => Promise<ComponentType<P>>) {
  const patient = async (): Promise<{ default: ComponentType<P> }> => {
    for (;;) {
      try {
        return { default: await load() };
      } catch (error) {
        if (!(error instanceof TypeError)) throw error;
        await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
      }
    }
  };
  if (fetching) prefetch(load);
  else parts.push(load);
  return lazy(patient);
}

export function fetchParts(): void {
  const stop = service.subscribe(() => {
    if (!service.get().root?.ready) return;
    stop();
    fetching = true;
    parts.forEach(prefetch);
  });
}

function prefetch(load: () => Promise<unknown>): void {
  load().catch(() => undefined);
}
