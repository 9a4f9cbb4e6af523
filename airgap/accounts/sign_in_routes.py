"""`/api/auth/oidc`: a browser goes to the site's issuer, comes back, and the page fetches its login.

Cookies, two short ones, are for that way alone: no other route reads a cookie. The login itself stands in
no address, so that it is in no history and in no log.
"""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from airgap.accounts.routes import AuditDep, LoginAuditDep, Token, client_of, note
from airgap.accounts.sign_in import BEGUN_SECONDS, ENDED_SECONDS, SignIn
from airgap.core.errors import AirgapError

PREFIX = "/api/auth/oidc"
_BEGUN, _ENDED = "ocr_sign_in", "ocr_signed_in"

router = APIRouter(prefix=PREFIX, include_in_schema=False)


def _sign_in(request: Request) -> SignIn:
    found: SignIn = request.app.state.sign_in
    return found


def _redirect_uri(request: Request) -> str:
    """Where the issuer sends the browser back to."""
    given: str | None = request.app.state.service.settings.oidc_redirect_uri
    return given or str(request.url_for("signed_in"))


@router.get("/login")
async def login(request: Request) -> Response:
    url, begun = await _sign_in(request).begin(_redirect_uri(request), client_of(request))
    answer = RedirectResponse(url, 303)
    # The browser comes back from another site: a stricter cookie would stay behind.
    _keep(request, answer, _BEGUN, begun, BEGUN_SECONDS, PREFIX, "lax")
    return answer


@router.get("/callback", name="signed_in")
async def signed_in(request: Request, audit: AuditDep, logins: LoginAuditDep) -> Response:
    """Ends on the page, which says what went wrong where something did."""
    try:
        user, is_new, ended = await _sign_in(request).end(
            request.query_params, request.cookies.get(_BEGUN), _redirect_uri(request)
        )
    except AirgapError as error:
        await logins.failed("sign_in", "", client_of(request), error)
        answer = RedirectResponse(f"/ui/?sign_in={error.code}", 303)
    else:
        if is_new:
            await note(audit, "register", f"user:{user.id} {user.name}", account=f"user:{user.id}")
        await logins.succeeded("sign_in", user, client_of(request))
        answer = RedirectResponse("/ui/?sign_in=ok", 303)
        _keep(request, answer, _ENDED, ended, ENDED_SECONDS, f"{PREFIX}/token", "strict")
    answer.delete_cookie(_BEGUN, PREFIX)
    return answer


@router.post("/token")
async def token(request: Request, response: Response) -> Token:
    """The login of whoever has just signed in, once: the cookie goes with the answer."""
    issued, seconds = await _sign_in(request).login(request.cookies.get(_ENDED))
    response.delete_cookie(_ENDED, f"{PREFIX}/token")
    response.headers["Cache-Control"] = "no-store"
    return {"access_token": issued, "token_type": "bearer", "expires_in": seconds}


def _keep(
    request: Request,
    answer: Response,
    name: str,
    value: str,
    seconds: int,
    path: str,
    samesite: Literal["lax", "strict"],
) -> None:
    secure = request.url.scheme == "https"
    answer.set_cookie(
        name, value, max_age=seconds, path=path, secure=secure, httponly=True, samesite=samesite
    )
