"""A verb's declaration as a tool's: JSON Schema of its arguments, hints for clients, and what is wrong with arguments that do not fit."""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Any

from kerf.core.verb import Parameter, Verb

PLAIN: Mapping[Any, str] = {str: "string", int: "integer", float: "number", bool: "boolean", Path: "string"}


def arguments_schema(verb: Verb) -> dict[str, Any]:
    """JSON Schema (2020-12) of an object with the verb's parameters by their Python names; no others are allowed."""
    parameters = list(verb.parameters())
    return {
        "type": "object",
        "properties": {p.name: _property(p) for p in parameters},
        "required": [p.name for p in parameters if p.required],
        "additionalProperties": False,
    }


def _property(p: Parameter) -> dict[str, Any]:
    found = {**_type(p.kind), "description": p.option.help}
    if p.option.choices:
        found["enum"] = list(p.option.choices)
    if not p.required:
        found["default"] = p.default
    return found


def _type(kind: Any) -> dict[str, Any]:
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin in (list, tuple):
        return {"type": "array", "items": _type(inner[0])}
    if origin in (typing.Union, types.UnionType):
        return {"anyOf": [_type(k) for k in inner]}
    if origin is typing.Literal:
        return {"enum": list(inner)}
    if kind is types.NoneType:
        return {"type": "null"}
    if isinstance(kind, type) and issubclass(kind, Enum):
        return {"enum": [member.value for member in kind]}
    return {"type": PLAIN[kind]}


def complaints(verb: Verb, given: Mapping[str, Any]) -> list[str]:
    """What keeps `given` from being this verb's arguments, a sentence each; empty where it may be called."""
    import difflib

    from jsonschema import Draft202012Validator

    schema = arguments_schema(verb)
    known = list(schema["properties"])
    found = []
    for name in sorted(given.keys() - set(known)):
        near = difflib.get_close_matches(name, known, 1, 0.5)
        found.append(
            f"no argument {name!r}"
            + (f" (did you mean {near[0]!r}?)" if near else f"; it takes {', '.join(known) or 'none'}")
        )
    found += [
        f"{name!r} is missing: {schema['properties'][name]['description']}"
        for name in schema["required"]
        if name not in given
    ]
    for name in (n for n in known if n in given):
        errors = Draft202012Validator(schema["properties"][name]).iter_errors(given[name])
        found += [f"{name!r}: {_wrong(error)}" for error in errors]
    return found


def _wrong(error: Any) -> str:
    if error.validator == "anyOf":
        kinds = [option.get("type") for option in error.validator_value]
        return f"{error.instance!r} is not of type {' or '.join(map(repr, kinds))}"
    return str(error.message)
