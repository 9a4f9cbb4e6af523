import { type CSSProperties, memo, useEffect, useRef } from "react";

import type { Box } from "../api/types";
import { isDoubtful } from "../state/confidence";
import type { PageState } from "../state/documents";
import type { Place } from "../state/places";
import { useTexts } from "../texts";
import { Picture } from "./Picture";

interface Props {
  page: PageState;
  picture: Blob | null;
  lit: number | null;
  /** The place that is being reviewed, where it is on this page. */
  place: Place | null;
  onLight: (index: number | null) => void;
  onChoose: (index: number) => void;
}

/** The page as it looks, each block's boxes over it. */
export const PagePicture = memo(function PagePicture({ page, picture, lit, place, onLight, onChoose }: Props) {
  const { t } = useTexts();
  const { width, height, result } = page;
  const litBox = useRef<SVGRectElement>(null);

  const placeBox = useRef<SVGRectElement>(null);
  useEffect(() => {
    placeBox.current?.scrollIntoView({ block: "center" });
  }, [place]);
  useEffect(() => {
    // A box that is out of sight comes into it, without moving the text that is being pointed at.
    const box = litBox.current?.getBoundingClientRect();
    const frame = litBox.current?.closest(".picture")?.getBoundingClientRect();
    if (box && frame && (box.bottom < frame.top || box.top > frame.bottom)) {
      litBox.current?.scrollIntoView({ block: "nearest" });
    }
  }, [lit]);

  if (!width || !height) return <div className="picture empty" aria-hidden="true" />;
  return (
    <div className="picture">
      <div className="sheet" style={{ "--aspect": width / height } as CSSProperties}>
        {picture && <Picture picture={picture} label={t("page.picture", { number: page.number })} widest={width} />}
        <svg viewBox={`0 0 ${width} ${height}`} aria-hidden="true">
          {result?.blocks.map((block, index) =>
            block.boxes.map((box, part) => (
              <rect
                key={`${index}-${part}`}
                ref={lit === index && part === 0 ? litBox : null}
                {...rectangle(box)}
                data-box={index}
                className={boxClass(block.label, isDoubtful(block.confidence), lit === index)}
                onPointerEnter={() => onLight(index)}
                onPointerLeave={() => onLight(null)}
                onClick={() => onChoose(index)}
              />
            )),
          )}
          {result?.blocks
            .flatMap((block) => block.doubts)
            .map((line, index) => <rect key={index} {...rectangle(line.box)} className="doubtful-line" />)}
          <Unread page={page} />
          {result?.disagreements
            ?.map(({ box, other_box }) => box ?? other_box)
            .filter((box) => box !== null)
            .map((box, index) => <rect key={index} {...rectangle(box)} className="disagreement" />)}
          {place?.box && <rect {...rectangle(place.box)} className="reviewed-place" ref={placeBox} />}
        </svg>
      </div>
    </div>
  );
});

/** What the engine did not read, hatched. */
function Unread({ page }: { page: PageState }) {
  const places = page.result?.unread ?? [];
  if (places.length === 0) return null;
  const name = `hatch-${page.number}`;
  const step = Math.max(6, page.width / 80);
  return (
    <>
      <pattern id={name} className="hatch" width={step} height={step} patternUnits="userSpaceOnUse" patternTransform="rotate(45)">
        <rect width={step / 3} height={step} />
      </pattern>
      {places.map((box, index) => (
        <rect key={index} {...rectangle(box)} className="unread" fill={`url(#${name})`} />
      ))}
    </>
  );
}

function rectangle([x0, y0, x1, y1]: Box): { x: number; y: number; width: number; height: number } {
  return { x: x0, y: y0, width: Math.max(1, x1 - x0), height: Math.max(1, y1 - y0) };
}

const KINDS: [RegExp, string][] = [
  [/title|header/, "heading"],
  [/table/, "table"],
  [/image|figure|chart/, "figure"],
  [/equation|formula/, "formula"],
];

export function kindOf(label: string): string {
  return KINDS.find(([pattern]) => pattern.test(label))?.[1] ?? "text";
}

function boxClass(label: string, doubtful: boolean, lit: boolean): string {
  return `box kind-${kindOf(label)}${doubtful ? " doubtful" : ""}${lit ? " lit" : ""}`;
}
