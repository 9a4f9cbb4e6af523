import { type ReactNode, useLayoutEffect, useRef } from "react";

import { useTexts } from "../texts";

interface Props {
  title: string;
  onClose?: () => void;
  children: ReactNode;
}

/**
 * A panel over the screen. Without `onClose` it stays until what it asks for is done. The focus goes back to
 * what opened it.
 */
export function Dialog({ title, onClose, children }: Props) {
  const { t } = useTexts();
  const dialog = useRef<HTMLDialogElement>(null);
  useLayoutEffect(() => {
    const element = dialog.current;
    const opener = document.activeElement;
    if (element && !element.open) element.showModal();
    return () => {
      element?.close();
      if (opener instanceof HTMLElement) opener.focus();
    };
  }, []);
  return (
    <dialog
      ref={dialog}
      aria-label={title}
      onCancel={(event) => {
        event.preventDefault();
        onClose?.();
      }}
      onClick={(event) => {
        if (event.target === event.currentTarget) onClose?.();
      }}
    >
      <header className="row">
        <h2>{title}</h2>
        <span className="grow" />
        {onClose && (
          <button type="button" onClick={onClose}>
            {t("close")}
          </button>
        )}
      </header>
      <div className="dialog-body">{children}</div>
    </dialog>
  );
}
