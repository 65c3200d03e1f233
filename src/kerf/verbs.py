"""Every verb there is: those of each domain, found through entry points, and those about the archive and the machine."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import entry_points

from kerf.core.types import KerfError
from kerf.core.verb import Verb


def all_verbs() -> dict[str, Verb]:
    """Name -> verb, in the order the domains declare them. Importing a domain's declarations imports none of its machinery."""
    return _declared("kerf.verbs", {})


def faces() -> dict[str, Verb]:
    """Commands that are no verbs, because they drive the verbs: the assistant, the server for agents. Only the command line has them."""
    return _declared("kerf.faces", all_verbs())


def _declared(group: str, taken: Mapping[str, Verb]) -> dict[str, Verb]:
    found: dict[str, Verb] = {}
    for point in entry_points(group=group):
        for verb in point.load():
            if verb.name in found or verb.name in taken:
                raise KerfError(
                    f"two packages declare {verb.name!r}; the second is {point.value}: uninstall one"
                )
            found[verb.name] = verb
    return found
