"""A small chip that comes with kerf, so that `kerf place example` needs nothing else: `mesh` says how it was made."""

from __future__ import annotations

from pathlib import Path


def path() -> Path:
    """The .aux file of the example."""
    return Path(__file__).with_name("mesh.aux")
