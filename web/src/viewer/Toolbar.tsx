import { useEffect, useRef, useState } from "react";

import { describe } from "../api/client";
import { type DocumentState } from "../state/documents";
import { cancel, retry } from "../state/reader";
import { say } from "../state/messages";
import { formatNumber, formatSeconds, useTexts } from "../texts";
import { Downloads } from "./Downloads";
import { documentMarkdown } from "./pageText";
import type { Fit, View } from "./types";

interface Find {
  query: string;
  at: number;
  total: number;
  stale: boolean;
  onQuery: (query: string) => void;
  onGo: (step: number) => void;
}

interface Props {
  document: DocumentState;
  view: View;
  onView: (view: View) => void;
  fit: Fit;
  onFit: (fit: Fit) => void;
  find: Find;
}

const VIEWS: View[] = ["read", "markdown", "raw", "json"];

export function Toolbar({ document: shown, view, onView, fit, onFit, find }: Props) {
  const { t } = useTexts();
  const copy = async (): Promise<void> => {
    try {
      await navigator.clipboard.writeText(documentMarkdown(shown));
      say(t("copied"));
    } catch (error) {
      say(describe(error).message, "error");
    }
  };
  const failed = shown.pages.filter((page) => page.status === "failed").map((page) => page.number);
  const finished = shown.status !== "reading" && shown.status !== "queued";
  return (
    <div className="toolbar">
      <div className="row title-row">
        <h2 title={shown.name}>{shown.name}</h2>
        <Progress document={shown} />
        {shown.status === "reading" && shown.file && (
          <button type="button" onClick={() => cancel(shown.id)}>
            {t("cancel")}
          </button>
        )}
        {finished && shown.file && failed.length > 0 && (
          <button type="button" onClick={() => retry(shown.id)}>
            {t("retry", { count: failed.length })}
          </button>
        )}
      </div>
      <div className="row">
        <div className="segments" role="group" aria-label={t("view")}>
          {VIEWS.map((name) => (
            <button type="button" key={name} aria-pressed={view === name} onClick={() => onView(name)}>
              {t(`view.${name}`)}
            </button>
          ))}
        </div>
        <FindBox {...find} />
        <span className="grow" />
        <button type="button" onClick={() => onFit(fit === "page" ? "width" : "page")}>
          {t(fit === "page" ? "fit.width" : "fit.page")}
        </button>
        <button type="button" onClick={() => void copy()}>
          {t("copy")}
        </button>
        <Downloads document={shown} />
      </div>
    </div>
  );
}

function Progress({ document: shown }: { document: DocumentState }) {
  const { t, language } = useTexts();
  const total = shown.pages.length;
  const now = useClock(shown.status === "reading");
  const seconds = shown.began === null ? 0 : ((shown.ended ?? now) - shown.began) / 1000;
  const rate = seconds > 0 ? shown.finished / seconds : 0;
  const left = rate > 0 ? (total - shown.finished) / rate : 0;
  return (
    <div className="progress">
      <span className={`badge ${shown.status}`}>{t(`status.${shown.status}`)}</span>
      {total > 0 && (
        <>
          {shown.status === "reading" && <progress max={total} value={shown.finished} aria-label={t("status.reading")} />}
          <span className="numbers">{t("pages_of", { done: shown.finished, total })}</span>
          {rate > 0 && shown.file && <span className="muted">{t("rate", { rate: formatNumber(rate, language, 2) })}</span>}
          {shown.status === "reading" && left > 0 && (
            <span className="muted">{t("left", { time: formatSeconds(left, language) })}</span>
          )}
        </>
      )}
      {shown.error && (
        <span className="note failed" role="alert">
          {shown.error.message} {shown.error.remedy && t("remedy", { remedy: shown.error.remedy })}
        </span>
      )}
    </div>
  );
}

function useClock(running: boolean): number {
  const [now, setNow] = useState(() => performance.now());
  useEffect(() => {
    if (!running) return;
    const timer = setInterval(() => setNow(performance.now()), 1000);
    return () => clearInterval(timer);
  }, [running]);
  return now;
}

function FindBox({ query, at, total, stale, onQuery, onGo }: Find) {
  const { t } = useTexts();
  const input = useRef<HTMLInputElement>(null);
  useEffect(() => {
    const listen = (event: KeyboardEvent): void => {
      if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "f" && !event.shiftKey) {
        event.preventDefault();
        input.current?.focus();
        input.current?.select();
      }
    };
    window.addEventListener("keydown", listen);
    return () => window.removeEventListener("keydown", listen);
  }, []);
  const state = !query.trim() || stale ? "" : total ? t("find.count", { at: at + 1, count: total }) : t("find.none");
  return (
    <div className="find" role="search">
      <input
        ref={input}
        type="search"
        value={query}
        placeholder={t("find")}
        aria-label={t("find")}
        onChange={(event) => onQuery(event.target.value)}
        onKeyDown={(event) => {
          if (event.key === "Enter") onGo(event.shiftKey ? -1 : 1);
          if (event.key === "Escape") onQuery("");
        }}
      />
      <span className="muted find-state" aria-live="polite">
        {state}
      </span>
      <button type="button" className="small" disabled={!total} onClick={() => onGo(-1)} aria-label={t("find.previous")}>
        ↑
      </button>
      <button type="button" className="small" disabled={!total} onClick={() => onGo(1)} aria-label={t("find.next")}>
        ↓
      </button>
    </div>
  );
}
