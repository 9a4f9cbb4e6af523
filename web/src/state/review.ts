/** What a person decides about a doubtful place: accepted as it is, or corrected. */

import type { Review } from "../api/types";
import { addBlock, addReview, amendBlock } from "./documents";
import type { Place } from "./places";
import { service } from "./service";

const NAME = "airgap-ocr.reviewer";

/** Who reviews: the login where there is one, else the name that was typed. */
export function reviewer(): string | null {
  return service.get().me?.username ?? (localStorage.getItem(NAME) || null);
}

export function setReviewer(name: string): void {
  localStorage.setItem(NAME, name.trim());
}

export function accept(id: string, place: Place): void {
  addReview(id, place.page, decided(place, "accepted"));
}

/** Put `text` where `place.reading` stood; where nothing was read it becomes a block of its own. */
export function correct(id: string, place: Place, text: string): void {
  const { page, block, reading, box } = place;
  addReview(id, page, decided(place, "corrected"));
  if (block !== null) {
    amendBlock(id, page, block, { reading, text, box });
  } else if (place.box && text.trim()) {
    addBlock(id, page, text.trim(), place.box);
  }
}

function decided({ kind, box }: Place, decision: Review["decision"]): Review {
  return { kind, box, decision, reviewed_by: reviewer(), reviewed_at: new Date().toISOString() };
}
