/**
 * The server's nouns, as its own description has them. Boxes are pixels of the page: x0, y0, x1, y1. What the
 * page keeps of a page differs in one thing: a block's lines are packed, see `state/lines.ts`.
 */

import type { components } from "./schema";

type Schemas = components["schemas"];

export type Problem = Schemas["ErrorJson"];
export type Ledger = Schemas["LedgerJson"];
export type Line = Schemas["LineJson"];
export type Box = Line["box"];
export type SentBlock = Schemas["BlockJson"];
export type Disagreement = Schemas["DisagreementJson"];
/** Results that were saved by an older server have no word of these. */
type Newer = "reviews" | "unread" | "coverage";
export type SentPage = Omit<Schemas["PdfPage"], "markdown" | Newer> & Partial<Pick<Schemas["PdfPage"], Newer>>;
export type PageStatus = SentPage["status"];
export type Service = Schemas["Root"];
export type Info = Schemas["Info"];
export type Format = Schemas["FormatInfo"];
export type Job = Schemas["JobAnswer"];
export type JobList = Schemas["JobList"];
export type Refusal = Schemas["ErrorAnswer"];

/** What a person decided about a place; the server puts the name of the login in the place of `reviewed_by`. */
export type Review = Schemas["ReviewJson"];

export type Block = Omit<SentBlock, "lines"> & {
  /** `Line[]` as JSON. */
  readonly lines: string;
  /** Those of the lines that the engine is not sure of. */
  readonly doubts: readonly Line[];
  /** Set by the page, not by the server: a person changed the text. */
  readonly edited?: boolean;
};

export type PageResult = Omit<SentPage, "blocks"> & { readonly blocks: readonly Block[] };
