import { type CSSProperties, memo, useEffect, useMemo, useRef } from "react";

import type { Box } from "../api/types";
import type { PageState } from "../state/documents";
import { linesOf } from "../state/lines";
import { useTexts } from "../texts";
import { isDoubtful } from "./confidence";
import { Picture } from "./Picture";

interface Props {
  page: PageState;
  picture: Blob | null;
  lit: number | null;
  onLight: (index: number | null) => void;
  onChoose: (index: number) => void;
}

/** The page as it looks, each block's boxes over it. */
export const PagePicture = memo(function PagePicture({ page, picture, lit, onLight, onChoose }: Props) {
  const { t } = useTexts();
  const { width, height, result } = page;
  const litBox = useRef<SVGRectElement>(null);
  const doubtful = useMemo(
    () => result?.blocks.flatMap(linesOf).filter((line) => isDoubtful(line.confidence)) ?? [],
    [result],
  );

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
          {doubtful.map((line, index) => (
            <rect key={index} {...rectangle(line.box)} className="doubtful-line" />
          ))}
          {result?.disagreements
            ?.map(({ box, other_box }) => box ?? other_box)
            .filter((box) => box !== null)
            .map((box, index) => <rect key={index} {...rectangle(box)} className="disagreement" />)}
        </svg>
      </div>
    </div>
  );
});

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
