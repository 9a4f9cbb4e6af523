import { type SubmitEvent, useCallback, useEffect, useState } from "react";

import { describe, json, post, request } from "../api/client";
import { clearDrafts } from "../state/drafts";
import { say } from "../state/messages";
import { cancelAll } from "../state/reader";
import { has, login, logout, type Me, service, takesPasswords } from "../state/service";
import { useStore } from "../state/store";
import { useTexts } from "../texts";
import { explained, sayProblem } from "../texts/problems";
import { Dialog } from "./Dialog";

interface User {
  id: number;
  username: string;
  role: "admin" | "user";
  active: boolean;
}

interface ApiKey {
  id: string;
  name: string;
  revoked_at: string | null;
}

export function Login() {
  const { t, language } = useTexts();
  const { root, signInProblem } = useStore(service);
  const [refused, setRefused] = useState("");
  const problem = refused || (signInProblem && explained({ code: signInProblem, message: "", remedy: "" }, t, language).message);
  const submit = (event: SubmitEvent<HTMLFormElement>): void => {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    login(field(form, "username"), field(form, "password")).catch((error: unknown) => setRefused(explained(describe(error), t, language).message));
  };
  return (
    <Dialog title={t("login.title")}>
      {problem && (
        <p className="note failed" role="alert">
          {problem}
        </p>
      )}
      {has(root, "sign_in") && (
        <p className="stack">
          <button type="button" className="primary" autoFocus={!takesPasswords(root)} onClick={() => location.assign("/api/auth/oidc/login")}>
            {t("login.issuer")}
          </button>
        </p>
      )}
      {takesPasswords(root) && (
        <form onSubmit={submit} className="stack">
          <label>
            {t("username")}
            <input name="username" autoComplete="username" required autoFocus />
          </label>
          <label>
            {t("password")}
            <input name="password" type="password" autoComplete="current-password" required />
          </label>
          <button type="submit" className="primary">
            {t("login")}
          </button>
        </form>
      )}
    </Dialog>
  );
}

export function Account({ onClose }: { onClose: () => void }) {
  const { t } = useTexts();
  const { me, root } = useStore(service);
  if (!me) return null;
  const leave = (): void => {
    cancelAll();
    void clearDrafts().then(logout);
    onClose();
  };
  return (
    <Dialog title={t("account")} onClose={onClose}>
      <p className="row">
        <strong>{t("who", { name: me.username, role: t(`role.${me.role}`) })}</strong>
        <span className="grow" />
        <button type="button" onClick={leave}>
          {t("logout")}
        </button>
      </p>
      <Keys />
      {me.role === "admin" && <Users me={me} />}
      {takesPasswords(root) && <Password />}
    </Dialog>
  );
}

function Keys() {
  const { t } = useTexts();
  const [keys, load] = useList<ApiKey>("/api/auth/keys");
  const [made, setMade] = useState("");
  const make = (event: SubmitEvent<HTMLFormElement>): void => {
    event.preventDefault();
    const form = event.currentTarget;
    void attempt(async () => {
      const answer = await json<{ key: string }>("/api/auth/keys", post({ name: field(new FormData(form), "name") }));
      setMade(answer.key);
      form.reset();
      await load();
    });
  };
  return (
    <section>
      <h3>{t("keys")}</h3>
      <ul className="plain">
        {keys.length === 0 && <li className="muted">{t("none")}</li>}
        {keys.map((key) => (
          <li key={key.id} className="row">
            <span>{key.name}</span>
            <span className="grow" />
            {key.revoked_at ? (
              <span className="muted">{t("keys.revoked")}</span>
            ) : (
              <button
                type="button"
                className="small"
                aria-label={`${t("keys.revoke")}: ${key.name}`}
                onClick={() => void attempt(() => request(`/api/auth/keys/${key.id}`, { method: "DELETE" }).then(load))}
              >
                {t("keys.revoke")}
              </button>
            )}
          </li>
        ))}
      </ul>
      {made && (
        <p className="note" role="status">
          {t("keys.once")} <code className="secret">{made}</code>
        </p>
      )}
      <form className="row" onSubmit={make}>
        <input name="name" required maxLength={100} placeholder={t("name")} aria-label={`${t("keys")}: ${t("name")}`} />
        <button type="submit">{t("keys.make")}</button>
      </form>
    </section>
  );
}

function Users({ me }: { me: Me }) {
  const { t } = useTexts();
  const [users, load] = useList<User>("/api/auth/users");
  const add = (event: SubmitEvent<HTMLFormElement>): void => {
    event.preventDefault();
    const element = event.currentTarget;
    const form = new FormData(element);
    const body = { username: field(form, "username"), password: field(form, "password"), role: field(form, "role") };
    void attempt(async () => {
      await request("/api/auth/register", post(body));
      element.reset();
      await load();
    });
  };
  return (
    <section>
      <h3>{t("users")}</h3>
      <ul className="plain">
        {users.map((user) => (
          <li key={user.id} className="row">
            <span>{t("who", { name: user.username, role: t(`role.${user.role}`) })}</span>
            <span className="grow" />
            {!user.active && <span className="muted">{t("users.ended")}</span>}
            {user.active && user.username !== me.username && (
              <button
                type="button"
                className="small"
                aria-label={`${t("users.end")}: ${user.username}`}
                onClick={() =>
                  void attempt(() =>
                    request(`/api/auth/users/${encodeURIComponent(user.username)}`, { method: "DELETE" }).then(load),
                  )
                }
              >
                {t("users.end")}
              </button>
            )}
          </li>
        ))}
      </ul>
      <form className="row wrap" onSubmit={add}>
        <input name="username" required maxLength={64} placeholder={t("username")} aria-label={t("username")} />
        <input
          name="password"
          type="password"
          required
          maxLength={256}
          autoComplete="new-password"
          placeholder={t("password")}
          aria-label={t("password")}
        />
        <select name="role" aria-label={t("users.role")}>
          <option value="user">{t("role.user")}</option>
          <option value="admin">{t("role.admin")}</option>
        </select>
        <button type="submit">{t("users.make")}</button>
      </form>
    </section>
  );
}

function Password() {
  const { t } = useTexts();
  const submit = (event: SubmitEvent<HTMLFormElement>): void => {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    const body = { old_password: field(form, "old"), new_password: field(form, "new") };
    void attempt(async () => {
      await request("/api/auth/password", post(body));
      say(t("password.changed"));
      logout(); // changing it ended all logins
    });
  };
  return (
    <details>
      <summary>{t("password.change")}</summary>
      <form className="row wrap" onSubmit={submit}>
        <input
          name="old"
          type="password"
          required
          autoComplete="current-password"
          placeholder={t("password.old")}
          aria-label={t("password.old")}
        />
        <input
          name="new"
          type="password"
          required
          autoComplete="new-password"
          placeholder={t("password.new")}
          aria-label={t("password.new")}
        />
        <button type="submit">{t("save")}</button>
      </form>
    </details>
  );
}

function useList<T>(path: string): [T[], () => Promise<void>] {
  const [list, setList] = useState<T[]>([]);
  const load = useCallback(async () => setList(await json<T[]>(path)), [path]);
  useEffect(() => {
    void attempt(load);
  }, [load]);
  return [list, load];
}

async function attempt(work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    sayProblem(error);
  }
}

function field(form: FormData, name: string): string {
  const value = form.get(name);
  return typeof value === "string" ? value : "";
}
