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

/** What was given, once its turn has come: for what is costly to draw. */
export function useInTurn<T>(given: T | null): T | null {
  const [shown, setShown] = useState<T | null>(null);
  useEffect(() => {
    if (given !== null) return inTurn(() => setShown(given));
    setShown(null);
    return undefined;
  }, [given]);
  return shown;
}
