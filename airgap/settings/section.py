"""What the sections of the settings are made of."""

from __future__ import annotations

import json
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict
from pydantic_settings import NoDecode

_OBJECT = '{"enforce_eager": true}'


class Section(BaseModel):
    """A part of the settings. Made by itself it takes its arguments alone, and nothing of the environment."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def _split(value: Any) -> Any:
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


def _object(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        found = json.loads(value)
    except ValueError as error:
        raise ValueError(f"is not JSON: {error}; write an object such as {_OBJECT}") from error
    if not isinstance(found, dict):
        raise ValueError(f"is JSON, but no object such as {_OBJECT}")
    return found


CommaSeparated = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]
JsonObject = Annotated[dict[str, Any], NoDecode, BeforeValidator(_object)]
