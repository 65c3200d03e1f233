"""`kerf connect`: an agent's configuration and skill, shown, asked for, written; and back."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from kerf.core.types import KerfError
from kerf.mcp.connect import jsonc, toml
from kerf.mcp.connect.agents import AGENTS, Agent
from kerf.mcp.connect.changes import Change, apply, edited, revert, undone
from kerf.mcp.resources import guide

SCOPES = ("project", "user")


def connect(name: str, scope: str, *, undo: bool, agreed: Callable[[str], bool]) -> dict[str, Any]:
    """The JSON of `kerf connect`. `agreed` is shown the diff and says whether to write; it is not asked where nothing would change."""
    if name not in AGENTS:
        raise KerfError(f"no agent {name!r}: there are {', '.join(AGENTS)}")
    if scope not in SCOPES:
        raise KerfError(f"--scope takes {' or '.join(SCOPES)}, got {scope!r}")
    agent = AGENTS[name]
    changes = _undoing(agent, scope) if undo else _connecting(agent, scope)
    diff = "\n".join(c.diff() for c in changes if c.action != "none")
    written = bool(diff) and agreed(diff)
    if written:
        _write(changes, undo=undo)
    return {
        "agent": name,
        "scope": scope,
        "undo": undo,
        "changes": [{"path": str(c.path), "action": c.action, "note": c.note} for c in changes],
        "diff": diff,
        "written": written,
        "next": agent.next if written and not undo else "",
    }


def _connecting(agent: Agent, scope: str) -> list[Change]:
    module = _format(agent)
    entry = edited(
        agent.config_file(scope), partial(module.merged, path=agent.path, value=agent.server(scope))
    )
    skill = agent.skill_file(scope)
    return [entry, edited(skill, lambda text: guide())]


def _undoing(agent: Agent, scope: str) -> list[Change]:
    module = _format(agent)
    return [
        undone(agent.config_file(scope), partial(module.removed, path=agent.path)),
        undone(agent.skill_file(scope), None),
    ]


def _format(agent: Agent) -> Any:
    return toml if agent.config["project"].endswith(".toml") else jsonc


def _write(changes: Sequence[Change], *, undo: bool) -> None:
    for change in reversed(changes) if undo else changes:  # the last made folders go first
        (revert if undo else apply)(change)


def ask(diff: str) -> bool:
    """On a terminal; elsewhere no."""
    print(diff, file=sys.stderr)
    if not sys.stdin.isatty():
        return False
    print("Write this? [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def text(result: Any) -> str:
    rows = [
        f"{c['action']:<7} {c['path']}" + (f"  ({c['note']})" if c["note"] else "") for c in result["changes"]
    ]
    if not result["diff"]:
        return "\n".join(
            ["nothing to undo" if result["undo"] else f"{result['agent']} is connected already", *rows]
        )
    if not result["written"]:
        return "nothing was written; with --yes it is, without a question"
    return "\n".join([*rows, *([f"next: {result['next']}"] if result["next"] else [])])
