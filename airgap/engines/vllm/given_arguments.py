"""VLLM_ENGINE_ARGS against what this vLLM takes, before a model is looked at.

vLLM itself would say the same as a `TypeError` in the middle of a start, without the setting's name.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import fields
from difflib import get_close_matches

from airgap.core.errors import ConfigurationError


def known_names() -> frozenset[str]:
    """The arguments of this vLLM. Imports it, so the environment must be set before."""
    from vllm.engine.arg_utils import AsyncEngineArgs

    return frozenset(field.name for field in fields(AsyncEngineArgs))


def refuse_strangers(given: Iterable[str], known: Collection[str]) -> None:
    """Raise `ConfigurationError` that names each argument which is not `known`, and those like it."""
    strangers = [name for name in given if name not in known]
    if not strangers:
        return
    named = "; ".join(_named(name, get_close_matches(_plain(name), known)) for name in strangers)
    raise ConfigurationError(
        f"VLLM_ENGINE_ARGS: {named}.",
        "Correct the name, or take it out; vLLM's documentation lists them under Engine Arguments.",
    )


def _plain(name: str) -> str:
    """As Python writes it, where it was written as on a command line."""
    return name.strip().lstrip("-").replace("-", "_").lower()


def _named(name: str, near: list[str]) -> str:
    words = f"vLLM has no argument {name[:80]!r}"
    return f"{words} (did you mean {' or '.join(near)}?)" if near else words
