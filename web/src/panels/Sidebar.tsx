import { useState } from "react";

import { describe, request, save } from "../api/client";
import { sendJob } from "../api/jobs";
import { optionsForm } from "../api/reading";
import { type Options, START_OPTIONS } from "../api/options";
import { documents, remove, selected, useDocuments } from "../state/documents";
import { say } from "../state/messages";
import { readFiles } from "../state/reader";
import { openResult } from "../state/results";
import { has, promptsOf, service } from "../state/service";
import { useStore } from "../state/store";
import { formatBytes, useTexts } from "../texts";
import { DropZone } from "./DropZone";
import { OptionsForm } from "./OptionsForm";
import type { Panel } from "./panel";

/** What to read and how, and what was read. */
export function Sidebar({ onPanel }: { onPanel: (panel: Panel) => void }) {
  const { t, language } = useTexts();
  const [files, setFiles] = useState<File[]>([]);
  const [options, setOptions] = useState<Options>(START_OPTIONS);
  const [busy, setBusy] = useState(false);
  const { root, info } = useStore(service);
  const ready = files.length > 0 && (root?.ready ?? false) && !busy;

  const add = (added: File[]): void => {
    const results = added.filter((file) => file.name.toLowerCase().endsWith(".json"));
    for (const file of results) void openResult(file);
    setFiles((before) => [...before, ...added.filter((file) => !results.includes(file))]);
  };
  const read = (): void => {
    readFiles(files, { ...options });
    setFiles([]);
  };
  const attempt = async (work: () => Promise<void>): Promise<void> => {
    setBusy(true);
    try {
      await work();
      setFiles([]);
    } catch (error) {
      const { message, remedy } = describe(error);
      say(`${message} ${remedy}`, "error");
    } finally {
      setBusy(false);
    }
  };
  const runJob = async (): Promise<void> => {
    await sendJob(files, options, promptsOf(info));
    say(t("job.sent"));
    onPanel("jobs");
  };
  const readToZip = async (): Promise<void> => {
    say(t("zip.working", { count: files.length }));
    const form = optionsForm(options, promptsOf(info));
    for (const file of files) form.append("files", file, file.name);
    form.set("output", options.outputs.join(",") || "markdown");
    const response = await request("/batch/ocr/download", { method: "POST", body: form });
    say(t("zip.done", { name: await save(response, "results.zip") }));
  };

  return (
    <aside className="sidebar" aria-label={t("documents")}>
      <DropZone onFiles={add} />
      {files.length > 0 && (
        <p className="row chosen">
          <span>
            {t("drop.chosen", { count: files.length, size: formatBytes(files.reduce((n, f) => n + f.size, 0), language) })}
          </span>
          <span className="grow" />
          <button type="button" className="small" onClick={() => setFiles([])}>
            {t("drop.clear")}
          </button>
        </p>
      )}
      <div className="row actions">
        <button type="button" className="primary" disabled={!ready} onClick={read}>
          {t("read")}
        </button>
        <button type="button" disabled={!ready || !has(root, "batch")} onClick={() => void attempt(readToZip)}>
          {t("read.zip")}
        </button>
        {has(root, "jobs") && (
          <button type="button" disabled={!ready} title={t("read.job_hint")} onClick={() => void attempt(runJob)}>
            {t("read.job")}
          </button>
        )}
      </div>
      <OptionsForm options={options} onChange={setOptions} />
      <DocumentList />
    </aside>
  );
}

function DocumentList() {
  const { t } = useTexts();
  const all = useDocuments();
  const current = useStore(selected);
  return (
    <section className="document-list" aria-label={t("documents")}>
      <h2>{t("documents")}</h2>
      {all.length === 0 && (
        <p className="muted">
          {t("documents.none")} {t("open_json")}
        </p>
      )}
      <ul>
        {all.map((document) => (
          <li key={document.id} className={document.id === current ? "current" : ""}>
            <button
              type="button"
              className="choose"
              aria-current={document.id === current ? "true" : undefined}
              onClick={() => selected.set(document.id)}
            >
              <span className="name">{document.name}</span>
              <span className="muted">
                {t(`status.${document.status}`)}
                {document.pages.length > 0 && ` · ${document.finished}/${document.pages.length}`}
              </span>
              {document.status === "reading" && document.pages.length > 0 && (
                <progress max={document.pages.length} value={document.finished} aria-label={document.name} />
              )}
            </button>
            <button
              type="button"
              className="small quiet"
              aria-label={`${t("remove")}: ${document.name}`}
              title={t("remove")}
              disabled={document.status === "reading" && document.file !== null}
              onClick={() => removeDocument(document.id)}
            >
              ×
            </button>
          </li>
        ))}
      </ul>
    </section>
  );
}

function removeDocument(id: string): void {
  remove(id);
  if (documents.get().length === 0) selected.set(null);
}
