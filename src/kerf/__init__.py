"""Kerf makes code fit chips and chips fit code.

import kerf
result = kerf.optimize(module, [x])      # result["candidate"]["path"] is a drop-in for `module`
placed = kerf.place(design)              # placed.placement.x, .y, .orient; placed.report
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from kerf.core.types import KerfError

__all__ = ["KerfError", "optimize", "place"]


def optimize(*args: Any, **kwargs: Any) -> dict[str, Any]:
    """See `kerf.kernels.search.optimize`."""
    from kerf.kernels.search import optimize as run

    return run(*args, **kwargs)


def place(*args: Any, **kwargs: Any) -> Any:
    """See `kerf.placement.place.place`."""
    run = import_module(
        "kerf.placement.place"
    ).place  # by name: kernels import kerf, and not the other domains with it
    return run(*args, **kwargs)
