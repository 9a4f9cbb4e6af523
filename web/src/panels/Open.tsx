import { service } from "../state/service";
import { useStore } from "../state/store";
import { useTexts } from "../texts";

/** Says that whoever reaches the server may use it, where the site did not say so itself. */
export function Open() {
  const { t } = useTexts();
  const { root } = useStore(service);
  if (!root?.warnings.length) return null;
  return (
    <p className="lost row" role="note">
      {t("open.warning")}
    </p>
  );
}
