/** The places a person should look at, and what becomes of them. */

import { beforeEach, expect, test } from "vitest";

import type { SentPage } from "../src/api/types";
import { documents, newDocument, toJson } from "../src/state/documents";
import { placesIn } from "../src/state/places";
import { pageOf } from "../src/state/results";
import { accept, correct } from "../src/state/review";
import { result } from "./server";

const BLOCKS = [
  { label: "text", text: "Seen in 1998.", boxes: [[10, 10, 90, 20]], confidence: 0.95, lines: [] },
  {
    label: "text",
    text: "A sure line\nA llne in doubt\nAnothcr one",
    boxes: [[10, 30, 90, 60]],
    confidence: 0.7,
    lines: [
      { text: "A sure line", box: [10, 30, 90, 40], confidence: 0.99 },
      { text: "A llne in doubt", box: [10, 40, 90, 50], confidence: 0.5 },
      { text: "Anothcr one", box: [10, 50, 90, 60], confidence: 0.4 },
    ],
  },
];

const PAGE = {
  ...result(1, "ok", BLOCKS),
  disagreements: [
    { kind: "number", reading: "1998", other_reading: "1993", engine: "e", box: [40, 10, 60, 20], other_box: null },
  ],
  unread: [[10, 70, 90, 80]],
} as unknown as SentPage;

let id = "";

beforeEach(() => {
  documents.set([]);
  id = newDocument("a", { status: "done", pages: [pageOf(PAGE)] }).id;
});

const shown = () => documents.get()[0] ?? newDocument("none");
const places = () => placesIn(shown());
const texts = () => shown().pages[0]?.result?.blocks.map((block) => block.text);
const place = (at: number) => {
  const found = places()[at];
  if (!found) throw new Error("there is no such place");
  return found;
};

test("places come from top to bottom, each with what stands there", () => {
  expect(places().map(({ kind, reading }) => [kind, reading])).toEqual([
    ["disagreement", "1998"],
    ["doubt", "A llne in doubt"],
    ["doubt", "Anothcr one"],
    ["unread", ""],
  ]);
});

test("correcting one line leaves the others in doubt, and the number of places as it was", () => {
  correct(id, place(1), "A line in doubt");
  expect(texts()?.[1]).toBe("A sure line\nA line in doubt\nAnothcr one");
  expect(places().map(({ review }) => review?.decision ?? null)).toEqual([null, "corrected", null, null]);
  correct(id, place(2), "Another one");
  expect(texts()?.[1]).toBe("A sure line\nA line in doubt\nAnother one");
  expect(places()).toHaveLength(4);
});

test("the other reading takes the place of the first", () => {
  correct(id, place(0), place(0).other);
  expect(texts()?.[0]).toBe("Seen in 1993.");
  expect(place(0).review?.decision).toBe("corrected");
});

test("what is read where nothing was read becomes a block in its place", () => {
  correct(id, place(3), "A stamp");
  expect(texts()?.[2]).toBe("A stamp");
  expect(shown().pages[0]?.result?.blocks[2]?.boxes).toEqual([[10, 70, 90, 80]]);
});

test("what was decided goes with the document, with its time, and nothing of the page's own does", () => {
  accept(id, place(3));
  const [page] = toJson(shown())["pages"] as SentPage[];
  expect(page?.reviews).toMatchObject([{ kind: "unread", decision: "accepted", box: [10, 70, 90, 80], reviewed_by: null }]);
  expect(Date.parse(page?.reviews?.[0]?.reviewed_at ?? "")).toBeGreaterThan(0);
  expect(Object.keys(page?.blocks[1] ?? {})).not.toContain("doubts");
  expect(page?.blocks[1]?.lines).toHaveLength(3);
});
