/**
 * What went wrong and what helps, in the page's language and in the page's own terms: the server's remedies name
 * the fields of its API, which nobody sees here. Where the page is in English the server's message stays, as it
 * says more of the case at hand.
 */

import { describe } from "../api/client";
import type { Problem } from "../api/types";
import { say } from "../state/messages";
import { en, type Key } from "./en";
import { currentLanguage, type Language, text, type Translate } from "./index";

const isKey = (key: string): key is Key => key in en;

export function explained(problem: Problem, t: Translate, language: Language): { message: string; remedy: string } {
  const message = `problem.${problem.code}`;
  const remedy = `remedy.${problem.code}`;
  const own = isKey(message) && (language !== "en" || !problem.message) ? t(message) : problem.message;
  return { message: own, remedy: isKey(remedy) ? t(remedy) : problem.remedy };
}

/** Tell the person what went wrong, in a message that stays until it is closed. */
export function sayProblem(error: unknown): void {
  const { message, remedy } = explained(describe(error), text, currentLanguage());
  say(`${message} ${remedy}`.trim(), "error");
}

const WARNINGS: [RegExp, Key][] = [
  [/^The answer reached `max_tokens`/, "warning.cut"],
  [/^The engine (began to repeat|repeated) itself(?!.*this was read in mode)/, "warning.loop"],
  [/this was read in mode/, "warning.other_mode"],
  [/^The page is blank/, "warning.blank"],
  [/^The page was not cross-checked/, "warning.not_checked"],
  [/^A first reading broke off/, "warning.broke_off"],
  [/^The text was taken from the PDF/, "warning.text_layer"],
  [/text layer is missing or not sound/, "warning.no_text_layer"],
  [/parts of it may be missing/, "warning.damaged"],
  [/drawn by a second renderer/, "warning.renderer"],
  [/it was drawn at .* dpi instead of/, "warning.resolution"],
  [/^(?<count>\d+) lines? left out as unreadable/, "warning.left_out"],
  [/^The engine \S+ read this page/, "warning.engine"],
  [/^The engine \S+ (is not available|could not read)/, "warning.engine_lost"],
  [/fake engine|engine `?fake/i, "warning.fake"],
  [/^(?<share>\d+) % of the ink that looks like text was not read, in (?<places>\d+) place/, "warning.unread"],
  [/^What \S+ left out in (?<places>\d+) places? was read by/, "warning.filled"],
  [/^What was left out on the page was not read again/, "warning.not_filled"],
  [/it was not compared with the page's ink/, "warning.not_compared"],
  [/^Nothing was read on this page/, "warning.nothing_read"],
  [/^The page may be misread: .* is (?<value>\d\.\d+)/, "warning.misread"],
];

const REASONS: [RegExp, Key][] = [
  [/^disk_full$/, "reason.disk_full"],
  [/^more than \d+ pages/, "reason.too_many_pages"],
  [/^no page could be read$/, "reason.nothing_read"],
  [/^the result could not be written/, "reason.unwritten"],
  [/^erased$/, "reason.erased"],
];

/** A page's warning in the page's language; one that is not known here stays as the server wrote it. */
export function warningText(warning: string, t: Translate, language: Language): string {
  return language === "en" ? warning : translated(warning, WARNINGS, t);
}

/** Why a job failed or waits, in the page's language; one that is not known here stays. */
export const reasonText = (reason: string, t: Translate): string => translated(reason, REASONS, t);

function translated(words: string, known: readonly [RegExp, Key][], t: Translate): string {
  for (const [pattern, key] of known) {
    const found = pattern.exec(words);
    if (found) return t(key, found.groups ?? {});
  }
  return words;
}

/** What a block is, in the page's language; a label that is not known here stays. */
export function labelText(label: string, t: Translate): string {
  const name = label.trim().toLowerCase();
  const key = `label.${name.endsWith("caption") ? "caption" : name}`;
  return isKey(key) ? t(key) : label;
}
