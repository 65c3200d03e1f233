"""What tools take, and what a model gave them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from kerf.core.types import KerfError
from kerf.proposers.agent.bench import Mistake
from kerf.proposers.agent.board import Board
from kerf.proposers.agent.fence import fenced

Uses = Mapping[str, Callable[[Mapping[str, Any], Board], str]]


def schema(properties: Mapping[str, Any] | None = None, *required: str) -> dict[str, Any]:
    """The JSON Schema of an object."""
    return {"type": "object", "properties": dict(properties or {}), "required": list(required)}


def refused(error: KerfError) -> Mistake:
    """What a user would hear as an error, as a mistake of the model's. Its text may name what came from outside."""
    return Mistake(f"that cannot be done:\n{fenced(str(error))}")


def answered(uses: Uses, name: str, arguments: Mapping[str, Any], board: Board) -> str:
    """What the tool of this name says. Raises Mistake."""
    try:
        return uses[name](arguments, board)
    except KerfError as error:
        raise refused(error) from error


def whole(arguments: Mapping[str, Any], name: str, default: int) -> int:
    """Mistake where the argument is no whole number."""
    value = arguments.get(name, default)
    if not isinstance(value, int):
        raise Mistake(f"`{name}` is a whole number")
    return value
