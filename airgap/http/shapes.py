"""What an answer is to be held to, in a client's words: OpenAI's, vLLM's, a JSON schema, a list of names.

It checks what can be checked without the engine, whose own compiler has the last word. Knows no route.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from airgap.core.document import SHAPE_KINDS, AnswerShape, ShapeKind
from airgap.core.errors import BadRequest, InvalidOption
from airgap.core.json_text import levels_of, read_json

MAX_CHARS = 65_536
MAX_DEPTH = 32
MAX_NAMES = 200
MAX_NAME_CHARS = 100

_GUIDED: dict[str, ShapeKind] = {
    "guided_json": "json",
    "guided_regex": "regex",
    "guided_choice": "choice",
    "guided_grammar": "grammar",
}
SHAPE_FIELDS = frozenset({"response_format", "structured_outputs", *_GUIDED})
"""Fields of a request that `wanted_shape` heeds."""


def wanted_shape(fields: Mapping[str, Any]) -> AnswerShape | None:
    """The shape that `response_format`, `structured_outputs` or a `guided_*` field asks for.

    Raises `BadRequest` for several, or for one of an unknown kind, and `InvalidOption` for one that is
    not well formed.
    """
    found = [shape for name, value in fields.items() if value is not None and (shape := _of(name, value))]
    if len(found) > 1:
        raise BadRequest("Several shapes are asked of one answer.", "Send one `response_format` alone.")
    return found[0] if found else None


def _of(name: str, value: Any) -> AnswerShape | None:
    if name == "response_format":
        return _of_openai(value)
    if name == "structured_outputs":
        return _of_vllm(value)
    if name in _GUIDED:
        return shape_of(_GUIDED[name], value)
    if name.startswith("guided_"):
        raise BadRequest(f"`{name[:40]}` is not spoken here.", f"Use one of: {', '.join(sorted(_GUIDED))}.")
    return None


def _of_openai(value: Any) -> AnswerShape | None:
    kind = value.get("type") if isinstance(value, dict) else None
    if kind == "text":
        return None
    if kind == "json_object":
        schema = value.get("schema")
        return shape_of("json", schema) if schema else AnswerShape("json_object")
    if kind == "json_schema" and isinstance(value.get("json_schema"), dict):
        return shape_of("json", value["json_schema"].get("schema"))
    raise BadRequest("`response_format` is of no known type.", "Use text, json_object or json_schema.")


def _of_vllm(value: Any) -> AnswerShape:
    given = [kind for kind in SHAPE_KINDS if isinstance(value, dict) and value.get(kind)]
    if len(given) != 1:
        raise BadRequest("`structured_outputs` names no kind, or several.", f"One of: {SHAPE_KINDS}.")
    return shape_of(given[0], value[given[0]])


def shape_of(kind: ShapeKind, value: Any) -> AnswerShape:
    """A checked shape. Raises `InvalidOption`."""
    if kind == "json_object":
        return AnswerShape(kind)
    if kind == "json":
        return schema_shape(value)
    if kind == "choice":
        return AnswerShape(kind, json.dumps(_names(value, "choices"), ensure_ascii=False))
    if not isinstance(value, str) or not value or len(value) > MAX_CHARS:
        raise InvalidOption(f"The {kind} is no text, or longer than {MAX_CHARS} characters.")
    return AnswerShape(kind, value)


def schema_shape(value: Any) -> AnswerShape:
    """A JSON schema, as an object or its text. Raises `InvalidOption`."""
    try:
        schema = read_json(value) if isinstance(value, str) else value
    except ValueError as error:
        raise InvalidOption("The schema is not JSON.", "Send a JSON schema, an object.") from error
    if not isinstance(schema, dict) or not schema:
        raise InvalidOption("The schema is no JSON object, or an empty one.", "Send a JSON schema.")
    text = "" if levels_of(schema, MAX_DEPTH) > MAX_DEPTH else json.dumps(schema, ensure_ascii=False)
    if not 0 < len(text) <= MAX_CHARS:
        raise InvalidOption(f"The schema has more than {MAX_CHARS} characters or {MAX_DEPTH} levels.")
    if any(not reference.startswith("#") for reference in _references(schema)):
        raise InvalidOption("The schema refers to another document.", "Put what it needs under `$defs`.")
    return AnswerShape("json", text)


def names_shape(names: Any) -> AnswerShape:
    """An object with these names, each a text or null. Raises `InvalidOption`."""
    text_or_null = {"anyOf": [{"type": "string"}, {"type": "null"}]}
    checked = _names(names, "fields")
    return schema_shape(
        {
            "type": "object",
            "properties": dict.fromkeys(checked, text_or_null),
            "required": checked,
            "additionalProperties": False,
        }
    )


def _names(value: Any, what: str) -> list[str]:
    names = list(value) if isinstance(value, list | tuple) else []
    sound = all(isinstance(name, str) and 0 < len(name.strip()) <= MAX_NAME_CHARS for name in names)
    if not names or not sound or len(names) > MAX_NAMES or len(set(names)) < len(names):
        raise InvalidOption(
            f"`{what}` is no list of 1 to {MAX_NAMES} different texts of at most {MAX_NAME_CHARS} characters."
        )
    return names


def _references(value: Any) -> list[str]:
    if isinstance(value, list):
        return [found for part in value for found in _references(part)]
    if not isinstance(value, dict):
        return []
    own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
    return own + [found for part in value.values() for found in _references(part)]
