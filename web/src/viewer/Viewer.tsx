import { useVirtualizer } from "@tanstack/react-virtual";
import { useDeferredValue, useEffect, useMemo, useRef, useState } from "react";

import type { DocumentState } from "../state/documents";
import { useTexts } from "../texts";
import { findAll, locate } from "./find";
import { PageRow } from "./PageRow";
import { Thumbnails } from "./Thumbnails";
import { Toolbar } from "./Toolbar";

export type View = "read" | "markdown" | "raw" | "json";
export type Fit = "page" | "width";

/** How a found place is to be shown: its page, its number there, and a count that rises with each wish. */
export interface Target {
  index: number;
  nth: number;
  wish: number;
}

const GAP = 16;
const TEXT_PER_LINE = 70;
const LINE_PIXELS = 24;

/** One document: its pages, each a picture beside its text, however many there are. */
export function Viewer({ document: shown }: { document: DocumentState }) {
  const { t } = useTexts();
  const [view, setView] = useState<View>("read");
  const [fit, setFit] = useState<Fit>("page");
  const [query, setQuery] = useState("");
  const [at, setAt] = useState(0);
  const [wish, setWish] = useState(0);
  const scroller = useRef<HTMLDivElement>(null);
  const sought = useDeferredValue(query);
  const hits = useMemo(() => findAll(shown, sought), [shown, sought]);

  const virtualizer = useVirtualizer({
    count: shown.pages.length,
    getScrollElement: () => scroller.current,
    estimateSize: (index) => estimate(shown, index, scroller.current?.clientHeight ?? 800),
    getItemKey: (index) => shown.pages[index]?.number ?? index,
    gap: GAP,
    overscan: 1,
    paddingStart: GAP,
    paddingEnd: GAP,
    useFlushSync: false,
  });

  const found = locate(hits, at);
  useEffect(() => {
    if (found && wish > 0) virtualizer.scrollToIndex(found.index, { align: "start" });
    // Only a wish to go somewhere moves the page; that pages go on arriving does not.
  }, [wish]);

  const go = (step: number): void => {
    if (hits.total === 0) return;
    // The first wish goes to the first place found; only then there is a next.
    if (wish > 0) setAt((now) => (now + step + hits.total) % hits.total);
    setWish((count) => count + 1);
  };
  const search = (words: string): void => {
    setQuery(words);
    setAt(0);
    setWish(0);
  };
  const toPage = (index: number): void => virtualizer.scrollToIndex(index, { align: "start" });
  const rows = virtualizer.getVirtualItems();
  const top = rows.find((row) => row.end > (virtualizer.scrollOffset ?? 0) + GAP)?.index ?? 0;

  return (
    <section className="viewer" aria-label={shown.name}>
      <Toolbar
        document={shown}
        view={view}
        onView={setView}
        fit={fit}
        onFit={setFit}
        find={{ query, at, total: hits.total, stale: sought !== query, onQuery: search, onGo: go }}
      />
      <div className="viewer-body">
        {shown.pages.length > 1 && <Thumbnails document={shown} current={top} onChoose={toPage} />}
        <div className={`pages fit-${fit}`} ref={scroller} tabIndex={0} aria-label={t("page.thumbnails")} role="region">
          <div className="pages-inner" style={{ height: virtualizer.getTotalSize() }}>
            {rows.map((row) => {
              const page = shown.pages[row.index];
              if (!page) return null;
              return (
                <div
                  key={row.key}
                  data-index={row.index}
                  ref={virtualizer.measureElement}
                  className="page-slot"
                  style={{ transform: `translateY(${row.start}px)` }}
                >
                  <PageRow
                    documentId={shown.id}
                    jobId={shown.jobId}
                    page={page}
                    view={view}
                    query={sought}
                    nth={found?.index === row.index && wish > 0 ? found.nth : null}
                    wish={wish}
                  />
                </div>
              );
            })}
          </div>
        </div>
      </div>
    </section>
  );
}

/** The height of a page before it was drawn, near enough that the scroll bar does not jump. */
function estimate(document: DocumentState, index: number, height: number): number {
  const page = document.pages[index];
  const picture = height - 60;
  if (!page?.result) return picture;
  const lines = page.result.blocks.reduce((sum, b) => sum + 1.5 + b.text.length / TEXT_PER_LINE, 0);
  return Math.max(picture, lines * LINE_PIXELS);
}
