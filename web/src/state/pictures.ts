/**
 * Pictures of pages, as JPEGs: kept for files read here, fetched for jobs. There is a small one beside each,
 * because decoding a dozen pages to show them small holds up a frame.
 */

import { useEffect, useState } from "react";

import { request } from "../api/client";

const FETCHED_KEPT = 120;

export type Size = "page" | "thumbnail";

/** A picture that was read here, and of what. */
export interface Kept {
  id: string;
  page: number;
  size: Size;
  picture: Blob;
}

const kept = new Map<string, Blob>();
let onKept: (kept: Kept) => void = () => undefined;
const fetched = new Map<string, Promise<Blob | null>>();
const watchers = new Map<string, Set<() => void>>();

const keyOf = (id: string, page: number, size: Size): string => `${id}/${page}/${size}`;

/** Keep a JPEG of a page, and tell those who show it. */
export function keepPicture(id: string, page: number, size: Size, jpeg: Uint8Array<ArrayBuffer>): void {
  const picture = new Blob([jpeg], { type: "image/jpeg" });
  restorePicture({ id, page, size, picture });
  onKept({ id, page, size, picture });
}

/** Take back a picture that was kept elsewhere. */
export function restorePicture({ id, page, size, picture }: Kept): void {
  const key = keyOf(id, page, size);
  kept.set(key, picture);
  for (const watcher of watchers.get(key) ?? []) watcher();
}

/** Call `listener` with each picture that is kept from now on. */
export function watchPictures(listener: (kept: Kept) => void): void {
  onKept = listener;
}

export function dropPictures(id: string): void {
  for (const key of kept.keys()) if (key.startsWith(`${id}/`)) kept.delete(key);
}

/** The picture of a page, or null while there is none. `path` is where a job's picture is fetched. */
export function usePicture(id: string, page: number, size: Size, path: string | null): Blob | null {
  const key = keyOf(id, page, size);
  const [picture, setPicture] = useState<Blob | null>(kept.get(key) ?? null);
  useEffect(() => {
    let current = true;
    const look = (): void => setPicture(kept.get(key) ?? null);
    look();
    const watching = watchers.get(key) ?? new Set();
    watching.add(look);
    watchers.set(key, watching);
    if (path && !kept.has(key)) {
      void fetchPicture(path).then((found) => {
        if (current) setPicture(found);
      });
    }
    return () => {
      current = false;
      watching.delete(look);
      if (watching.size === 0) watchers.delete(key);
    };
  }, [key, path]);
  return picture;
}

function fetchPicture(path: string): Promise<Blob | null> {
  const before = fetched.get(path);
  if (before) {
    fetched.delete(path);
    fetched.set(path, before);
    return before;
  }
  const picture = request(path, { headers: { Accept: "image/jpeg" } })
    .then((response) => response.blob())
    .catch(() => null);
  fetched.set(path, picture);
  const [oldest] = fetched.keys();
  if (fetched.size > FETCHED_KEPT && oldest) fetched.delete(oldest);
  return picture;
}
