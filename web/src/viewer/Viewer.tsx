import { useCallback, useDeferredValue, useMemo, useRef, useState } from "react";

import type { DocumentState } from "../state/documents";
import { findAll, locate } from "./find";
import { Pages } from "./Pages";
import { Thumbnails } from "./Thumbnails";
import { Toolbar } from "./Toolbar";
import type { Fit, Target, View } from "./types";

/** One document: its pages, each a picture beside its text, however many there are. */
export function Viewer({ document: shown }: { document: DocumentState }) {
  const [view, setView] = useState<View>("read");
  const [fit, setFit] = useState<Fit>("page");
  const [query, setQuery] = useState("");
  const [at, setAt] = useState(0);
  const [wish, setWish] = useState(0);
  const [top, setTop] = useState(0);
  const toPage = useRef<(index: number) => void>(() => undefined);
  const sought = useDeferredValue(query);
  const hits = useMemo(() => findAll(shown, sought), [shown, sought]);
  const found = wish > 0 ? locate(hits, at) : null;

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
  const choose = useCallback((index: number) => toPage.current(index), []);
  const index = found?.index ?? -1;
  const nth = found?.nth ?? -1;
  const target = useMemo<Target | null>(() => (index < 0 ? null : { index, nth, wish }), [index, nth, wish]);

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
        {shown.pages.length > 1 && <Thumbnails document={shown} current={top} onChoose={choose} />}
        <Pages
          document={shown}
          view={view}
          fit={fit}
          query={sought}
          target={target}
          onTop={setTop}
          onReady={(scroll) => (toPage.current = scroll)}
        />
      </div>
    </section>
  );
}
