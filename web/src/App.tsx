import { Suspense, useState } from "react";

import { Header } from "./panels/Header";
import { Lost } from "./panels/Lost";
import { Messages } from "./panels/Messages";
import { Open } from "./panels/Open";
import type { Panel } from "./panels/panel";
import { Sidebar } from "./panels/Sidebar";
import { part } from "./parts";
import { useSelected } from "./state/documents";
import { service } from "./state/service";
import { useStore } from "./state/store";
import { useTexts } from "./texts";

const Viewer = part(async () => (await import("./viewer/Viewer")).Viewer);
const Jobs = part(async () => (await import("./panels/Jobs")).Jobs);
const Usage = part(async () => (await import("./panels/Usage")).Usage);
const Account = part(async () => (await import("./panels/Account")).Account);
const Login = part(async () => (await import("./panels/Account")).Login);

/** The one screen. Where it is narrow, it shows either the documents or the one that was opened. */
export function App() {
  const { t } = useTexts();
  const [panel, setPanel] = useState<Panel | null>(null);
  const [opened, setOpened] = useState(false);
  const { wantsLogin } = useStore(service);
  const shown = useSelected();
  const close = (): void => setPanel(null);
  const turnTo = (document: boolean): void => {
    setOpened(document);
    requestAnimationFrame(() => focusFirst(document ? "main .back" : ".document-list li.current .choose"));
  };
  return (
    <>
      <a className="skip" href="#document">
        {t("skip")}
      </a>
      <Header onPanel={setPanel} />
      <Lost />
      <Open />
      <div className={`screen${opened && shown ? " opened" : ""}`}>
        <Sidebar onPanel={setPanel} onOpen={() => turnTo(true)} />
        <main id="document" tabIndex={-1}>
          <Suspense fallback={null}>
            {shown ? <Viewer key={shown.id} document={shown} onBack={() => turnTo(false)} /> : <Welcome />}
          </Suspense>
        </main>
      </div>
      <Suspense fallback={null}>
        {panel === "jobs" && <Jobs onClose={close} onOpen={() => setOpened(true)} />}
        {panel === "usage" && <Usage onClose={close} />}
        {panel === "account" && <Account onClose={close} />}
        {wantsLogin && <Login />}
      </Suspense>
      <Messages />
    </>
  );
}

/** Where the screen is wide the way back is not shown, and the focus stays where it is. */
function focusFirst(selector: string): void {
  const element = document.querySelector<HTMLElement>(selector);
  if (element?.checkVisibility()) element.focus();
}

function Welcome() {
  const { t } = useTexts();
  return (
    <div className="welcome">
      <svg viewBox="0 0 120 90" aria-hidden="true">
        <rect x="4" y="6" width="50" height="78" rx="4" className="w-page" />
        <rect x="11" y="14" width="36" height="9" rx="1" className="box kind-heading" />
        <rect x="11" y="29" width="36" height="22" rx="1" className="box kind-text" />
        <rect x="11" y="57" width="36" height="19" rx="1" className="box kind-table" />
        <path d="M68 19h44M68 33h44M68 40h40M68 47h42M68 62h44M68 68h44M68 74h44" className="w-lines" />
      </svg>
      <h2>{t("welcome.title")}</h2>
      <p>{t("welcome.text")}</p>
      <p className="muted">{t("about")}</p>
    </div>
  );
}
