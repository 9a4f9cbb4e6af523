/** What the server says of itself, whether it answers, and who is logged in. */

import { ApiError, describe, hasToken, json, onLost, onRefused, request, setToken } from "../api/client";
import type { Info, Service } from "../api/types";
import { Store } from "./store";

export interface Me {
  id: string;
  username: string;
  role: "admin" | "user";
  pages_per_day: number | null;
}

export interface ServiceState {
  root: Service | null;
  info: Info | null;
  me: Me | null;
  wantsLogin: boolean;
  unreachable: boolean;
  /** The code of what kept somebody from signing in at the site's issuer; empty where nothing did. */
  signInProblem: string;
}

export const service = new Store<ServiceState>({
  root: null,
  info: null,
  me: null,
  wantsLogin: false,
  unreachable: false,
  signInProblem: "",
});

const SOON_MS = 3000;
const IDLE_MS = 20_000;

let timer: ReturnType<typeof setTimeout> | undefined;

/** Ask until the server is ready; from then on now and then, and at once when it stops answering. */
export function start(): void {
  onRefused(() => service.update((s) => ({ ...s, me: null, wantsLogin: true })));
  onLost(() => {
    if (service.get().unreachable) return;
    service.update((s) => ({ ...s, unreachable: true }));
    askIn(SOON_MS);
  });
  void comeBack().then(look);
}

/** Take up the login where the browser has just come back from the site's issuer. */
async function comeBack(): Promise<void> {
  const code = new URLSearchParams(location.search).get("sign_in");
  if (code === null) return;
  history.replaceState(null, "", location.pathname + location.hash);
  if (code !== "ok") {
    service.update((s) => ({ ...s, signInProblem: code }));
    return;
  }
  try {
    const fetched = await json<{ access_token: string }>("/api/auth/oidc/token", { method: "POST", credentials: "same-origin" });
    setToken(fetched.access_token);
  } catch (error) {
    service.update((s) => ({ ...s, signInProblem: describe(error).code }));
  }
}

/** Ask now, whenever the next time was to be. */
export function tryNow(): void {
  askIn(0);
}

function askIn(milliseconds: number): void {
  clearTimeout(timer);
  timer = setTimeout(() => void look(), milliseconds);
}

async function look(): Promise<void> {
  const well = await refresh();
  askIn(well ? IDLE_MS : SOON_MS);
}

async function refresh(): Promise<boolean> {
  try {
    const root = await json<Service>("/");
    service.update((s) => ({ ...s, root, unreachable: false }));
    const guarded = root.features["accounts"]?.available ?? false;
    const { info, wantsLogin } = service.get();
    if (guarded && !hasToken()) service.update((s) => ({ ...s, wantsLogin: true }));
    else if (!info && !wantsLogin) await identify(guarded);
    return root.ready;
  } catch (error) {
    service.update((s) => ({ ...s, unreachable: !(error instanceof ApiError) }));
    return false;
  }
}

async function identify(guarded: boolean): Promise<void> {
  const info = await json<Info>("/info");
  const me = guarded ? await json<Me>("/api/auth/me") : null;
  service.update((s) => ({ ...s, info, me, wantsLogin: false }));
}

/** Raises `ApiError` for a wrong name or password. */
export async function login(username: string, password: string): Promise<void> {
  const body = new URLSearchParams({ grant_type: "password", username, password });
  const response = await request("/api/auth/token", { method: "POST", body });
  setToken(((await response.json()) as { access_token: string }).access_token);
  await identify(true);
}

export function logout(): void {
  setToken(null);
  service.update((s) => ({ ...s, me: null, wantsLogin: true }));
}

/** The prompts by name; none where the engine takes none. */
export function promptsOf(info: Info | null): Record<string, string> {
  return info?.engine.supports_prompt ? info.prompts : {};
}

/** Whether names and passwords are taken; a server that does not say takes them. */
export function takesPasswords(root: Service | null): boolean {
  return root?.features["password_login"]?.available ?? true;
}

/** Whether a feature is on; one that the server does not name is not there. */
export function has(root: Service | null, feature: string): boolean {
  return root?.features[feature]?.available ?? false;
}
