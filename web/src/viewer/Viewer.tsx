import { Suspense, useCallback, useDeferredValue, useEffect, useMemo, useRef, useState } from "react";

import { part } from "../parts";
import type { DocumentState } from "../state/documents";
import { type Place, placesIn } from "../state/places";
import { findAll, locate } from "./find";
import { Pages } from "./Pages";
import { Thumbnails } from "./Thumbnails";
import { Toolbar } from "./Toolbar";
import type { Fit, Target, View } from "./types";

const Review = part(async () => (await import("./Review")).Review);

/** One document: its pages, each a picture beside its text, however many there are. */
export function Viewer({ document: shown, onBack }: { document: DocumentState; onBack: () => void }) {
  const [view, setView] = useState<View>("read");
  const [fit, setFit] = useState<Fit>("page");
  const [top, setTop] = useState(0);
  const [place, setPlace] = useState<Place | null>(null);
  const [reviewing, setReviewing] = useState(false);
  const { find, sought, target } = useFind(shown);
  const toPage = useRef<(index: number) => void>(() => undefined);
  const choose = useCallback((index: number) => toPage.current(index), []);
  const places = useMemo(() => placesIn(shown), [shown]);
  const showReview = useCallback((wanted: boolean) => {
    setView("read");
    setReviewing(wanted);
    setPlace(null);
    if (!wanted) document.querySelector<HTMLElement>('[aria-keyshortcuts="F8"]')?.focus();
  }, []);
  useEffect(() => {
    const listen = (event: KeyboardEvent): void => {
      if (event.key === "F8" && places.length > 0) showReview(!reviewing);
    };
    window.addEventListener("keydown", listen);
    return () => window.removeEventListener("keydown", listen);
  }, [places.length, reviewing, showReview]);
  const review = {
    open: places.filter((each) => !each.review).length,
    count: places.length,
    shown: reviewing,
    onShow: () => showReview(!reviewing),
  };

  return (
    <section className={`viewer${reviewing ? " reviewing" : ""}`} aria-label={shown.name}>
      <Toolbar document={shown} view={view} onView={setView} fit={fit} onFit={setFit} find={find} review={review} onBack={onBack} />
      <div className="viewer-body">
        {shown.pages.length > 1 && <Thumbnails document={shown} current={top} onChoose={choose} />}
        <Pages
          document={shown}
          view={view}
          fit={fit}
          query={sought}
          target={target}
          place={place}
          onTop={setTop}
          onReady={(scroll) => (toPage.current = scroll)}
        />
      </div>
      <Suspense fallback={null}>
        {reviewing && <Review document={shown} places={places} onPlace={setPlace} onClose={review.onShow} />}
      </Suspense>
    </section>
  );
}

/** What is looked for, where it was found, and how to walk from one to the next. */
function useFind(shown: DocumentState) {
  const [query, setQuery] = useState("");
  const [at, setAt] = useState(0);
  const [wish, setWish] = useState(0);
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
  const index = found?.index ?? -1;
  const nth = found?.nth ?? -1;
  const target = useMemo<Target | null>(() => (index < 0 ? null : { index, nth, wish }), [index, nth, wish]);
  return { sought, target, find: { query, at, total: hits.total, stale: sought !== query, onQuery: search, onGo: go } };
}
