/**
 * The lines of blocks, kept as JSON and parsed where they are drawn or exported. As objects, those of a
 * thousand pages are most of what a garbage collection walks, and it holds up a frame.
 */

import type { Block, Line, PageResult, SentPage } from "../api/types";
import { isDoubtful } from "./confidence";

type AnyBlock = Omit<SentPage["blocks"][number], "boxes" | "lines"> & Partial<SentPage["blocks"][number]>;

/** A page as the server sent it, or as a file from who knows where says it is. */
export type AnyPage = Omit<SentPage, "warnings" | "blocks"> & {
  warnings?: readonly string[];
  blocks: readonly AnyBlock[];
};

export function pack(page: AnyPage): PageResult {
  return { ...page, blocks: page.blocks.map(packed), warnings: page.warnings ?? [] };
}

function packed(block: AnyBlock): Block {
  const lines = block.lines ?? [];
  const doubts = lines.filter((line) => isDoubtful(line.confidence));
  return { ...block, boxes: block.boxes ?? [], lines: JSON.stringify(lines), doubts };
}

/** The page as the server takes it. */
export function unpack(page: PageResult): SentPage {
  const blocks = page.blocks.map(({ doubts, edited, lines, ...block }) => ({
    ...block,
    lines: JSON.parse(lines) as Line[],
  }));
  return { ...page, blocks };
}

export const linesOf = (block: Block): Line[] => JSON.parse(block.lines) as Line[];
