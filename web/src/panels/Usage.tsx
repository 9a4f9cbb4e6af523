import { useEffect, useState } from "react";

import { request } from "../api/client";
import { useStore } from "../state/store";
import { usage } from "../state/usage";
import { formatBytes, formatNumber, formatSeconds, useTexts } from "../texts";
import { Dialog } from "./Dialog";

interface Totals {
  pages: number;
  promptTokens: number;
  completionTokens: number;
  bytes: number;
  seconds: number;
}

export function Usage({ onClose }: { onClose: () => void }) {
  const { t } = useTexts();
  const here = useStore(usage);
  const [totals, setTotals] = useState<Totals | null>(null);
  useEffect(() => {
    void serverTotals().then(setTotals);
  }, [here]);
  return (
    <Dialog title={t("usage")} onClose={onClose}>
      <h3>{t("usage.here")}</h3>
      <Table totals={here} documents={here.documents} />
      <h3>{t("usage.server")}</h3>
      {totals ? <Table totals={totals} /> : <p className="muted">{t("usage.off")}</p>}
    </Dialog>
  );
}

function Table({ totals, documents }: { totals: Totals; documents?: number }) {
  const { t, language } = useTexts();
  const rows: [string, string][] = [
    [t("usage.pages"), formatNumber(totals.pages, language)],
    [t("usage.prompt"), formatNumber(totals.promptTokens, language)],
    [t("usage.completion"), formatNumber(totals.completionTokens, language)],
    [t("usage.bytes"), formatBytes(totals.bytes, language)],
    [t("usage.seconds"), formatSeconds(totals.seconds, language)],
  ];
  if (documents !== undefined) rows.unshift([t("usage.documents"), formatNumber(documents, language)]);
  return (
    <table className="figures">
      <tbody>
        {rows.map(([name, value]) => (
          <tr key={name}>
            <th scope="row">{name}</th>
            <td>{value}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

/** The server's own counters, summed over their labels; null where this login may not see them. */
async function serverTotals(): Promise<Totals | null> {
  try {
    const text = await (await request("/metrics", { headers: { Accept: "text/plain" } })).text();
    const sum = (name: string): number =>
      text
        .split("\n")
        .filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `))
        .reduce((total, line) => total + Number(line.slice(line.lastIndexOf(" ") + 1)), 0);
    return {
      pages: sum("ocr_pages_total"),
      promptTokens: sum("prompt_tokens_total"),
      completionTokens: sum("completion_tokens_total"),
      bytes: sum("ocr_input_bytes_total"),
      seconds: sum("ocr_page_seconds_sum"),
    };
  } catch {
    return null;
  }
}
