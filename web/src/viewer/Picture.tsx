import { memo, useEffect, useRef, useState } from "react";

import type { Box } from "../api/types";
import { oneByOne } from "./turns";

interface Props {
  picture: Blob;
  /** What it shows, in words; empty where it only decorates. */
  label: string;
  /** Decode it as wide as it is shown, and no wider than this; without it, as wide as it is. */
  widest?: number;
  /** Show this part of a page that is so many units wide. */
  part?: { box: Box; of: number };
}

/**
 * A picture on a canvas, decoded at the size it is shown and let go of when it leaves. An `<img>` is let go
 * of by the garbage collector: Chromium takes 0.8 ms for each inside a collection, and a hundred pages that
 * were scrolled past hold up a frame.
 */
export const Picture = memo(function Picture({ picture, label, widest, part }: Props) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const shown = useShownWidth(canvas, widest !== undefined);
  const width = widest === undefined ? null : Math.min(Math.round(shown * devicePixelRatio), widest);

  useEffect(() => {
    if (width === 0) return;
    return oneByOne(async (wanted) => {
      const bitmap = await createImageBitmap(picture, width ? { resizeWidth: width, resizeQuality: "high" } : {});
      if (canvas.current && wanted()) draw(canvas.current, bitmap, part);
      bitmap.close();
    });
  }, [picture, width, part]);

  useEffect(() => {
    const element = canvas.current;
    return () => {
      if (element) element.width = 0;
    };
  }, []);

  return <canvas ref={canvas} {...(label ? { role: "img", "aria-label": label } : { "aria-hidden": true })} />;
});

function draw(canvas: HTMLCanvasElement, bitmap: ImageBitmap, part: Props["part"]): void {
  const scale = part ? bitmap.width / part.of : 1;
  const [x0, y0, x1, y1] = part ? part.box : [0, 0, bitmap.width, bitmap.height];
  const width = Math.max(1, Math.round((x1 - x0) * scale));
  const height = Math.max(1, Math.round((y1 - y0) * scale));
  canvas.width = width;
  canvas.height = height;
  canvas.getContext("2d", { alpha: false })?.drawImage(bitmap, x0 * scale, y0 * scale, width, height, 0, 0, width, height);
}

function useShownWidth(canvas: React.RefObject<HTMLCanvasElement | null>, asked: boolean): number {
  const [width, setWidth] = useState(0);
  useEffect(() => {
    if (!canvas.current || !asked) return;
    const observer = new ResizeObserver(([entry]) => setWidth(Math.round(entry?.contentRect.width ?? 0)));
    observer.observe(canvas.current);
    return () => observer.disconnect();
  }, [canvas, asked]);
  return width;
}
