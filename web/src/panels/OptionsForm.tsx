import type { Options } from "../api/options";
import { service } from "../state/service";
import { useStore } from "../state/store";
import { type Key, type Language, useTexts } from "../texts";

const COMMON = ["en", "de", "fr", "es", "it", "pt", "nl", "pl", "ru", "uk", "zh-Hant", "zh-Hans", "ja", "ko", "ar", "hi"];
const OUTPUTS = ["markdown", "json", "searchable_pdf", "docx", "text", "html", "hocr", "alto", "layout_pdf", "images"];

interface Props {
  options: Options;
  onChange: (options: Options) => void;
}

export function OptionsForm({ options, onChange }: Props) {
  const { t, language } = useTexts();
  const { info } = useStore(service);
  const engine = info?.engine;
  const set = (change: Partial<Options>): void => onChange({ ...options, ...change });
  const languages = engine?.languages ?? COMMON;
  const presets = Object.keys(info?.prompts ?? { document: "" });
  return (
    <details className="options" open>
      <summary>{t("options")}</summary>
      <label>
        {t("mode")}
        <select
          value={options.mode}
          disabled={!engine?.supports_modes}
          title={engine && !engine.supports_modes ? t("mode.off") : undefined}
          onChange={(event) => set({ mode: event.target.value })}
        >
          <option value="">{engine && !engine.supports_modes ? t("mode.off") : t("mode.default", { mode: info?.default_mode ?? "" })}</option>
          {engine?.supports_modes && info?.modes.map((mode) => (
            <option key={mode} value={mode}>
              {t(`mode.${mode}` as Key)}
            </option>
          ))}
        </select>
      </label>
      <label>
        {t("prompt")}
        <select
          value={engine?.supports_prompt ? options.preset : ""}
          disabled={!engine?.supports_prompt}
          onChange={(event) => set({ preset: event.target.value })}
        >
          {engine?.supports_prompt ? (
            [...presets, "own"].map((preset) => (
              <option key={preset} value={preset}>
                {t(`prompt.${preset}` as Key)}
              </option>
            ))
          ) : (
            <option value="">{t("prompt.off")}</option>
          )}
        </select>
      </label>
      {engine?.supports_prompt && options.preset === "own" && (
        <label>
          {t("prompt.text")}
          <textarea rows={3} maxLength={8000} value={options.prompt} onChange={(e) => set({ prompt: e.target.value })} />
        </label>
      )}
      <label>
        {t("doc.language")}
        <select value={options.language} onChange={(event) => set({ language: event.target.value })}>
          <option value="">{t("doc.language.auto")}</option>
          {languages.map((code) => (
            <option key={code} value={code}>
              {languageName(code, language)}
            </option>
          ))}
        </select>
      </label>
      {engine && engine.name !== "rapidocr" && (
        <label className="check">
          <input
            type="checkbox"
            checked={options.crosscheck}
            onChange={(event) => set({ crosscheck: event.target.checked })}
          />
          {t("crosscheck")}
        </label>
      )}
      <fieldset>
        <legend>{t("outputs")}</legend>
        <div className="checks">
          {OUTPUTS.map((name) => (
            <label key={name} className="check">
              <input
                type="checkbox"
                checked={options.outputs.includes(name)}
                onChange={(event) =>
                  set({
                    outputs: event.target.checked
                      ? [...options.outputs, name]
                      : options.outputs.filter((output) => output !== name),
                  })
                }
              />
              {t(`out.${name}` as Key)}
            </label>
          ))}
        </div>
      </fieldset>
      <details>
        <summary>{t("more")}</summary>
        <form className="grid" onSubmit={(event) => event.preventDefault()}>
          <label>
            {t("page_from")}
            <input type="number" min={1} value={options.pageFrom} onChange={(e) => set({ pageFrom: e.target.value })} />
          </label>
          <label>
            {t("page_to")}
            <input type="number" min={1} value={options.pageTo} onChange={(e) => set({ pageTo: e.target.value })} />
          </label>
          <label>
            {t("dpi")}
            <input
              type="number"
              min={36}
              max={600}
              value={options.dpi}
              onChange={(event) => set({ dpi: Number(event.target.value) || 144 })}
            />
          </label>
          <label>
            {t("password")}
            <input
              type="password"
              autoComplete="off"
              value={options.password}
              onChange={(event) => set({ password: event.target.value })}
            />
          </label>
        </form>
      </details>
    </details>
  );
}

function languageName(code: string, language: Language): string {
  try {
    return new Intl.DisplayNames([language], { type: "language" }).of(code) ?? code;
  } catch {
    return code;
  }
}
