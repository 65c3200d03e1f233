"""The search for choices in a process of its own: a solver at work can be stopped in no other way."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection

from kerf.verification.repair.solve import Choice, Solver


@dataclass
class Apart:
    """`choices` of a solver as they are found, until it ends or `seconds` have passed. `exhausted` as the solver's; false when it was stopped."""

    solver: Solver
    least: int
    most: int
    seconds: float
    exhausted: bool = False
    _told: list[Choice] = field(default_factory=list)

    def choices(self) -> Iterator[Choice]:
        fork = multiprocessing.get_context("fork")
        mine, other = fork.Pipe(duplex=False)
        process = fork.Process(target=self._work, args=(other,), daemon=True)
        process.start()
        other.close()
        until = time.monotonic() + self.seconds
        try:
            while (row := self._next(mine, until)) is not None:
                changes, values, share = row
                yield Choice(tuple(self.solver.changes[i] for i in changes), values, share)
        finally:
            process.kill()
            process.join()
            mine.close()

    def _next(self, pipe: Connection, until: float) -> tuple[list[int], dict[str, int], float] | None:
        if not pipe.poll(max(until - time.monotonic(), 0)):
            return None
        try:
            row = pipe.recv()
        except EOFError:
            return None
        if isinstance(row, bool):
            self.exhausted = row
            return None
        found: tuple[list[int], dict[str, int], float] = row
        return found

    def _work(self, pipe: Connection) -> None:
        index = {c.enable: i for i, c in enumerate(self.solver.changes)}
        for choice in self.solver.choices(self.least, self.most):
            pipe.send(([index[c.enable] for c in choice.changes], dict(choice.values), choice.share))
        pipe.send(self.solver.exhausted)
