import { useEffect, useRef, useState } from "react";

import { isLocked, Unlock } from "../panels/Unlock";
import { type DocumentState, isActive, isMissing } from "../state/documents";
import { say } from "../state/messages";
import { cancel, canRetry, retry } from "../state/reader";
import { formatNumber, formatSeconds, useTexts } from "../texts";
import { explained } from "../texts/problems";
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

interface ReviewState {
  open: number;
  count: number;
  shown: boolean;
  onShow: () => void;
}

interface Props {
  document: DocumentState;
  view: View;
  onView: (view: View) => void;
  fit: Fit;
  onFit: (fit: Fit) => void;
  find: Find;
  review: ReviewState;
  onBack: () => void;
}

const VIEWS: View[] = ["read", "markdown", "raw", "json"];

export function Toolbar({ document: shown, view, onView, fit, onFit, find, review, onBack }: Props) {
  const { t } = useTexts();
  const copy = async (): Promise<void> => {
    try {
      await navigator.clipboard.writeText(documentMarkdown(shown));
      say(t("copied"));
    } catch {
      say(t("clipboard.off"), "error");
    }
  };
  return (
    <div className="toolbar">
      <div className="row title-row">
        <button type="button" className="back quiet" onClick={onBack}>
          {t("back")}
        </button>
        <h2 title={shown.name}>{shown.name}</h2>
        <Progress document={shown} />
        <NextStep document={shown} />
        <span className="grow" />
        {review.count > 0 && (
          <button
            type="button"
            className={review.open ? "to-review" : ""}
            aria-pressed={review.shown}
            aria-keyshortcuts="F8"
            onClick={review.onShow}
          >
            {review.open ? t("review.open", { count: review.open }) : t("review.checked")}
          </button>
        )}
        <Downloads document={shown} />
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
        <button type="button" className="fit" onClick={() => onFit(fit === "page" ? "width" : "page")}>
          {t(fit === "page" ? "fit.width" : "fit.page")}
        </button>
        <button type="button" onClick={() => void copy()}>
          {t("copy")}
        </button>
      </div>
    </div>
  );
}

/** What can be done about a document as it stands: stop it, unlock it, read what is missing. */
function NextStep({ document: shown }: { document: DocumentState }) {
  const { t } = useTexts();
  if (shown.file && isActive(shown)) {
    return (
      <button type="button" onClick={() => cancel(shown.id)}>
        {t("cancel")}
      </button>
    );
  }
  if (isLocked(shown)) return <Unlock document={shown} />;
  if (!canRetry(shown)) return null;
  const missing = shown.pages.filter(isMissing).length;
  return (
    <button type="button" onClick={() => retry(shown.id)}>
      {missing ? t("retry.pages", { count: missing }) : t("retry.all")}
    </button>
  );
}

function Progress({ document: shown }: { document: DocumentState }) {
  const { t, language } = useTexts();
  const total = shown.pages.length;
  const now = useClock(shown.status === "reading");
  const seconds = shown.began === null ? 0 : ((shown.ended ?? now) - shown.began) / 1000;
  const rate = seconds > 0 ? shown.finished / seconds : 0;
  const left = rate > 0 ? (total - shown.finished) / rate : 0;
  const error = shown.error && explained(shown.error, t, language);
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
      {error && (
        <span className="note failed" role="alert">
          {error.message} {error.remedy && t("remedy", { remedy: error.remedy })}
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
