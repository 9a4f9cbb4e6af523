/**
 * The lines of blocks, kept as JSON and parsed where they are drawn or exported. As objects, those of a
 * thousand pages are most of what a garbage collection walks, and it holds up a frame.
 */

import type { Block, Line, PageResult, SentPage } from "../api/types";

export function pack(page: SentPage): PageResult {
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
