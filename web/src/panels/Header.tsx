import { useEffect, useState } from "react";

import { has, service } from "../state/service";
import { useStore } from "../state/store";
import { chooseLanguage, type Language, LANGUAGES, useTexts } from "../texts";
import type { Panel } from "./panel";

const THEMES = ["auto", "light", "dark"] as const;
type Theme = (typeof THEMES)[number];
const CHOICE = "airgap-ocr.theme";

export function Header({ onPanel }: { onPanel: (panel: Panel) => void }) {
  const { t, language } = useTexts();
  const { root, me, unreachable } = useStore(service);
  const state = unreachable
    ? t("unreachable")
    : !root
      ? t("loading")
      : root.ready
        ? `${root.engine} · ${root.model}`
        : t("not_ready", { why: root.status });
  return (
    <header className="top">
      <h1>
        <img src={`${import.meta.env.BASE_URL}icon.svg`} alt="" width="26" height="26" /> Airgap OCR
      </h1>
      <p className={`engine ${root?.ready && !unreachable ? "ready" : "waiting"}`} role="status" title={root?.engine_reason}>
        <span className="dot" aria-hidden="true" />
        <span className="name">{state}</span>
      </p>
      <button type="button" className="quiet" onClick={() => onPanel("jobs")}>
        {t("jobs")}
      </button>
      <button type="button" className="quiet" onClick={() => onPanel("usage")}>
        {t("usage")}
      </button>
      {has(root, "accounts") && (
        <button type="button" className="quiet" onClick={() => onPanel("account")}>
          {me?.username ?? t("account")}
        </button>
      )}
      <ThemeChoice />
      <select
        aria-label={t("language")}
        value={language}
        onChange={(event) => void chooseLanguage(event.target.value as Language)}
      >
        {Object.entries(LANGUAGES).map(([code, name]) => (
          <option key={code} value={code} lang={code}>
            {name}
          </option>
        ))}
      </select>
    </header>
  );
}

function ThemeChoice() {
  const { t } = useTexts();
  const [theme, setTheme] = useState<Theme>(() => {
    const chosen = localStorage.getItem(CHOICE);
    return THEMES.find((name) => name === chosen) ?? "auto";
  });
  useEffect(() => {
    document.documentElement.dataset["theme"] = theme;
    localStorage.setItem(CHOICE, theme);
  }, [theme]);
  return (
    <select aria-label={t("theme")} value={theme} onChange={(event) => setTheme(event.target.value as Theme)}>
      {THEMES.map((name) => (
        <option key={name} value={name}>
          {t(`theme.${name}`)}
        </option>
      ))}
    </select>
  );
}
