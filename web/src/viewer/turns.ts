/** Work that is done piece by piece, one piece a frame, whoever asks: so that no frame is a long one. */

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
