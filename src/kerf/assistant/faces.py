"""The commands of this face."""

from __future__ import annotations

from kerf.core.verb import Verb

FACES: tuple[Verb, ...] = ()
