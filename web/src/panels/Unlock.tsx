import type { SubmitEvent } from "react";

import { change, type DocumentState, isActive } from "../state/documents";
import { canRetry, retry } from "../state/reader";
import { useTexts } from "../texts";

export const isLocked = (document: DocumentState): boolean =>
  document.file !== null && !isActive(document) && document.error?.code === "pdf_password_required";

/** Asks for the password of a locked PDF where the PDF stands, and reads what is missing of it. */
export function Unlock({ document: locked }: { document: DocumentState }) {
  const { t } = useTexts();
  const submit = (event: SubmitEvent<HTMLFormElement>): void => {
    event.preventDefault();
    const password = new FormData(event.currentTarget).get("password");
    if (typeof password !== "string" || !password) return;
    if (canRetry(locked)) retry(locked.id, { password });
    else change(locked.id, (d) => ({ error: null, options: d.options && { ...d.options, password } }));
  };
  return (
    <form className="row unlock" onSubmit={submit}>
      <input
        name="password"
        type="password"
        required
        maxLength={200}
        autoComplete="off"
        placeholder={t("password")}
        aria-label={t("unlock.label", { name: locked.name })}
      />
      <button type="submit" className="primary small">
        {t("unlock")}
      </button>
    </form>
  );
}
