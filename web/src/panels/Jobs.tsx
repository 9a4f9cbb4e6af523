import { useEffect, useState } from "react";

import { request, save } from "../api/client";
import { act, eraseJob } from "../api/jobs";
import type { Job } from "../api/types";
import { closeJob, jobs, openJob, refreshJobs } from "../state/jobs";
import { say } from "../state/messages";
import { has, service } from "../state/service";
import { useStore } from "../state/store";
import { formatNumber, formatSeconds, type Language, useTexts } from "../texts";
import { reasonText, sayProblem } from "../texts/problems";
import { Dialog } from "./Dialog";

const POLL_MS = 1000;

interface Props {
  onClose: () => void;
  onOpen: () => void;
}

/** All of the caller's jobs, the newest first. */
export function Jobs({ onClose, onOpen }: Props) {
  const { t } = useTexts();
  const { root, unreachable } = useStore(service);
  const all = useStore(jobs);
  const on = has(root, "jobs");
  useEffect(() => {
    if (!on || unreachable) return;
    const look = (): void => void refreshJobs().catch(sayProblem);
    look();
    const timer = setInterval(look, POLL_MS);
    return () => clearInterval(timer);
  }, [on, unreachable]);
  return (
    <Dialog title={t("jobs")} onClose={onClose}>
      {!on && <p>{t("jobs.off", { why: root?.features["jobs"]?.reason ?? "" })}</p>}
      {on && all?.length === 0 && <p className="muted">{t("jobs.none")}</p>}
      <ul>
        {all?.map((job) => (
          <li key={job.id}>
            <JobRow job={job} onClose={onClose} onOpen={onOpen} />
          </li>
        ))}
      </ul>
    </Dialog>
  );
}

function JobRow({ job, onClose, onOpen }: { job: Job } & Props) {
  const { t, language } = useTexts();
  const { ledger } = job;
  const done = ledger.ok + ledger.degraded + ledger.failed;
  const total = ledger.expected ?? "?";
  const title = useTitle(job);
  const open = (): void => {
    void openJob(job.id, title);
    onOpen();
    onClose();
  };
  return (
    <article className="job" aria-label={title} data-job={job.id}>
      <div className="row wrap">
        <span className="name">{title}</span>
        <span className="muted">{timeOf(job.created_at, language)}</span>
        <span className="muted">{t("job.files", { count: job.files })}</span>
        <Badge job={job} />
        {job.reason && <span className="muted">{reasonText(job.reason, t)}</span>}
      </div>
      <progress max={ledger.expected ?? 1} value={ledger.expected ? done : 0} aria-label={t("pages_of", { done, total })} />
      <div className="row wrap muted">
        <span>{t("pages_of", { done, total })}</span>
        {job.pages_per_second > 0 && <span>{t("rate", { rate: formatNumber(job.pages_per_second, language, 2) })}</span>}
        {job.seconds_left !== null && <span>{t("left", { time: formatSeconds(job.seconds_left, language) })}</span>}
        <span>{t("ledger", { ok: ledger.ok, degraded: ledger.degraded, failed: ledger.failed })}</span>
      </div>
      <div className="row wrap">
        <button type="button" className="primary small" onClick={open} disabled={done === 0 && job.status !== "running"}>
          {t("job.open")}
        </button>
        <Actions job={job} />
      </div>
    </article>
  );
}

/** What a job is known by: its first file and how many more, else when it was sent. */
function useTitle(job: Job): string {
  const { t, language } = useTexts();
  const name = job.filenames[0];
  if (!name) return timeOf(job.created_at, language);
  return job.files > 1 ? t("job.more", { name, count: job.files - 1 }) : name;
}

function timeOf(iso: string, language: Language): string {
  return new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "medium" }).format(new Date(iso));
}

/** How it went: a job that is done but lost pages is not green, and one that lost most of them is red. */
function Badge({ job }: { job: Job }) {
  const { t } = useTexts();
  const { failed, expected } = job.ledger;
  if (job.status !== "done" || failed === 0) {
    return <span className={`badge ${job.status}`}>{t(`status.${job.status}`)}</span>;
  }
  const most = failed * 2 > (expected ?? 0);
  return (
    <span className={`badge ${most ? "failed" : "degraded"}`}>
      {t("job.partly")} · {t("job.failed_of", { failed, total: expected ?? "?" })}
    </span>
  );
}

function Actions({ job }: { job: Job }) {
  const { t } = useTexts();
  const [asking, setAsking] = useState(false);
  const ended = job.status === "done" || job.status === "failed" || job.status === "cancelled";
  const attempt = (work: () => Promise<void>) => (): void => {
    work().then(refreshJobs).catch(sayProblem);
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
    <>
      <button type="button" className="small" onClick={attempt(download)} disabled={job.ledger.expected === null}>
        {t("job.result")}
      </button>
      {!ended && (
        <button type="button" className="small" onClick={attempt(() => act(job.id, "cancel"))}>
          {t("cancel")}
        </button>
      )}
      {ended && (job.ledger.failed > 0 || (job.ledger.pending ?? 0) > 0) && (
        <button type="button" className="small" onClick={attempt(retry)}>
          {t("job.retry")}
        </button>
      )}
      {asking ? (
        <span className="row wrap" role="alert">
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
    </>
  );
}
