import "./styles.css";

import { StrictMode } from "react";
import { createRoot } from "react-dom/client";

import { App } from "./App";
import { fetchParts } from "./parts";
import { startDrafts } from "./state/drafts";
import { keepFocus } from "./state/focus";
import { start } from "./state/service";
import { chooseLanguage, preferredLanguage } from "./texts";

void chooseLanguage(preferredLanguage(), false);
startDrafts();
start();
keepFocus();
fetchParts();

const root = document.getElementById("root");
if (!root) throw new Error("index.html has no #root");
createRoot(root).render(
  <StrictMode>
    <App />
  </StrictMode>,
);
