import { useVirtualizer } from "@tanstack/react-virtual";
import { type KeyboardEvent, memo, useEffect, useRef, useState } from "react";

import { picturePath } from "../api/jobs";
import type { DocumentState } from "../state/documents";
import type { Place } from "../state/places";
import { usePicture } from "../state/pictures";
import { accept, correct, reviewer, setReviewer } from "../state/review";
import { has, service } from "../state/service";
import { useStore } from "../state/store";
import { useTexts } from "../texts";
import { Picture } from "./Picture";
import { plain } from "./markdown";

interface Props {
  document: DocumentState;
  places: readonly Place[];
  onPlace: (place: Place | null) => void;
  onClose: () => void;
}

const ROW = 30;

/** The doubtful places of a document, walked through by keyboard: accepted, corrected, left. */
export function Review({ document: shown, places, onPlace, onClose }: Props) {
  const { t } = useTexts();
  const [at, setAt] = useState(() => Math.max(0, nextOpen(places, -1)));
  const [correcting, setCorrecting] = useState(false);
  const panel = useRef<HTMLElement>(null);
  const place = places[Math.min(at, places.length - 1)];
  const open = places.filter((each) => !each.review).length;

  useEffect(() => panel.current?.focus(), []);
  useEffect(() => onPlace(place ?? null), [place, onPlace]);

  const go = (index: number): void => {
    setCorrecting(false);
    setAt(Math.min(Math.max(0, index), places.length - 1));
    panel.current?.focus();
  };
  const decide = (work: (place: Place) => void): void => {
    if (!place) return;
    work(place);
    const next = nextOpen(places, at);
    go(next < 0 ? at : next);
  };
  const acts: Acts = {
    accept: () => decide((each) => accept(shown.id, each)),
    takeOther: () => decide((each) => correct(shown.id, each, each.other)),
    correct: (text) => decide((each) => correct(shown.id, each, text)),
    begin: () => setCorrecting(true),
    stop: () => go(at),
    next: () => go(at + 1),
    previous: () => go(at - 1),
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    if (event.target !== event.currentTarget || event.ctrlKey || event.metaKey || event.altKey) return;
    const act = place && keyOf(event.key, place, acts, onClose);
    if (!act) return;
    event.preventDefault();
    act();
  };

  return (
    <section className="review" ref={panel} tabIndex={0} role="group" aria-label={t("review.title")} onKeyDown={onKeyDown}>
      <List places={places} at={at} onGo={go} />
      {place && (
        <div className="review-place">
          <p className="row wrap" role="status">
            <strong>{t(`review.${place.kind}`)}</strong>
            <span className="muted">{t("review.at", { at: at + 1, count: places.length, open })}</span>
            {place.review && <span className="badge ok">{t(`review.${place.review.decision}`)}</span>}
          </p>
          <Crop document={shown} place={place} />
          {correcting ? <Correction key={at} place={place} acts={acts} /> : <Choices place={place} acts={acts} onClose={onClose} />}
          <p className="muted row wrap">
            <span className="grow keys">{t("review.keys")}</span>
            <Name />
          </p>
        </div>
      )}
    </section>
  );
}

interface Acts {
  accept: () => void;
  takeOther: () => void;
  correct: (text: string) => void;
  begin: () => void;
  stop: () => void;
  next: () => void;
  previous: () => void;
}

function keyOf(key: string, place: Place, acts: Acts, close: () => void): (() => void) | undefined {
  const keys: Record<string, () => void> = {
    a: acts.accept,
    Enter: acts.accept,
    e: acts.begin,
    ArrowDown: acts.next,
    ArrowRight: acts.next,
    ArrowUp: acts.previous,
    ArrowLeft: acts.previous,
    Escape: close,
  };
  if (place.other) keys["o"] = acts.takeOther;
  return keys[key.length === 1 ? key.toLowerCase() : key];
}

/** The next place after `at` that is open, from the beginning again where there is none; -1 where all are decided. */
function nextOpen(places: readonly Place[], at: number): number {
  const after = places.findIndex((place, index) => index > at && !place.review);
  return after >= 0 ? after : places.findIndex((place, index) => index !== at && !place.review);
}

const List = memo(function List({ places, at, onGo }: { places: readonly Place[]; at: number; onGo: (at: number) => void }) {
  const { t } = useTexts();
  const scroller = useRef<HTMLDivElement>(null);
  const virtualizer = useVirtualizer({
    count: places.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => ROW,
    useFlushSync: false,
  });
  useEffect(() => {
    virtualizer.scrollToIndex(at, { align: "auto" });
  }, [at, virtualizer]);
  return (
    <div className="review-list" ref={scroller}>
      <ul style={{ height: virtualizer.getTotalSize(), position: "relative" }}>
        {virtualizer.getVirtualItems().map((row) => {
          const place = places[row.index];
          if (!place) return null;
          return (
            <li key={row.key} style={{ transform: `translateY(${row.start}px)` }}>
              <button
                type="button"
                tabIndex={-1}
                aria-current={row.index === at ? "true" : undefined}
                className={place.review ? "decided" : place.kind}
                title={plain(place.reading) || t(`review.${place.kind}`)}
                onClick={() => onGo(row.index)}
              >
                <span>{place.review ? "✓" : "○"}</span> {t("page", { number: place.page })}:{" "}
                {plain(place.reading).slice(0, 60) || t(`review.${place.kind}`)}
              </button>
            </li>
          );
        })}
      </ul>
    </div>
  );
});

/** The place itself, cut out of the page with something around it. */
function Crop({ document: shown, place }: { document: DocumentState; place: Place }) {
  const { t } = useTexts();
  const page = shown.pages.find((each) => each.number === place.page);
  const path = shown.jobId && page && page.index !== null ? picturePath(shown.jobId, page.index) : null;
  const picture = usePicture(shown.id, place.page, "page", path);
  if (!picture || !place.box || !page) return null;
  const [x0, y0, x1, y1] = place.box;
  const room = Math.max(12, (y1 - y0) * 0.6);
  const box = [
    Math.max(0, x0 - 2 * room),
    Math.max(0, y0 - room),
    Math.min(page.width, x1 + 2 * room),
    Math.min(page.height, y1 + room),
  ] as const;
  return (
    <div className="review-crop">
      <Picture key={box.join()} picture={picture} label={t("review.picture")} part={{ box: [...box], of: page.width }} />
    </div>
  );
}

function Choices({ place, acts, onClose }: { place: Place; acts: Acts; onClose: () => void }) {
  const { t } = useTexts();
  return (
    <>
      {place.reading && <p className="review-reading">{plain(place.reading)}</p>}
      <div className="row wrap">
        <button type="button" className="primary small" onClick={acts.accept}>
          {t(place.kind === "unread" ? "review.accept_unread" : "review.accept")}
        </button>
        {place.other && (
          <button type="button" className="small" onClick={acts.takeOther}>
            {t("review.other", { text: place.other })}
          </button>
        )}
        <button type="button" className="small" onClick={acts.begin}>
          {t("review.correct")}
        </button>
        <span className="grow" />
        <button type="button" className="small" onClick={acts.previous} aria-label={t("review.previous")}>
          ↑
        </button>
        <button type="button" className="small" onClick={acts.next} aria-label={t("review.next")}>
          ↓
        </button>
        <button type="button" className="small" onClick={onClose}>
          {t("close")}
        </button>
      </div>
    </>
  );
}

function Correction({ place, acts }: { place: Place; acts: Acts }) {
  const { t } = useTexts();
  const [text, setText] = useState(place.reading);
  const onKeyDown = (event: KeyboardEvent): void => {
    if (event.key === "Escape") acts.stop();
    if (event.key !== "Enter" || event.shiftKey) return;
    event.preventDefault();
    acts.correct(text);
  };
  return (
    <div className="row wrap">
      <textarea
        className="grow"
        autoFocus
        rows={text.length > 90 ? 3 : 1}
        value={text}
        aria-label={t("review.text")}
        onFocus={(event) => event.target.select()}
        onChange={(event) => setText(event.target.value)}
        onKeyDown={onKeyDown}
      />
      <button type="button" className="primary small" onClick={() => acts.correct(text)}>
        {t("save")}
      </button>
      <button type="button" className="small" onClick={acts.stop}>
        {t("cancel")}
      </button>
    </div>
  );
}

/** Who reviews, where no login says it. */
function Name() {
  const { t } = useTexts();
  const { root } = useStore(service);
  if (has(root, "accounts")) return null;
  return (
    <input
      defaultValue={reviewer() ?? ""}
      maxLength={200}
      placeholder={t("review.name")}
      aria-label={t("review.name")}
      onChange={(event) => setReviewer(event.target.value)}
    />
  );
}
