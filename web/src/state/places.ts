/**
 * The places of a page that a person should look at: what was not read, what two engines read differently, and
 * what the engine is not sure of. Those that were decided stay, so that their number does not change on the way.
 */

import type { Block, Box, PageResult, Review } from "../api/types";
import { isDoubtful } from "./confidence";
import { type DocumentState, holds, type PageState } from "./documents";

export interface Place {
  readonly page: number;
  readonly kind: Review["kind"];
  readonly box: Box | null;
  /** The block whose text holds `reading`; null where none does. */
  readonly block: number | null;
  readonly reading: string;
  readonly other: string;
  readonly review: Review | null;
}

const known = new WeakMap<PageResult, readonly Place[]>();

/** The places of a page, from top to bottom. */
export function placesOf({ number, result }: PageState): readonly Place[] {
  if (!result) return [];
  let places = known.get(result);
  if (!places) {
    places = found(number, result);
    known.set(result, places);
  }
  return places;
}

export function placesIn(document: DocumentState): readonly Place[] {
  return document.pages.flatMap(placesOf);
}

function found(page: number, result: PageResult): Place[] {
  const decided = new Map((result.reviews ?? []).map((review) => [keyOf(review), review]));
  const places = [...unread(page, result), ...disagreements(page, result), ...doubts(page, result)].map((place) => {
    const review = decided.get(keyOf(place)) ?? null;
    decided.delete(keyOf(place));
    return { ...place, review };
  });
  for (const review of decided.values()) {
    places.push({ page, kind: review.kind, box: review.box, block: null, reading: "", other: "", review });
  }
  return places.sort((a, b) => (a.box?.[1] ?? 0) - (b.box?.[1] ?? 0) || (a.box?.[0] ?? 0) - (b.box?.[0] ?? 0));
}

const keyOf = ({ kind, box }: { kind: string; box: Box | null }): string => `${kind} ${box?.join(" ") ?? ""}`;

function unread(page: number, result: PageResult): Omit<Place, "review">[] {
  const kind = "unread" as const;
  return (result.unread ?? []).map((box) => ({ page, kind, box, block: null, reading: "", other: "" }));
}

function disagreements(page: number, result: PageResult): Omit<Place, "review">[] {
  return (result.disagreements ?? []).map(({ reading, other_reading, box, other_box }) => {
    const at = box ?? other_box;
    const block = reading ? blockAt(result.blocks, reading, at) : null;
    return { page, kind: "disagreement" as const, box: at, block, reading, other: other_reading };
  });
}

/** Doubtful lines where the engine knows lines, else the doubtful block as a whole. */
function doubts(page: number, { blocks }: PageResult): Omit<Place, "review">[] {
  return blocks.flatMap((block, index) => {
    const kind = "doubt" as const;
    const lines = block.doubts.map((line) => ({
      page,
      kind,
      box: line.box,
      block: index,
      reading: block.text.includes(line.text) ? line.text : block.text,
      other: "",
    }));
    if (lines.length || !isDoubtful(block.confidence)) return lines;
    return [{ page, kind, box: block.boxes[0] ?? null, block: index, reading: block.text, other: "" }];
  });
}

/** The block that says `reading` at this place, or else the only one that says it at all. */
function blockAt(blocks: readonly Block[], reading: string, box: Box | null): number | null {
  const saying = blocks.flatMap((block, index) => (block.text.includes(reading) ? [index] : []));
  const here = saying.find((index) => box && blocks[index]?.boxes.some((other) => holds(other, box)));
  return here ?? (saying.length === 1 ? (saying[0] ?? null) : null);
}
