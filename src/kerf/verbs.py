"""Every verb there is: those of each domain, found through entry points, and those about the archive and the machine."""

from __future__ import annotations

from importlib.metadata import entry_points

from kerf.core.types import KerfError
from kerf.core.verb import Verb


def all_verbs() -> dict[str, Verb]:
    """Name -> verb, in the order the domains declare them. Importing a domain's declarations imports none of its machinery."""
    found: dict[str, Verb] = {}
    for point in entry_points(group="kerf.verbs"):
        for verb in point.load():
            if verb.name in found:
                raise KerfError(
                    f"two domains declare the verb {verb.name!r}; the second is {point.value}: uninstall one"
                )
            found[verb.name] = verb
    return found
