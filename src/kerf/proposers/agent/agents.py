"""Several agents over islands, and a search that tunes what they write, as one proposer."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from kerf.core.types import Candidate, Evaluation, KerfError, Proposer
from kerf.proposers.agent.bench import Bench
from kerf.proposers.agent.board import Board
from kerf.proposers.agent.conversation import Agent
from kerf.proposers.agent.session import Session
from kerf.proposers.agent.tuner import Tuner

HEAD = 8
"""Search goes alone for so many candidates: what a model starts from is then better than the heuristic."""
MOST_AGENTS = 16


class Agents:
    """Each agent is an island: it sees its own attempts, what search has found, and now and then the best of the others
    (conversation.py). They take turns in the order of their numbers; those of one round think at the same time."""

    name = "agent"

    def __init__(self, bench: Bench, session: Session, *, agents: int = 1, seed: int = 0) -> None:
        if not 1 <= agents <= MOST_AGENTS:
            raise KerfError(f"--agents takes 1 to {MOST_AGENTS}, got {agents}")
        self.board, self.session = Board(), session
        self.agents = [Agent(i, bench, self.board, session) for i in range(agents)]
        self.tuner = Tuner(bench, self.board, seed)
        self._next = 0

    def ask(self, n: int) -> list[Candidate]:
        """At most half of the places go to tuned candidates while there are any, the rest to agents; either takes what the other
        leaves."""
        self.session.round += 1
        places = n - n // 2 if self.tuner.busy else n
        found = self._thought(places)
        found += _new(self.tuner.ask(n - len(found)), found)
        return found

    def _thought(self, n: int) -> list[Candidate]:
        order = [self.agents[(self._next + i) % len(self.agents)] for i in range(len(self.agents))]
        ready = [a for a in order if a.ready][:n]
        self._next += len(ready)
        proposed = side_by_side([a.propose for a in ready])
        self.board.notes += [note for a in ready for note in a.notes if note not in self.board.notes]
        found: list[Candidate] = []
        for candidate in proposed:
            found += _new([candidate] if candidate else [], found)
        return found

    def tell(self, candidate: Candidate, evaluation: Evaluation) -> None:
        self.board.tell(candidate, evaluation)
        for agent in self.agents:
            if agent.waiting == candidate.id:
                agent.told(candidate, evaluation)
        self.tuner.tell(candidate, evaluation)


class AfterSearch:
    """Given candidates first, then search alone for `head` of them, then half from each, while both have something to propose. Without
    a search, agents alone."""

    def __init__(
        self,
        given: Sequence[Candidate],
        search: Proposer | None,
        agents: Proposer,
        name: str,
        head: int = HEAD,
    ) -> None:
        self._given, self._search, self._agents, self.name = list(given), search, agents, name
        self._asked, self._head = 0, head

    def ask(self, n: int) -> list[Candidate]:
        if self._given:
            given, self._given = self._given[:n], self._given[n:]
            return given
        if self._search and self._asked < self._head:
            found = list(self._search.ask(n))
            self._asked += len(found) or self._head
            if found:
                return found
        found = list(self._agents.ask(max(1, n // 2) if self._search else n))
        if self._search:
            found += _new(self._search.ask(n - len(found)), found)
        return found

    def tell(self, candidate: Candidate, evaluation: Evaluation) -> None:
        if self._search and candidate.notes.get("point") is not None:
            self._search.tell(candidate, evaluation)
        self._agents.tell(candidate, evaluation)


def side_by_side(calls: Sequence[Callable[[], Candidate | None]]) -> list[Candidate | None]:
    """Their results, in order. Threads are daemons, so that an interrupt does not wait for a model to finish its sentence; the first
    exception of any is raised here."""
    if len(calls) < 2:
        return [call() for call in calls]
    results: list[Candidate | None] = [None] * len(calls)
    errors: list[BaseException] = []

    def run(i: int) -> None:
        try:
            results[i] = calls[i]()
        except BaseException as error:  # raised again by the caller's thread
            errors.append(error)

    threads = [threading.Thread(target=run, args=(i,), daemon=True) for i in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return results


def _new(candidates: Sequence[Candidate], known: Sequence[Candidate]) -> list[Candidate]:
    ids = {c.id for c in known}
    return [c for c in candidates if c.id not in ids]
