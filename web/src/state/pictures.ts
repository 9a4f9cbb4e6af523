/**
 * Pictures of pages, as addresses that `<img>` takes: kept for files read here, fetched for jobs. There is
 * a small one beside each: an `<img>` that shows a page small decodes all of it, and a dozen of those at
 * once hold up a frame.
 */

import { useEffect, useState } from "react";

import { request } from "../api/client";

const FETCHED_KEPT = 120;

type Size = "page" | "thumbnail";

const kept = new Map<string, string>();
const fetched = new Map<string, Promise<string | null>>();
const watchers = new Map<string, Set<() => void>>();

const keyOf = (id: string, page: number, size: Size): string => `${id}/${page}/${size}`;

/** Keep a JPEG of a page, and tell those who show it. */
export function keepPicture(id: string, page: number, size: Size, jpeg: Uint8Array<ArrayBuffer>): void {
  const key = keyOf(id, page, size);
  const old = kept.get(key);
  if (old) URL.revokeObjectURL(old);
  kept.set(key, URL.createObjectURL(new Blob([jpeg], { type: "image/jpeg" })));
  for (const watcher of watchers.get(key) ?? []) watcher();
}

export function dropPictures(id: string): void {
  for (const [key, address] of kept) {
    if (!key.startsWith(`${id}/`)) continue;
    URL.revokeObjectURL(address);
    kept.delete(key);
  }
}

/** The picture of a page, or null while there is none. `path` is where a job's picture is fetched. */
export function usePicture(id: string, page: number, size: Size, path: string | null): string | null {
  const key = keyOf(id, page, size);
  const [address, setAddress] = useState<string | null>(kept.get(key) ?? null);
  useEffect(() => {
    let current = true;
    const look = (): void => setAddress(kept.get(key) ?? null);
    look();
    const watching = watchers.get(key) ?? new Set();
    watching.add(look);
    watchers.set(key, watching);
    if (path && !kept.has(key)) {
      void fetchPicture(path).then((found) => {
        if (current) setAddress(found);
      });
    }
    return () => {
      current = false;
      watching.delete(look);
      if (watching.size === 0) watchers.delete(key);
    };
  }, [key, path]);
  return address;
}

function fetchPicture(path: string): Promise<string | null> {
  const before = fetched.get(path);
  if (before) {
    fetched.delete(path);
    fetched.set(path, before);
    return before;
  }
  const address = request(path, { headers: { Accept: "image/jpeg" } })
    .then(async (response) => URL.createObjectURL(await response.blob()))
    .catch(() => null);
  fetched.set(path, address);
  const [oldest] = fetched;
  if (fetched.size > FETCHED_KEPT && oldest) {
    fetched.delete(oldest[0]);
    void oldest[1].then((found) => found && URL.revokeObjectURL(found));
  }
  return address;
}
