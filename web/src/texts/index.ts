/** The page's language: chosen, else the browser's, else English. Languages but English load on demand. */

import { Store, useStore } from "../state/store";
import { en, type Key, type Texts } from "./en";

export const LANGUAGES = { en: "English", "zh-Hant": "繁體中文", "zh-Hans": "简体中文", ru: "Русский" } as const;
export type Language = keyof typeof LANGUAGES;
export type { Key };

const CHOICE = "airgap-ocr.language";

const LOADERS: Record<Language, () => Promise<Texts>> = {
  en: () => Promise.resolve(en),
  "zh-Hant": async () => (await import("./zh-Hant")).zhHant,
  "zh-Hans": async () => (await import("./zh-Hans")).zhHans,
  ru: async () => (await import("./ru")).ru,
};

interface Current {
  language: Language;
  texts: Texts;
}

const current = new Store<Current>({ language: "en", texts: en });

export async function chooseLanguage(language: Language, remember = true): Promise<void> {
  const texts = await LOADERS[language]();
  if (remember) localStorage.setItem(CHOICE, language);
  document.documentElement.lang = language;
  current.set({ language, texts });
}

export function preferredLanguage(): Language {
  const chosen = localStorage.getItem(CHOICE);
  if (chosen && chosen in LANGUAGES) return chosen as Language;
  for (const wanted of navigator.languages) {
    const code = wanted.toLowerCase();
    if (code.startsWith("zh")) return /hant|tw|hk|mo/.test(code) ? "zh-Hant" : "zh-Hans";
    if (code.startsWith("ru")) return "ru";
    if (code.startsWith("en")) return "en";
  }
  return "en";
}

export type Translate = (key: Key, values?: Record<string, string | number>) => string;

export function useTexts(): { t: Translate; language: Language } {
  const { texts, language } = useStore(current);
  return { language, t: (key, values) => fill(texts[key], values) };
}

export const currentLanguage = (): Language => current.get().language;

/** A text of the chosen language, outside components. */
export function text(key: Key, values?: Record<string, string | number>): string {
  return fill(current.get().texts[key], values);
}

function fill(template: string, values: Record<string, string | number> = {}): string {
  return template.replace(/\{(\w+)\}/g, (whole, name: string) => String(values[name] ?? whole));
}

export function formatBytes(bytes: number, language: Language): string {
  const units = ["byte", "kilobyte", "megabyte", "gigabyte"] as const;
  const power = Math.min(units.length - 1, Math.floor(Math.log2(Math.max(1, bytes)) / 10));
  return new Intl.NumberFormat(language, {
    style: "unit",
    unit: units[power] ?? "byte",
    unitDisplay: "short",
    maximumFractionDigits: power ? 1 : 0,
  }).format(bytes / 1024 ** power);
}

export function formatSeconds(seconds: number, language: Language): string {
  const [value, unit] = inUnits(seconds);
  return new Intl.NumberFormat(language, {
    style: "unit",
    unit,
    unitDisplay: "short",
    maximumFractionDigits: unit === "second" && value >= 10 ? 0 : 1,
  }).format(value);
}

function inUnits(seconds: number): [number, "second" | "minute" | "hour"] {
  if (seconds < 90) return [seconds, "second"];
  return seconds < 5400 ? [seconds / 60, "minute"] : [seconds / 3600, "hour"];
}

export function formatNumber(value: number, language: Language, digits = 0): string {
  return new Intl.NumberFormat(language, { maximumFractionDigits: digits }).format(value);
}

/** A share, never said to be more than it is: 99.9 % is not 100 %. */
export function formatPercent(share: number, language: Language): string {
  return new Intl.NumberFormat(language, { style: "percent", roundingMode: "floor" }).format(share);
}
