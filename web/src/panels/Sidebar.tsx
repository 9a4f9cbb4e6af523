import { useState } from "react";

import { request, save } from "../api/client";
import { sendJob } from "../api/jobs";
import { type Options, START_OPTIONS } from "../api/options";
import { optionsForm } from "../api/reading";
import { useDocuments } from "../state/documents";
import { rememberJob } from "../state/jobs";
import { say } from "../state/messages";
import { nameOf, readFiles } from "../state/reader";
import { openResult } from "../state/results";
import { has, promptsOf, service } from "../state/service";
import { useStore } from "../state/store";
import { formatBytes, useTexts } from "../texts";
import { sayProblem } from "../texts/problems";
import { DocumentList } from "./DocumentList";
import { DropZone } from "./DropZone";
import { OptionsForm } from "./OptionsForm";
import type { Panel } from "./panel";

/** What to read and how, and what was read. */
export function Sidebar({ onPanel, onOpen }: { onPanel: (panel: Panel) => void; onOpen: () => void }) {
  const { t } = useTexts();
  const [files, setFiles] = useState<File[]>([]);
  const [options, setOptions] = useState<Options>(START_OPTIONS);
  const [busy, setBusy] = useState(false);
  const { root, info } = useStore(service);
  const any = useDocuments().length > 0;
  const ready = files.length > 0 && (root?.ready ?? false) && !busy;

  const add = (added: File[]): void => {
    const results = added.filter((file) => file.name.toLowerCase().endsWith(".json"));
    for (const file of results) void openResult(file);
    setFiles((before) => [...before, ...added.filter((file) => !results.includes(file))]);
  };
  const read = (): void => {
    readFiles(files, options);
    setFiles([]);
  };
  const attempt = async (work: () => Promise<void>): Promise<void> => {
    setBusy(true);
    try {
      await work();
      setFiles([]);
    } catch (error) {
      sayProblem(error);
    } finally {
      setBusy(false);
    }
  };
  const runJob = async (): Promise<void> => {
    rememberJob((await sendJob(files, options, promptsOf(info))).id);
    say(t("job.sent"));
    onPanel("jobs");
  };
  const readToZip = async (): Promise<void> => {
    say(t("zip.working", { count: files.length }));
    const form = optionsForm(options, promptsOf(info));
    for (const file of files) form.append("files", file, nameOf(file));
    form.set("output", options.outputs.join(",") || "markdown");
    const response = await request("/batch/ocr/download", { method: "POST", body: form });
    say(t("zip.done", { name: await save(response, "results.zip") }));
  };

  return (
    <aside className={`sidebar${any || files.length ? " compact" : ""}`} aria-label={t("documents")}>
      <DropZone onFiles={add} />
      {files.length > 0 && <Chosen files={files} onClear={() => setFiles([])} />}
      <div className="row actions">
        <button type="button" className="primary" disabled={!ready} onClick={read}>
          {t("read")}
        </button>
        {has(root, "batch") && (
          <button type="button" disabled={!ready} onClick={() => void attempt(readToZip)}>
            {t("read.zip")}
          </button>
        )}
        {has(root, "jobs") && (
          <button type="button" disabled={!ready} title={t("read.job_hint")} onClick={() => void attempt(runJob)}>
            {t("read.job")}
          </button>
        )}
      </div>
      <DocumentList onOpen={onOpen} />
      <OptionsForm options={options} onChange={setOptions} />
    </aside>
  );
}

const NAMES_SHOWN = 5;

function Chosen({ files, onClear }: { files: readonly File[]; onClear: () => void }) {
  const { t, language } = useTexts();
  const size = formatBytes(files.reduce((sum, file) => sum + file.size, 0), language);
  const names = files.slice(0, NAMES_SHOWN).map(nameOf).join(", ");
  return (
    <div className="chosen">
      <p className="row">
        <span>{t("drop.chosen", { count: files.length, size })}</span>
        <span className="grow" />
        <button type="button" className="small" onClick={onClear}>
          {t("drop.clear")}
        </button>
      </p>
      <p className="muted names" title={files.map(nameOf).join("\n")}>
        {files.length > NAMES_SHOWN ? t("job.more", { name: names, count: files.length - NAMES_SHOWN }) : names}
      </p>
    </div>
  );
}
