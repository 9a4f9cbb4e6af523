"""`/api/auth`: register, log in, change the password, and keys for machines."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Request
from fastapi.security import OAuth2PasswordRequestForm
from pydantic import BaseModel, Field
from typing_extensions import TypedDict

from airgap.accounts.audit import AuditLog
from airgap.accounts.caller import AdminDep, Caller, CallerDep, Role, get_caller
from airgap.accounts.login_audit import LoginAudit
from airgap.accounts.service import Accounts
from airgap.accounts.store import ApiKey, User
from airgap.core.errors import AirgapError, Forbidden, Unauthorized
from airgap.http.json_bodies import JsonRoute
from config import Settings

router = APIRouter(prefix="/api/auth", tags=["accounts"], route_class=JsonRoute)
other_names = APIRouter(tags=["accounts"], route_class=JsonRoute)
"""What another server calls these routes."""


def get_accounts(request: Request) -> Accounts:
    accounts: Accounts = request.app.state.accounts
    return accounts


def get_audit(request: Request) -> AuditLog | None:
    audit: AuditLog | None = request.app.state.audit
    return audit


def get_login_audit(request: Request) -> LoginAudit:
    audit: LoginAudit = request.app.state.login_audit
    return audit


AccountsDep = Annotated[Accounts, Depends(get_accounts)]
AuditDep = Annotated[AuditLog | None, Depends(get_audit)]
LoginAuditDep = Annotated[LoginAudit, Depends(get_login_audit)]


class Registration(BaseModel):
    """Only an administrator may make administrators."""

    username: str = Field(max_length=64)
    password: str = Field(max_length=256)
    role: Literal["admin", "user"] = "user"


class PasswordChange(BaseModel):
    old_password: str = Field(max_length=256)
    new_password: str = Field(max_length=256)


class KeyRequest(BaseModel):
    """Only an administrator may set a rate or quota other than the site's."""

    name: str = Field(min_length=1, max_length=100)
    requests_per_minute: int | None = Field(default=None, ge=1, le=1_000_000)
    pages_per_day: int | None = Field(default=None, ge=1, le=1_000_000_000)


class Account(TypedDict):
    """A person's account; the time is ISO 8601."""

    id: int
    username: str
    role: Role
    active: bool
    created_at: str


class Token(TypedDict):
    """A bearer token and the seconds it lasts (RFC 6749, 5.1)."""

    access_token: str
    token_type: Literal["bearer"]
    expires_in: int


class Me(TypedDict):
    """Who asks, and what they may use; null is the site's own limit."""

    id: str
    username: str
    role: Role
    pages_per_day: int | None
    requests_per_minute: int | None


class NewApiKey(TypedDict):
    """`key` is the secret; no later answer holds it."""

    id: str
    name: str
    key: str


class KeyAnswer(TypedDict):
    """An API key without its secret; times are ISO 8601."""

    id: str
    name: str
    user_id: int
    requests_per_minute: int | None
    pages_per_day: int | None
    created_at: str
    revoked_at: str | None


async def may_register(request: Request) -> Caller:
    """An administrator, or anybody where the site lets anybody. Raises `Unauthorized`, `Forbidden`."""
    caller = get_caller(request)
    settings: Settings = request.app.state.service.settings
    if caller.is_admin or settings.registration == "open":
        return caller
    if caller.user_id is None:
        raise Unauthorized("An administrator must log in to register accounts (REGISTRATION=admin).")
    raise Forbidden("Only an administrator may register accounts (REGISTRATION=admin).")


async def passwords_are_on(request: Request) -> None:
    """Raise `Forbidden` where the site has people sign in at its issuer alone."""
    settings: Settings = request.app.state.service.settings
    if not settings.password_login:
        raise Forbidden(
            "This server takes no passwords (PASSWORD_LOGIN=0).",
            "Sign in at /api/auth/oidc/login in a browser; machines use an API key.",
        )


_WITH_PASSWORDS = [Depends(passwords_are_on)]


@other_names.post("/auth/register", status_code=201, include_in_schema=False, dependencies=_WITH_PASSWORDS)
@router.post("/register", status_code=201, summary="Make an account", dependencies=_WITH_PASSWORDS)
async def register(
    request: Request,
    body: Registration,
    accounts: AccountsDep,
    audit: AuditDep,
    caller: Annotated[Caller, Depends(may_register)],
) -> Account:
    if body.role == "admin" and not caller.is_admin:
        raise Forbidden("Only an administrator may make administrators.")
    user = await accounts.register(body.username, body.password, body.role, client_of(request))
    await note(audit, "register", caller.id, account=f"user:{user.id}")
    return _user(user)


@other_names.post("/auth/token", include_in_schema=False, dependencies=_WITH_PASSWORDS)
@router.post("/token", summary="Log in: name and password for a bearer token", dependencies=_WITH_PASSWORDS)
async def token(
    request: Request,
    accounts: AccountsDep,
    audit: LoginAuditDep,
    form: Annotated[OAuth2PasswordRequestForm, Depends()],
) -> Token:
    client = client_of(request)
    try:
        issued, seconds, user = await accounts.login(form.username, form.password, client)
    except AirgapError as error:
        await audit.failed("login", form.username, client, error)
        raise
    await audit.succeeded("login", user, client)
    return {"access_token": issued, "token_type": "bearer", "expires_in": seconds}


@other_names.get("/users/me", include_in_schema=False)
@other_names.get("/api/users/me", include_in_schema=False)
@router.get("/me", summary="Who I am")
async def me(caller: CallerDep) -> Me:
    return {
        "id": caller.id,
        "username": caller.name,
        "role": caller.role,
        "pages_per_day": caller.pages_per_day,
        "requests_per_minute": caller.requests_per_minute,
    }


@router.post(
    "/password",
    status_code=204,
    summary="Change my password, which ends my other logins",
    dependencies=_WITH_PASSWORDS,
)
async def password(
    request: Request,
    body: PasswordChange,
    accounts: AccountsDep,
    audit: AuditDep,
    logins: LoginAuditDep,
    caller: CallerDep,
) -> None:
    if not caller.id.startswith("user:"):
        raise Forbidden("An API key cannot change a password.")
    try:
        await accounts.change_password(caller, body.old_password, body.new_password)
    except AirgapError as error:
        await logins.failed("password", caller.name, client_of(request), error)
        raise
    await note(audit, "password", caller.id)


@router.get("/users", summary="All accounts")
async def users(accounts: AccountsDep, admin: AdminDep) -> list[Account]:
    return [_user(user) for user in await accounts.users()]


@router.delete("/users/{username}", status_code=204, summary="End an account, its logins and keys")
async def end_user(username: str, accounts: AccountsDep, audit: AuditDep, admin: AdminDep) -> None:
    await accounts.deactivate(username)
    await note(audit, "deactivate", admin.id, account=username)


@router.post("/keys", status_code=201, summary="Make an API key; it is shown this once")
async def make_key(body: KeyRequest, accounts: AccountsDep, audit: AuditDep, caller: CallerDep) -> NewApiKey:
    if not caller.id.startswith("user:") or caller.user_id is None:
        raise Forbidden("An API key cannot make API keys.")
    if (body.requests_per_minute or body.pages_per_day) and not caller.is_admin:
        raise Forbidden("Only an administrator may set a key's rate or quota.")
    made = await accounts.make_key(caller.user_id, body.name, body.requests_per_minute, body.pages_per_day)
    await note(audit, "key_made", caller.id, key=made.id)
    return {"id": made.id, "name": body.name, "key": made.key}


@router.get("/keys", summary="My API keys; an administrator sees all")
async def keys(accounts: AccountsDep, caller: CallerDep) -> list[KeyAnswer]:
    return [_key(key) for key in await accounts.keys(caller)]


@router.delete("/keys/{key_id}", status_code=204, summary="Revoke an API key")
async def revoke_key(key_id: str, accounts: AccountsDep, audit: AuditDep, caller: CallerDep) -> None:
    await accounts.revoke_key(caller, key_id)
    await note(audit, "key_revoked", caller.id, key=key_id)


def client_of(request: Request) -> str:
    return request.client.host if request.client else ""


async def note(audit: AuditLog | None, event: str, who: str, **details: str) -> None:
    if audit is not None:
        await audit.note(event, who, **details)


def _user(user: User) -> Account:
    return {
        "id": user.id,
        "username": user.name,
        "role": user.role,
        "active": user.active,
        "created_at": user.created_at.isoformat(),
    }


def _key(key: ApiKey) -> KeyAnswer:
    return {
        "id": key.id,
        "name": key.name,
        "user_id": key.user_id,
        "requests_per_minute": key.requests_per_minute,
        "pages_per_day": key.pages_per_day,
        "created_at": key.created_at.isoformat(),
        "revoked_at": key.revoked_at.isoformat() if key.revoked_at else None,
    }
