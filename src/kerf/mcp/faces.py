"""The commands of this face. The SDK is imported when they run."""

from __future__ import annotations

import importlib.util
import os
from typing import Annotated, Any

from kerf.core.types import KerfError
from kerf.core.verb import Option, Verb
from kerf.mcp.connect.agents import AGENTS


def mcp(
    *,
    http: Annotated[
        str,
        Option(
            "Serve streamable HTTP here instead of standard input and output; 127.0.0.1 unless a host is named.",
            "--http",
            "[HOST:]PORT",
        ),
    ] = "",
    folder: Annotated[
        str, Option("Work here: relative paths in tool arguments start from it.", metavar="DIR")
    ] = "",
) -> dict[str, Any]:
    """Serve every verb to an agent as a tool of the Model Context Protocol."""
    _check_installed()
    if folder:
        _enter(folder)
    from kerf.mcp import serve

    if http:
        serve.http(http)
    else:
        serve.stdio()
    return {}


def connect(
    agent: Annotated[
        str, Option("claude, codex, cursor, gemini or vscode.", metavar="AGENT", choices=tuple(AGENTS))
    ],
    *,
    scope: Annotated[
        str,
        Option("Whose configuration: this folder's (project) or yours (user).", choices=("project", "user")),
    ] = "project",
    undo: Annotated[bool, Option("Take it back: the files as they were before.")] = False,
    yes: Annotated[bool, Option("Write without asking.")] = False,
) -> dict[str, Any]:
    """Tell a coding agent of kerf's tools: its own configuration, and a skill that teaches the workflow."""
    _check_installed()
    from kerf.mcp.connect import connect as connecting

    return connecting.connect(agent, scope, undo=undo, agreed=(lambda diff: True) if yes else connecting.ask)


def _connected(result: Any) -> str:
    from kerf.mcp.connect import connect as connecting

    return connecting.text(result)


def _enter(folder: str) -> None:
    try:
        os.chdir(folder)
    except OSError as error:
        raise KerfError(f"--folder {folder}: {error.strerror}. Name a folder that exists.") from error


def _check_installed() -> None:
    missing = [name for name in ("mcp", "tomlkit") if importlib.util.find_spec(name) is None]
    if missing:
        raise KerfError(
            f"agents need {' and '.join(missing)}, not installed here: pip install 'kerf-ai[mcp]'"
        )


FACES = (
    Verb("mcp", mcp, lambda result: ""),
    Verb(
        "connect", connect, _connected, failed=lambda result: bool(result["diff"]) and not result["written"]
    ),
)
