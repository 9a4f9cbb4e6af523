"""Who makes a request, for every route that must tell callers apart.

With accounts off everybody is `ANONYMOUS`. This module knows no database and no way to log in: the guard
puts the caller on the request, and this hands it on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from fastapi import Depends, Request
from fastapi.security import APIKeyHeader, OAuth2PasswordBearer

from airgap.core.errors import Forbidden

Role = Literal["admin", "user"]


@dataclass(frozen=True, slots=True)
class Caller:
    """A user, or a machine with an API key.

    `id` is what belongings such as jobs are marked with; it never changes and is never given away again.
    `name` is for people and logs. `user_id` is the account behind it, also of a key. A key is never an
    administrator. `account` is what pages are counted under: the keys of a user share one count, but for
    keys with a quota of their own.
    """

    id: str
    name: str
    role: Role = "user"
    user_id: int | None = None
    pages_per_day: int | None = None
    requests_per_minute: int | None = None
    account: str = ""

    @property
    def is_admin(self) -> bool:
        return self.role == "admin"

    @property
    def is_anonymous(self) -> bool:
        """Nobody in particular: what is anonymous belongs to whoever knows its id."""
        return self.id == "anonymous"

    def owns(self, owner: str) -> bool:
        """Whether something marked with the id `owner` is this caller's."""
        return owner == self.id


ANONYMOUS = Caller("anonymous", "anonymous")
INSTALLATION = Caller("installation", "check")


def get_caller(request: Request) -> Caller:
    """The request's caller; `ANONYMOUS` where accounts are off."""
    found = request.scope.get("caller", ANONYMOUS)
    return found if isinstance(found, Caller) else ANONYMOUS


def get_admin(request: Request) -> Caller:
    """The caller, who must be an administrator. Raises `Forbidden`."""
    caller = get_caller(request)
    if not caller.is_admin:
        raise Forbidden("Only an administrator may do this.")
    return caller


def security(enabled: bool) -> list[Any]:
    """Dependencies that make `/docs` offer both ways to say who one is. It is the guard that checks."""
    if not enabled:
        return []
    return [
        Depends(OAuth2PasswordBearer("/api/auth/token", auto_error=False, scheme_name="Login")),
        Depends(APIKeyHeader(name="X-API-Key", auto_error=False, scheme_name="API key")),
    ]


CallerDep = Annotated[Caller, Depends(get_caller)]
AdminDep = Annotated[Caller, Depends(get_admin)]
