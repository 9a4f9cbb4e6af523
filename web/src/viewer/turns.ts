/** Work that is done piece by piece, whoever asks, so that no frame is a long one. */

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

let last = Promise.resolve();

/**
 * Do `work` when all that was asked for before it is done: several pictures decoded at once take every
 * processor there is from the frame that is being drawn. Returns how to call it off; work that failed is
 * left, and the next is done.
 */
export function oneByOne(work: (wanted: () => boolean) => Promise<void>): () => void {
  let called = true;
  const wanted = (): boolean => called;
  last = last.then(() => (called ? work(wanted) : undefined)).catch(() => undefined);
  return () => {
    called = false;
  };
}
