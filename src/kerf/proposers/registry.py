"""Proposers by name. Ours are declared as anybody's are: entry points in the group "kerf.proposers"."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import EntryPoint, entry_points

from kerf.core.records import Memory
from kerf.core.types import KerfError, Proposer, Space

GROUP = "kerf.proposers"
DEFAULT = "portfolio"


def names() -> list[str]:
    """Every proposer installed, the default first."""
    found = {entry.name for entry in entry_points(group=GROUP)}
    return sorted(found, key=lambda name: (name != DEFAULT, name))


def make(name: str, space: Space, archive: Memory | None = None, seed: int = 0) -> Proposer:
    """The proposer `name`, fresh. `archive` is an Archive, or `archive.memory(run)` for the archive as a run saw it; without one
    nothing is remembered. KerfError when there is no such proposer or it does not load."""
    return _load(_entry(name))(space, archive, seed)


def _entry(name: str) -> EntryPoint:
    found = list(entry_points(group=GROUP, name=name))
    if not found:
        known = ", ".join(names())
        advice = (
            f"Installed: {known}." if known else "None is installed: reinstall kerf (`pip install kerf-ai`)."
        )
        raise KerfError(f"no proposer named {name!r}. {advice}")
    return found[0]


def _load(entry: EntryPoint) -> Callable[[Space, Memory | None, int], Proposer]:
    try:
        factory: Callable[[Space, Memory | None, int], Proposer] = entry.load()
        return factory
    except (ImportError, AttributeError) as error:
        raise KerfError(
            f"the proposer {entry.name!r} ({entry.value}) does not load: {error}. Reinstall or remove its package."
        ) from error
