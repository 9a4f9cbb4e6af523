import { useState } from "react";

import { type DocumentState, isActive, isMissing, remove, selected, useDocuments } from "../state/documents";
import { clearDrafts } from "../state/drafts";
import { canRetry, cancel, cancelAll, retry } from "../state/reader";
import { service } from "../state/service";
import { useStore } from "../state/store";
import { formatNumber, useTexts } from "../texts";
import { explained } from "../texts/problems";
import { isLocked, Unlock } from "./Unlock";

/** What was read, what is being read, and how far all of it is. */
export function DocumentList({ onOpen }: { onOpen: () => void }) {
  const { t } = useTexts();
  const all = useDocuments();
  const current = useStore(selected);
  const { info } = useStore(service);
  return (
    <section className="document-list" aria-label={t("documents")}>
      <h2>{t("documents")}</h2>
      {all.length === 0 ? (
        <p className="muted">
          {t("documents.none")} {t("open_json")}
        </p>
      ) : (
        <Overall all={all} />
      )}
      <ul>
        {all.map((document) => (
          <Row key={document.id} document={document} current={document.id === current} onOpen={onOpen} />
        ))}
      </ul>
      {all.length > 0 && info && <p className="muted">{t(info.page.drafts ? "drafts.kept" : "drafts.off")}</p>}
    </section>
  );
}

function Overall({ all }: { all: readonly DocumentState[] }) {
  const { t, language } = useTexts();
  const [asking, setAsking] = useState(false);
  const active = all.some((document) => isActive(document) && document.file);
  const done = all.filter((document) => !isActive(document)).length;
  const pages = all.reduce((sum, document) => sum + document.finished, 0);
  const clear = (): void => {
    setAsking(false);
    cancelAll();
    void clearDrafts();
  };
  const told = t("documents.progress", { done, total: all.length, pages: formatNumber(pages, language) });
  return (
    <div className="overall">
      {active && <progress max={all.length} value={progressOf(all)} aria-label={told} />}
      <div className="row wrap">
        <span className="muted grow">{told}</span>
        {active && (
          <button type="button" className="small" onClick={cancelAll}>
            {t("cancel_all")}
          </button>
        )}
        {!asking && (
          <button type="button" className="small" onClick={() => setAsking(true)}>
            {t("clear_all")}
          </button>
        )}
      </div>
      {asking && (
        <div className="note row wrap" role="alert">
          <span>{t("clear_all.sure")}</span>
          <button type="button" className="small" onClick={clear} autoFocus>
            {t("clear_all.yes")}
          </button>
          <button type="button" className="small" onClick={() => setAsking(false)}>
            {t("cancel")}
          </button>
        </div>
      )}
    </div>
  );
}

/** Documents that are done, and the done part of those that are being read. */
function progressOf(all: readonly DocumentState[]): number {
  return all.reduce((sum, document) => {
    if (!isActive(document)) return sum + 1;
    return sum + (document.pages.length ? document.finished / document.pages.length : 0);
  }, 0);
}

function Row({ document: shown, current, onOpen }: { document: DocumentState; current: boolean; onOpen: () => void }) {
  const { t } = useTexts();
  const active = isActive(shown) && shown.file !== null;
  const open = (): void => {
    selected.set(shown.id);
    onOpen();
  };
  return (
    <li className={current ? "current" : ""}>
      <div className="document-row">
        <button type="button" className="choose" aria-current={current ? "true" : undefined} onClick={open}>
          <span className="name" title={shown.name}>
            {shown.name}
          </span>
          <span className={`muted ${toneOf(shown)}`}>
            {t(`status.${shown.status}`)}
            {shown.pages.length > 0 && ` · ${shown.finished}/${shown.pages.length}`}
            {failedPages(shown) > 0 && ` · ${t("job.failed_of", { failed: failedPages(shown), total: shown.pages.length })}`}
          </span>
          {shown.status === "reading" && shown.pages.length > 0 && (
            <progress max={shown.pages.length} value={shown.finished} aria-label={shown.name} />
          )}
        </button>
        <button
          type="button"
          className="small quiet"
          aria-label={`${t(active ? "cancel" : "remove")}: ${shown.name}`}
          title={t(active ? "cancel" : "remove")}
          onClick={() => (active ? cancel(shown.id) : remove(shown.id))}
        >
          {active ? "■" : "×"}
        </button>
      </div>
      <Trouble document={shown} />
    </li>
  );
}

/** Why a document is not there as a whole, and what to do about it. */
function Trouble({ document: shown }: { document: DocumentState }) {
  const { t, language } = useTexts();
  if (isLocked(shown)) return <Unlock document={shown} />;
  if (!canRetry(shown)) return null;
  const missing = shown.pages.filter(isMissing).length;
  const why = shown.error && explained(shown.error, t, language).message;
  return (
    <div className="row wrap trouble">
      {why && <span className="bad">{why}</span>}
      <button type="button" className="small" onClick={() => retry(shown.id)} aria-label={`${t("retry.all")}: ${shown.name}`}>
        {shown.pages.length ? t("retry.pages", { count: missing }) : t("retry.all")}
      </button>
    </div>
  );
}

const failedPages = (document: DocumentState): number => document.pages.filter((page) => page.status === "failed").length;

/** How well it went, as a class: a document most of whose pages failed did not go well. */
export function toneOf(document: DocumentState): "good" | "warn" | "bad" | "" {
  if (document.status === "failed") return "bad";
  if (document.status !== "done") return "";
  const failed = failedPages(document);
  return failed === 0 ? "good" : failed * 2 > document.pages.length ? "bad" : "warn";
}
