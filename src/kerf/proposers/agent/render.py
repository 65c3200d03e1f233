"""What a run's result says of a language model, as text for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def spent(result: Mapping[str, Any]) -> list[str]:
    """Lines: what it cost, why it was asked no more, and how to go on. None where no model took part."""
    model = result.get("model")
    if not model or "turns" not in model:
        return []
    dollars = "" if model["dollars"] is None else f", ${model['dollars']:.2f}"
    line = (
        f"model        {model['name']}: {model['turns']} turns, {model['tokens'] / 1000:.0f}k tokens{dollars}"
    )
    more = [*model["raise"], *(["--evaluations"] if result["stopped"] == "budget" else [])]
    again = f"Go on with new totals: kerf resume {result['run']} {' '.join(f'{flag} N' for flag in more)}"
    said = [model["stopped"], again if model["raise"] else ""]
    return [line, *(f"             {text}" for text in said if text)]
