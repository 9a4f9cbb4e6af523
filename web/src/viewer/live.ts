/** A text that is still being read, as words: without the marks that models put around what they read. */

import { plain } from "./markdown";

const MARKS: [RegExp, string][] = [
  [/<\|ref\|>[^<]*(?:<\|\/ref\|>|<[^>]*$|$)/g, ""], // what kind of block comes
  [/<\|det\|>[^<]*(?:<\|\/det\|>|<[^>]*$|$)/g, ""], // where it stands
  [/<\|box_start\|>[^<]*(?:<\|box_end\|>|<[^>]*$|$)/g, ""],
  [/<[|｜][^<>|｜]{0,64}[|｜]>/g, ""],
  [/<\/t[dh]>\s*/gi, "\t"],
  [/\s*<\/tr>\s*/gi, "\n"],
  [/<br\s*\/?>|<\/(?:p|div|h[1-6]|li|table)>/gi, "\n"],
  [/<!--.{0,2000}?-->/gs, ""],
  [/<\/?[a-z][^<>]{0,500}>/gi, ""],
  [/<[^\s<>][^<>]{0,500}$|<$|&[a-z]{0,5}$|(?:^|\n)#{1,6}$/, ""], // a mark whose end is still to come
];

const IN_JSON = /"(?:text|text_content|content)"\s*:\s*"((?:[^"\\]|\\.)*)/g;

export function readable(raw: string): string {
  const text = /^\s*(?:```json\s*)?\[?\s*\{\s*"/.test(raw) ? fromJson(raw) : raw;
  const words = MARKS.reduce((sum, [mark, instead]) => sum.replace(mark, instead), text);
  return plain(words).replace(/\t+$/gm, "").replace(/\n{3,}/g, "\n\n").trimStart();
}

function fromJson(raw: string): string {
  return [...raw.matchAll(IN_JSON)].map(([, text]) => unescaped(text ?? "")).join("\n");
}

function unescaped(text: string): string {
  try {
    return JSON.parse(`"${text}"`) as string;
  } catch {
    return text; // cut within an escape
  }
}
