"""What a language model said in a run, turn by turn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kerf.report.markup import Markup, join, tag

Turn = tuple[int, int, Mapping[str, Any]]
MOST_TURNS, MOST_CHARS = 200, 4_000


def conversation(turns: Sequence[Turn]) -> Markup:
    """One line a turn, which opens to the model's words, what it asked for and what it had been told. All of it is escaped."""
    return join(*(_turn(agent, number, body) for agent, number, body in turns[:MOST_TURNS]))


def summary(turns: Sequence[Turn]) -> str:
    """`12 turns, 31k tokens, $0.21`; without dollars where a price was not known."""
    tokens = sum(sum(_tokens(body)) for _, _, body in turns)
    dollars = [body.get("dollars") for _, _, body in turns]
    money = "" if None in dollars else f", ${sum(d or 0.0 for d in dollars):.2f}"
    more = f" (the first {MOST_TURNS})" if len(turns) > MOST_TURNS else ""
    return f"{len(turns)} turns, {tokens / 1000:.0f}k tokens{money}{more}"


def _turn(agent: int, number: int, body: Mapping[str, Any]) -> Markup:
    said = _said(body)
    calls = said.get("calls", ())
    asked = ", ".join(str(c.get("name", "")) for c in calls) or "no tool"
    sent, out = _tokens(body)
    head = f"agent {agent + 1}, turn {number + 1}: {asked} ({sent} tokens in, {out} out, {body.get('seconds', 0.0):.1f} s)"
    heard = [tag("pre", _cut(str(m.get("text", "")))) for m in body.get("heard", ())]
    shown = [tag("pre", _cut(str(c.get("arguments") or c.get("raw", "")))) for c in calls]
    words = tag("p", _cut(str(said.get("text", "")))) if said.get("text") else None
    return tag("details", tag("summary", head), *heard, words, *shown)


def _said(body: Mapping[str, Any]) -> Mapping[str, Any]:
    found = body.get("message") or {}
    return found if isinstance(found, Mapping) else {}


def _tokens(body: Mapping[str, Any]) -> tuple[int, int]:
    usage = body.get("usage") or {}
    return int(usage.get("input_tokens", 0)), int(usage.get("output_tokens", 0))


def _cut(text: str) -> str:
    return text if len(text) <= MOST_CHARS else f"{text[:MOST_CHARS]} ... ({len(text)} characters in all)"
