import { service, tryNow } from "../state/service";
import { useStore } from "../state/store";
import { useTexts } from "../texts";

/** Says that the server does not answer, for as long as it does not. */
export function Lost() {
  const { t } = useTexts();
  const { unreachable } = useStore(service);
  if (!unreachable) return null;
  return (
    <div className="lost row" role="alert">
      <span>{t("unreachable")}</span>
      <button type="button" className="small" onClick={tryNow}>
        {t("server.try")}
      </button>
    </div>
  );
}
