"""The commands of this face. The SDK is imported when they run."""

from __future__ import annotations

import importlib.util
import os
from typing import Annotated, Any

from kerf.core.types import KerfError
from kerf.core.verb import Option, Verb


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


def _enter(folder: str) -> None:
    try:
        os.chdir(folder)
    except OSError as error:
        raise KerfError(f"--folder {folder}: {error.strerror}. Name a folder that exists.") from error


def _check_installed() -> None:
    if importlib.util.find_spec("mcp") is None:
        raise KerfError("serving agents needs the mcp package: pip install 'kerf-ai[mcp]'")


FACES = (Verb("mcp", mcp, lambda result: ""),)
