"""Given candidates before anybody's."""

from __future__ import annotations

from collections.abc import Sequence

from kerf.core.types import Candidate, Evaluation, Proposer


class First:
    """A proposer that asks for given candidates before anything else: the generators' best guess and the library as it is are always
    among the answers."""

    def __init__(self, candidates: Sequence[Candidate], rest: Proposer | None, name: str) -> None:
        self._given, self._rest, self.name = list(candidates), rest, name

    def ask(self, n: int) -> Sequence[Candidate]:
        if self._given:
            given, self._given = self._given[:n], self._given[n:]
            return given
        return self._rest.ask(n) if self._rest else ()

    def tell(self, candidate: Candidate, evaluation: Evaluation) -> None:
        if self._rest and candidate.notes.get("point") is not None:
            self._rest.tell(candidate, evaluation)
