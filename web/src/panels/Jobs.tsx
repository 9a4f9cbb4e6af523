import { useEffect, useState } from "react";

import { describe, request, save } from "../api/client";
import { act, eraseJob } from "../api/jobs";
import type { Job } from "../api/types";
import { closeJob, jobs, openJob, refreshJobs } from "../state/jobs";
import { say } from "../state/messages";
import { has, service } from "../state/service";
import { useStore } from "../state/store";
import { formatNumber, formatSeconds, useTexts } from "../texts";
import { Dialog } from "./Dialog";

const POLL_MS = 1000;

/** All of the caller's jobs, the newest first. */
export function Jobs({ onClose }: { onClose: () => void }) {
  const { t } = useTexts();
  const { root } = useStore(service);
  const all = useStore(jobs);
  const on = has(root, "jobs");
  useEffect(() => {
    if (!on) return;
    const look = (): void => void refreshJobs().catch((error: unknown) => say(describe(error).message, "error"));
    look();
    const timer = setInterval(look, POLL_MS);
    return () => clearInterval(timer);
  }, [on]);
  return (
    <Dialog title={t("jobs")} onClose={onClose}>
      {!on && <p>{t("jobs.off", { why: root?.features["jobs"]?.reason ?? "" })}</p>}
      {on && all?.length === 0 && <p className="muted">{t("jobs.none")}</p>}
      <ul>
        {all?.map((job) => (
          <li key={job.id}>
            <JobRow job={job} onClose={onClose} />
          </li>
        ))}
      </ul>
    </Dialog>
  );
}

function JobRow({ job, onClose }: { job: Job; onClose: () => void }) {
  const { t, language } = useTexts();
  const [asking, setAsking] = useState(false);
  const { ledger } = job;
  const done = ledger.ok + ledger.degraded + ledger.failed;
  const ended = job.status === "done" || job.status === "failed" || job.status === "cancelled";
  const title = new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "medium" }).format(
    new Date(job.created_at),
  );
  const attempt = (work: () => Promise<void>) => (): void => {
    work()
      .then(refreshJobs)
      .catch((error: unknown) => {
        const { message, remedy } = describe(error);
        say(`${message} ${remedy}`, "error");
      });
  };
  const open = (): void => {
    void openJob(job.id, title);
    onClose();
  };
  const download = async (): Promise<void> => {
    say(t("zip.done", { name: await save(await request(`/jobs/${job.id}/result`), "results.zip") }));
  };
  const erase = async (): Promise<void> => {
    await eraseJob(job.id);
    closeJob(job.id);
    say(t("job.erased"));
  };
  const retry = async (): Promise<void> => {
    closeJob(job.id);
    await act(job.id, "retry");
  };
  return (
    <article className="job" aria-label={title} data-job={job.id}>
      <div className="row">
        <span className="name">{title}</span>
        <span className="muted">{t("job.files", { count: job.files })}</span>
        <span className={`badge ${job.status}`}>{t(`status.${job.status}`)}</span>
        {job.reason && <span className="muted">{job.reason}</span>}
      </div>
      <progress max={ledger.expected ?? 1} value={ledger.expected ? done : 0} aria-label={t("pages_of", { done, total: ledger.expected ?? "?" })} />
      <div className="row wrap muted">
        <span>{t("pages_of", { done, total: ledger.expected ?? "?" })}</span>
        {job.pages_per_second > 0 && <span>{t("rate", { rate: formatNumber(job.pages_per_second, language, 2) })}</span>}
        {job.seconds_left !== null && <span>{t("left", { time: formatSeconds(job.seconds_left, language) })}</span>}
        <span>{t("ledger", { ok: ledger.ok, degraded: ledger.degraded, failed: ledger.failed })}</span>
      </div>
      <div className="row wrap">
        <button type="button" className="primary small" onClick={open} disabled={done === 0 && job.status !== "running"}>
          {t("job.open")}
        </button>
        <button type="button" className="small" onClick={attempt(download)} disabled={ledger.expected === null}>
          {t("job.result")}
        </button>
        {!ended && (
          <button type="button" className="small" onClick={attempt(() => act(job.id, "cancel"))}>
            {t("cancel")}
          </button>
        )}
        {ended && (ledger.failed > 0 || (ledger.pending ?? 0) > 0) && (
          <button type="button" className="small" onClick={attempt(retry)}>
            {t("job.retry")}
          </button>
        )}
        {asking ? (
          <span className="row" role="alert">
            {t("job.erase_sure")}
            <button type="button" className="small" onClick={attempt(erase)} autoFocus>
              {t("job.erase")}
            </button>
            <button type="button" className="small" onClick={() => setAsking(false)}>
              {t("cancel")}
            </button>
          </span>
        ) : (
          <button type="button" className="small" onClick={() => setAsking(true)}>
            {t("job.erase")} …
          </button>
        )}
      </div>
    </article>
  );
}
