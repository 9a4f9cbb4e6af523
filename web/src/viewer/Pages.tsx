import { useVirtualizer } from "@tanstack/react-virtual";
import { memo, useEffect, useRef } from "react";

import type { DocumentState } from "../state/documents";
import type { Place } from "../state/places";
import { useTexts } from "../texts";
import { PageRow } from "./PageRow";
import type { Fit, Target, View } from "./types";

interface Props {
  document: DocumentState;
  view: View;
  fit: Fit;
  query: string;
  target: Target | null;
  place: Place | null;
  onTop: (index: number) => void;
  onReady: (scrollTo: (index: number) => void) => void;
}

const GAP = 16;
const TEXT_PER_LINE = 70;
const LINE_PIXELS = 24;

/** The pages one below the other; only those in sight are there. Scrolling draws this and nothing else. */
export const Pages = memo(
  function Pages({ document: shown, view, fit, query, target, place, onTop, onReady }: Props) {
    const { t } = useTexts();
    const scroller = useRef<HTMLDivElement>(null);
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
    const rows = virtualizer.getVirtualItems();
    const top = rows.find((row) => row.end > (virtualizer.scrollOffset ?? 0) + GAP)?.index ?? 0;

    useEffect(() => onReady((index) => virtualizer.scrollToIndex(index, { align: "start" })), [onReady, virtualizer]);
    useEffect(() => onTop(top), [onTop, top]);
    useEffect(() => {
      if (target) virtualizer.scrollToIndex(target.index, { align: "start" });
    }, [target, virtualizer]);

    const placed = place ? shown.pages.findIndex((page) => page.number === place.page) : -1;
    useEffect(() => {
      if (placed >= 0) virtualizer.scrollToIndex(placed, { align: "auto" });
    }, [placed, virtualizer]);

    return (
      <div className={`pages fit-${fit}`} ref={scroller} tabIndex={0} aria-label={t("page.thumbnails")} role="region">
        <div className="pages-inner" style={{ height: virtualizer.getTotalSize() }}>
          {rows.map((row) => {
            const page = shown.pages[row.index];
            if (!page) return null;
            const here = target?.index === row.index ? target : null;
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
                  query={query}
                  nth={here?.nth ?? null}
                  wish={here?.wish ?? 0}
                  place={placed === row.index ? place : null}
                />
              </div>
            );
          })}
        </div>
      </div>
    );
  },
  (a, b) =>
    a.document.pages === b.document.pages &&
    a.view === b.view &&
    a.fit === b.fit &&
    a.query === b.query &&
    a.target === b.target &&
    a.place === b.place,
);

/** The height of a page before it was drawn, near enough that the scroll bar does not jump. */
function estimate(document: DocumentState, index: number, height: number): number {
  const page = document.pages[index];
  const picture = height - 60;
  if (!page?.result) return picture;
  const lines = page.result.blocks.reduce((sum, b) => sum + 1.5 + b.text.length / TEXT_PER_LINE, 0);
  return Math.max(picture, lines * LINE_PIXELS);
}
