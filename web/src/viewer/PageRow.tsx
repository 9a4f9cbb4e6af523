import { memo, useCallback, useEffect, useRef, useState } from "react";

import { picturePath } from "../api/jobs";
import type { PageState } from "../state/documents";
import { unpack } from "../state/lines";
import { type Place } from "../state/places";
import { usePicture } from "../state/pictures";
import { formatPercent, useTexts } from "../texts";
import { explained, warningText } from "../texts/problems";
import { BlockView } from "./BlockView";
import { lightUp } from "./find";
import { readable } from "./live";
import { PagePicture } from "./PagePicture";
import { toMarkdown } from "./pageText";
import { inTurn } from "./turns";
import type { View } from "./types";

interface Props {
  documentId: string;
  jobId: string | null;
  page: PageState;
  view: View;
  query: string;
  nth: number | null;
  wish: number;
  place: Place | null;
}

/** One page: the picture with its boxes on the left, what was read on the right. */
export const PageRow = memo(function PageRow({ documentId, jobId, page, view, query, nth, wish, place }: Props) {
  const { t, language } = useTexts();
  const [lit, setLit] = useState<number | null>(null);
  const words = useRef<HTMLDivElement>(null);
  const [drawn, setDrawn] = useState(0);
  const path = jobId && page.index !== null ? picturePath(jobId, page.index) : null;
  const picture = usePicture(documentId, page.number, "page", path);
  const result = page.result;

  useEffect(() => {
    if (!words.current || !query.trim()) return;
    const { at, clear } = lightUp(words.current, query, nth);
    if (at) at.startContainer.parentElement?.scrollIntoView({ block: "center" });
    return clear;
  }, [query, nth, wish, result, view, drawn]);

  const toText = useCallback((index: number) => {
    const block = words.current?.querySelector<HTMLElement>(`[data-block="${index}"]`);
    block?.scrollIntoView({ block: "nearest", behavior: "smooth" });
    block?.focus({ preventScroll: true });
  }, []);

  const confidence = result?.confidence ?? null;
  const coverage = result?.coverage ?? null;
  const reviewed = place?.block ?? null;
  return (
    <article className={`page status-${page.status}`} aria-label={t("page", { number: page.number })}>
      <header className="page-head">
        <h3>{t("page", { number: page.number })}</h3>
        <span className={`badge ${page.status}`}>{t(`status.${page.status}`)}</span>
        {confidence !== null && <span className="muted">{t("block.confidence", { percent: formatPercent(confidence, language) })}</span>}
        {coverage !== null && <span className="muted">{t("page.coverage", { percent: formatPercent(coverage, language) })}</span>}
      </header>
      <div className="page-body">
        <PagePicture page={page} picture={picture} lit={lit ?? reviewed} place={place} onLight={setLit} onChoose={toText} />
        <div className="words" ref={words}>
          <Notes page={page} />
          <Words
            documentId={documentId}
            page={page}
            view={view}
            picture={picture}
            lit={lit ?? reviewed}
            onLight={setLit}
            onDrawn={setDrawn}
          />
        </div>
      </div>
    </article>
  );
});

function Notes({ page }: { page: PageState }) {
  const { t, language } = useTexts();
  const { result } = page;
  const error = page.error && explained(page.error, t, language);
  const disagreements = result?.disagreements ?? [];
  return (
    <>
      {page.status === "failed" && (
        <p className="note failed" role="note">
          <strong>{t("page.failed")}</strong> {error?.message} {error?.remedy && t("remedy", { remedy: error.remedy })}
        </p>
      )}
      {result?.warnings.map((warning) => (
        <p className="note degraded" role="note" key={warning}>
          {warningText(warning, t, language)}
        </p>
      ))}
      {disagreements.length > 0 && (
        <div className="note disagreement" role="note">
          <strong>{t("disagreements")}</strong>
          <ul>
            {disagreements.map(({ reading, other_reading }, index) => (
              <li key={index}>{t("disagreement", { text: reading || "–", other: other_reading || "–" })}</li>
            ))}
          </ul>
        </div>
      )}
    </>
  );
}

interface WordsProps {
  documentId: string;
  page: PageState;
  view: View;
  picture: Blob | null;
  lit: number | null;
  onLight: (index: number | null) => void;
  onDrawn: (blocks: number) => void;
}

const BLOCKS_AT_ONCE = 6;

/** How many of a page's blocks to draw: a few more with each turn. */
function useMoreEachTurn(count: number, onDrawn: (blocks: number) => void): number {
  const [drawn, setDrawn] = useState(0);
  useEffect(() => {
    onDrawn(Math.min(drawn, count));
    if (drawn < count) return inTurn(() => setDrawn(drawn + BLOCKS_AT_ONCE));
  }, [drawn, count, onDrawn]);
  return drawn;
}

function Words({ documentId, page, view, picture, lit, onLight, onDrawn }: WordsProps) {
  const { t } = useTexts();
  const { result } = page;
  const drawn = useMoreEachTurn(result?.blocks.length ?? 0, onDrawn);
  if (!result) {
    return page.text ? (
      <div className="live">{readable(page.text)}</div>
    ) : (
      <p className="muted">{page.status === "failed" ? "" : t(`status.${page.status}`)}</p>
    );
  }
  if (view === "json") return <pre tabIndex={0}>{JSON.stringify(unpack(result), null, 2)}</pre>;
  if (view === "raw") return <pre tabIndex={0}>{result.raw}</pre>;
  if (view === "markdown") return <pre tabIndex={0}>{toMarkdown(page)}</pre>;
  if (result.blocks.length === 0 && page.status !== "failed") return <p className="muted">{t("page.blank")}</p>;
  return (
    <>
      {result.blocks.slice(0, drawn).map((block, index) => (
        <BlockView
          key={index}
          documentId={documentId}
          page={page}
          block={block}
          index={index}
          picture={picture}
          lit={lit === index}
          onLight={onLight}
        />
      ))}
    </>
  );
}
