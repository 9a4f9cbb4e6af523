/**
 * The lines of blocks, kept as JSON and parsed where they are drawn or exported. As objects, those of a
 * thousand pages are most of what a garbage collection walks, and it holds up a frame.
 */

import type { Block, Line, PageResult, SentPage } from "../api/types";

/** A page as the server sent it, or as a file from who knows where says it is. */
type AnyPage = Omit<SentPage, "warnings" | "blocks"> & {
  warnings?: readonly string[];
  blocks: readonly (Omit<SentPage["blocks"][number], "boxes" | "lines"> & Partial<SentPage["blocks"][number]>)[];
};

export function pack(page: AnyPage): PageResult {
  const blocks = page.blocks.map((block) => ({
    ...block,
    boxes: block.boxes ?? [],
    lines: JSON.stringify(block.lines ?? []),
  }));
  return { ...page, blocks, warnings: page.warnings ?? [] };
}

export function unpack(page: PageResult): SentPage {
  return { ...page, blocks: page.blocks.map((block) => ({ ...block, lines: linesOf(block) })) };
}

export const linesOf = (block: Block): Line[] => JSON.parse(block.lines) as Line[];
