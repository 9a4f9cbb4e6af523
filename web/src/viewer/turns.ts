/** Work that is done piece by piece, one piece a frame, whoever asks: so that no frame is a long one. */

import { useEffect, useState } from "react";

const waiting = new Set<() => void>();
let frame = 0;

function next(): void {
  const [first] = waiting;
  if (first) {
    waiting.delete(first);
    first();
  }
  frame = waiting.size > 0 ? requestAnimationFrame(next) : 0;
}

/** Do `work` in a frame of its own. Returns how to call it off. */
export function inTurn(work: () => void): () => void {
  waiting.add(work);
  if (frame === 0) frame = requestAnimationFrame(next);
  return () => waiting.delete(work);
}

let decoding = Promise.resolve();

/**
 * The address of a picture once it was decoded. One after the other: several at once take every processor
 * there is from the frame that is being drawn.
 */
export function useDecoded(address: string | null): string | null {
  const [shown, setShown] = useState<string | null>(null);
  useEffect(() => {
    setShown(null);
    if (!address) return undefined;
    let wanted = true;
    decoding = decoding.then(async () => {
      if (!wanted) return;
      const picture = new Image();
      picture.src = address;
      await picture.decode().catch(() => undefined);
      if (wanted) setShown(address);
    });
    return () => {
      wanted = false;
    };
  }, [address]);
  return shown;
}
