import { type DragEvent, useEffect, useRef, useState } from "react";

import { useTexts } from "../texts";

const KINDS = "image/*,application/pdf,.pdf,.tif,.tiff,.heic,.jp2,.json";
const HIDDEN = /(^|\/)(\.|Thumbs\.db$|desktop\.ini$|__MACOSX\/)/;

/** Where files come in: dropped, chosen, a whole folder, or pasted. */
export function DropZone({ onFiles }: { onFiles: (files: File[]) => void }) {
  const { t } = useTexts();
  const [over, setOver] = useState(false);
  const files = useRef<HTMLInputElement>(null);
  const folder = useRef<HTMLInputElement>(null);

  useEffect(() => {
    const paste = (event: ClipboardEvent): void => {
      const pasted = [...(event.clipboardData?.files ?? [])];
      if (pasted.length) onFiles(pasted);
    };
    // A file that misses the zone must not make the browser leave the page.
    const miss = (event: globalThis.DragEvent): void => event.preventDefault();
    window.addEventListener("paste", paste);
    window.addEventListener("dragover", miss);
    window.addEventListener("drop", miss);
    return () => {
      window.removeEventListener("paste", paste);
      window.removeEventListener("dragover", miss);
      window.removeEventListener("drop", miss);
    };
  });

  const drop = (event: DragEvent): void => {
    event.preventDefault();
    setOver(false);
    void dropped(event.dataTransfer).then((found) => found.length && onFiles(found));
  };
  const take = (input: HTMLInputElement): void => {
    const chosen = [...(input.files ?? [])].filter((file) => !HIDDEN.test(file.webkitRelativePath || file.name));
    if (chosen.length) onFiles(chosen);
    input.value = "";
  };

  return (
    <section
      className={`drop${over ? " over" : ""}`}
      aria-label={t("drop.title")}
      onDragOver={(event) => {
        event.preventDefault();
        setOver(true);
      }}
      onDragLeave={() => setOver(false)}
      onDrop={drop}
    >
      <strong>{over ? t("drop.over") : t("drop.title")}</strong>
      <span className="muted">{t("drop.hint")}</span>
      <div className="row">
        <button type="button" onClick={() => files.current?.click()}>
          {t("drop.files")}
        </button>
        <button type="button" onClick={() => folder.current?.click()}>
          {t("drop.folder")}
        </button>
      </div>
      <input ref={files} type="file" multiple hidden accept={KINDS} onChange={(e) => take(e.target)} data-kind="files" />
      <input ref={folder} type="file" hidden {...{ webkitdirectory: "" }} onChange={(e) => take(e.target)} data-kind="folder" />
    </section>
  );
}

/** All files of a drop, also those inside folders, in the order of their names. */
async function dropped(transfer: DataTransfer): Promise<File[]> {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry()).filter((entry) => entry !== null);
  if (entries.length === 0) return [...transfer.files];
  const found = await Promise.all(entries.map(filesOf));
  return found.flat().filter((file) => !HIDDEN.test(file.name));
}

async function filesOf(entry: FileSystemEntry): Promise<File[]> {
  if (entry.isFile) {
    return [await new Promise<File>((resolve, reject) => (entry as FileSystemFileEntry).file(resolve, reject))];
  }
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  const entries: FileSystemEntry[] = [];
  for (;;) {
    const some = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject));
    if (some.length === 0) break; // it gives at most a hundred at a time
    entries.push(...some);
  }
  entries.sort((a, b) => a.name.localeCompare(b.name, undefined, { numeric: true }));
  return (await Promise.all(entries.map(filesOf))).flat();
}
