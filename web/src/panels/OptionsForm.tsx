import type { Options } from "../api/options";
import type { Info } from "../api/types";
import { service } from "../state/service";
import { useStore } from "../state/store";
import { type Key, type Language, useTexts } from "../texts";

interface Props {
  options: Options;
  onChange: (options: Options) => void;
}

/** How files are to be read; what there is to choose among is what the server says of itself. */
export function OptionsForm({ options, onChange }: Props) {
  const { t, language } = useTexts();
  const { info } = useStore(service);
  const engine = info?.engine;
  const set = (change: Partial<Options>): void => onChange({ ...options, ...change });
  const presets = Object.keys(info?.prompts ?? { document: "" });
  return (
    <details className="options">
      <summary>{t("options")}</summary>
      {engine?.supports_modes && (
        <label>
          {t("mode")}
          <select value={options.mode} onChange={(event) => set({ mode: event.target.value })}>
            <option value="">{t("mode.default", { mode: info?.default_mode ?? "" })}</option>
            {info?.modes.map((mode) => (
              <option key={mode} value={mode}>
                {t(`mode.${mode}` as Key)}
              </option>
            ))}
          </select>
        </label>
      )}
      {engine?.supports_prompt && (
        <label>
          {t("prompt")}
          <select value={options.preset} onChange={(event) => set({ preset: event.target.value })}>
            {[...presets, "own"].map((preset) => (
              <option key={preset} value={preset}>
                {t(`prompt.${preset}` as Key)}
              </option>
            ))}
          </select>
        </label>
      )}
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
          <Languages info={info} language={language} />
        </select>
      </label>
      {info?.crosscheck && (
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
          {info?.formats
            .filter((format) => format.available && format.name !== "annotated")
            .map(({ name }) => (
              <label key={name} className="check">
                <input
                  type="checkbox"
                  checked={options.outputs.includes(name)}
                  onChange={(event) => set({ outputs: withOrWithout(options.outputs, name, event.target.checked) })}
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
              min={info?.dpi.min}
              max={info?.dpi.max}
              value={options.dpi}
              onChange={(event) => set({ dpi: Number(event.target.value) || (info?.dpi.default ?? options.dpi) })}
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

function withOrWithout(all: readonly string[], name: string, wanted: boolean): string[] {
  return wanted ? [...all, name] : all.filter((other) => other !== name);
}

/** The languages that a hint may name; those that the site expects come first. */
function Languages({ info, language }: { info: Info | null; language: Language }) {
  const { t } = useTexts();
  if (!info) return null;
  const expected = info.languages.filter((code) => info.expected_languages.includes(code));
  const named = (codes: readonly string[]) =>
    codes
      .map((code) => [code, languageName(code, language)] as const)
      .sort(([, a], [, b]) => a.localeCompare(b, language))
      .map(([code, name]) => (
        <option key={code} value={code}>
          {name}
        </option>
      ));
  if (expected.length === 0) return named(info.languages);
  return (
    <>
      <optgroup label={t("doc.language.expected")}>{named(expected)}</optgroup>
      <optgroup label={t("doc.language.all")}>{named(info.languages)}</optgroup>
    </>
  );
}

function languageName(code: string, language: Language): string {
  try {
    return new Intl.DisplayNames([language], { type: "language" }).of(code) ?? code;
  } catch {
    return code;
  }
}
