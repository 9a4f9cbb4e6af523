"""What the caller has had read: `/api/auth/me/usage`, and under another server's names.

A user sees what their keys had read, too; a key sees its own.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends
from typing_extensions import TypedDict

from airgap.accounts.caller import CallerDep
from airgap.accounts.routes import AccountsDep
from airgap.accounts.usage import Event, Usage
from airgap.core.errors import FeatureDisabled
from airgap.http.json_bodies import JsonRoute

router = APIRouter(prefix="/api/auth", tags=["accounts"], route_class=JsonRoute)
other_names = APIRouter(tags=["accounts"], route_class=JsonRoute)


class UsageEvent(TypedDict):
    """One request that had something read, or one job so far; the time is ISO 8601.

    Tokens are the engine's. Characters are those of the prompt and of what was read, without markup.
    """

    id: int
    kind: str
    prompt_chars: int
    completion_chars: int
    prompt_tokens: int
    completion_tokens: int
    input_bytes: int
    meta: str | None
    created_at: str
    pages: int
    job: str | None


class UsageSummary(TypedDict):
    """The sums over the last `days` days."""

    total_events: int
    total_input_bytes: int
    total_prompt_tokens: int
    total_completion_tokens: int
    total_prompt_chars: int
    total_completion_chars: int
    total_pages: int
    days: int


async def get_usage(accounts: AccountsDep) -> Usage:
    """Raises `FeatureDisabled` where the site keeps no usage."""
    if not accounts.usage.days:
        raise FeatureDisabled(
            "This server keeps no list of what was read for whom (USAGE_DAYS=0).",
            "The site finds it in the audit log, and sums in /metrics.",
        )
    return accounts.usage


UsageDep = Annotated[Usage, Depends(get_usage)]


async def get_callers(accounts: AccountsDep, caller: CallerDep) -> list[str]:
    return await accounts.callers_of(caller)


Callers = Annotated[list[str], Depends(get_callers)]


@other_names.get("/users/me/usage", include_in_schema=False)
@other_names.get("/api/users/me/usage", include_in_schema=False)
@router.get("/me/usage", summary="What was read for me: the newest 200 requests and jobs, newest first")
async def recent(usage: UsageDep, callers: Callers) -> list[UsageEvent]:
    return [_event(event) for event in await usage.recent(callers)]


@other_names.get("/users/me/usage/summary", include_in_schema=False)
@other_names.get("/api/users/me/usage/summary", include_in_schema=False)
@router.get("/me/usage/summary", summary="The sums of what was read for me")
async def summary(usage: UsageDep, callers: Callers) -> UsageSummary:
    sums = await usage.totals(callers)
    return {
        "total_events": sums["events"],
        "total_input_bytes": sums["input_bytes"],
        "total_prompt_tokens": sums["prompt_tokens"],
        "total_completion_tokens": sums["completion_tokens"],
        "total_prompt_chars": sums["prompt_chars"],
        "total_completion_chars": sums["completion_chars"],
        "total_pages": sums["pages"],
        "days": usage.days,
    }


def _event(event: Event) -> UsageEvent:
    return {
        "id": event.id,
        "kind": event.kind,
        "prompt_chars": event.prompt_chars,
        "completion_chars": event.completion_chars,
        "prompt_tokens": event.prompt_tokens,
        "completion_tokens": event.completion_tokens,
        "input_bytes": event.input_bytes,
        "meta": None,
        "created_at": event.created_at.isoformat(),
        "pages": event.pages,
        "job": event.job,
    }
