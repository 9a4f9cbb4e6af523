import { dismiss, messages } from "../state/messages";
import { useStore } from "../state/store";
import { useTexts } from "../texts";

export function Messages() {
  const { t } = useTexts();
  const shown = useStore(messages);
  return (
    <div className="messages" role="status" aria-live="polite">
      {shown.map((message) => (
        <p key={message.id} className={message.kind}>
          <span>{message.text}</span>
          {message.kind === "error" && (
            <button type="button" className="small quiet" onClick={() => dismiss(message.id)} aria-label={t("dismiss")}>
              ×
            </button>
          )}
        </p>
      ))}
    </div>
  );
}
