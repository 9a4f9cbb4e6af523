import { messages } from "../state/messages";
import { useStore } from "../state/store";

export function Messages() {
  const shown = useStore(messages);
  return (
    <div className="messages" role="status" aria-live="polite">
      {shown.map((message) => (
        <p key={message.id} className={message.kind}>
          {message.text}
        </p>
      ))}
    </div>
  );
}
