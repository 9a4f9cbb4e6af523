/**
 * What was read and corrected here, kept in the browser's own database, so that a reload or a crash loses
 * nothing. Passwords are not kept. Documents belong to the login that read them, and another window that shows
 * them keeps them to itself. Where the site forbids it nothing is kept, and what was kept is erased.
 */

import { type DBSchema, deleteDB, type IDBPDatabase, openDB } from "idb";

import { text } from "../texts";
import { type DocumentState, documents, isActive, newDocument, type PageState, selected } from "./documents";
import { say } from "./messages";
import { type Kept, restorePicture, watchPictures } from "./pictures";
import { service } from "./service";

const NAME = "airgap-ocr";
const VERSION = 1;
const WRITE_MS = 400;
const ASK_OTHERS_MS = 250;

type Saved = Omit<DocumentState, "pages" | "file"> & { owner: string; order: number };

interface Schema extends DBSchema {
  documents: { key: string; value: Saved };
  pages: { key: [string, number]; value: PageState };
  pictures: { key: [string, number, string]; value: Blob };
  files: { key: string; value: File };
}

const STORES = ["documents", "pages", "pictures", "files"] as const;

let database: IDBPDatabase<Schema> | null = null;
let written = new Map<string, DocumentState>();
let timer: ReturnType<typeof setTimeout> | undefined;
let order = 0;
let owner = "";
let full = false;
const windows = new BroadcastChannel("airgap-ocr.documents");

windows.onmessage = ({ data }: MessageEvent<string>) => {
  if (data === "which?") for (const id of written.keys()) windows.postMessage(id);
};

/** Begin as soon as it is known whether the site allows it and who is there; begin anew for another login. */
export function startDrafts(): void {
  let begun: string | null = null;
  service.subscribe(() => {
    const { info, me, wantsLogin } = service.get();
    const who = me?.username ?? "";
    if (!info || wantsLogin || begun === who) return;
    if (begun !== null) leave();
    begun = who;
    owner = who;
    void (info.page.drafts ? begin() : forbid());
  });
  documents.subscribe(soon);
  watchPictures((kept) => void write((db) => db.put("pictures", kept.picture, [kept.id, kept.page, kept.size])));
  document.addEventListener("visibilitychange", () => void flush());
}

/** Take the documents of the login before off the page; they are kept for its next time. */
function leave(): void {
  written = new Map();
  documents.set([]);
  selected.set(null);
}

async function begin(): Promise<void> {
  try {
    database ??= await openDB<Schema>(NAME, VERSION, { upgrade: create });
    await restore(database);
  } catch {
    database = null; // a browser that keeps nothing, as in some private windows
  }
  soon();
}

function create(db: IDBPDatabase<Schema>): void {
  db.createObjectStore("documents", { keyPath: "id" });
  for (const store of ["pages", "pictures", "files"] as const) db.createObjectStore(store);
}

async function forbid(): Promise<void> {
  database?.close();
  database = null;
  await deleteDB(NAME);
}

/** Erase all that is kept of the documents on this page, and take them off it. */
export async function clearDrafts(): Promise<void> {
  documents.set([]);
  selected.set(null);
  await flush();
}

async function restore(db: IDBPDatabase<Schema>): Promise<void> {
  const elsewhere = await shownElsewhere();
  const mine = (await db.getAll("documents")).filter((saved) => saved.owner === owner && !elsewhere.has(saved.id));
  mine.sort((a, b) => a.order - b.order);
  for (const saved of mine) await restoreOne(db, saved);
  if (mine.length) say(text("drafts.restored", { count: mine.length }));
}

async function shownElsewhere(): Promise<Set<string>> {
  const ids = new Set<string>();
  const others = new BroadcastChannel("airgap-ocr.documents");
  others.onmessage = ({ data }: MessageEvent<string>) => ids.add(data);
  others.postMessage("which?");
  await new Promise((resolve) => setTimeout(resolve, ASK_OTHERS_MS));
  others.close();
  return ids;
}

async function restoreOne(db: IDBPDatabase<Schema>, { owner: by, order: at, ...saved }: Saved): Promise<void> {
  const range = IDBKeyRange.bound([saved.id], [saved.id, []]);
  const pages = await db.getAll("pages", range);
  const file = (await db.get("files", saved.id)) ?? null;
  const keys = await db.getAllKeys("pictures", range);
  const pictures = await db.getAll("pictures", range);
  keys.forEach(([id, page, size], index) => {
    const picture = pictures[index];
    if (picture) restorePicture({ id, page, size: size as Kept["size"], picture });
  });
  const status = isActive(saved as DocumentState) ? "interrupted" : saved.status;
  order = Math.max(order, at);
  const restored = newDocument(saved.name, { ...saved, file, status, pages: pages.map(unfinished) });
  written.set(restored.id, restored);
}

/** A page that was being read when the window closed is not being read now. */
function unfinished(page: PageState): PageState {
  return page.status === "reading" ? { ...page, status: "waiting", text: "" } : page;
}

function soon(): void {
  timer ??= setTimeout(() => void flush(), WRITE_MS);
}

/** Write what has changed since the last time. */
async function flush(): Promise<void> {
  clearTimeout(timer);
  timer = undefined;
  if (!database) return;
  const before = written;
  const now = documents.get();
  written = new Map(now.map((each) => [each.id, each]));
  for (const each of now) {
    const old = before.get(each.id);
    if (old !== each) await write((db) => writeOne(db, each, old));
  }
  for (const id of before.keys()) if (!written.has(id)) await write((db) => erase(db, id));
}

async function write(work: (db: IDBPDatabase<Schema>) => Promise<unknown>): Promise<void> {
  if (!database) return;
  try {
    await work(database);
  } catch (error) {
    if (!full && error instanceof DOMException && error.name === "QuotaExceededError") {
      full = true;
      say(text("drafts.failed"), "error");
    }
  }
}

async function writeOne(db: IDBPDatabase<Schema>, now: DocumentState, old: DocumentState | undefined): Promise<void> {
  const { pages, file, ...fields } = now;
  const options = fields.options && { ...fields.options, password: "" };
  const place = (await db.get("documents", now.id))?.order ?? ++order;
  const change = db.transaction(STORES, "readwrite");
  if (!old && file) void change.objectStore("files").put(file, now.id);
  void change.objectStore("documents").put({ ...fields, options, owner, order: place });
  const store = change.objectStore("pages");
  if (pages !== old?.pages) {
    const known = new Set(old?.pages);
    for (const page of pages) if (!known.has(page) && page.status !== "reading") void store.put(page, [now.id, page.number]);
  }
  await change.done;
}

async function erase(db: IDBPDatabase<Schema>, id: string): Promise<void> {
  const change = db.transaction(STORES, "readwrite");
  const range = IDBKeyRange.bound([id], [id, []]);
  void change.objectStore("documents").delete(id);
  void change.objectStore("files").delete(id);
  void change.objectStore("pages").delete(range);
  void change.objectStore("pictures").delete(range);
  await change.done;
}
