"""Coverage closed: every bin covered, with its stimulus, or proved unreachable, or undecided with what was tried.

In order: luck that learns (`fuzz`), bounded search (`solve`), induction over all that is left together and then property-directed reachability
(`unreachable`), in turns with deeper search until the time is up.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from kerf.verification.coverage.bins import Bin
from kerf.verification.coverage.board import Board
from kerf.verification.coverage.fuzz import Fuzzer
from kerf.verification.coverage.select import select
from kerf.verification.coverage.solve import Search
from kerf.verification.coverage.unreachable import Prover
from kerf.verification.model import Model
from kerf.verification.trace import Trace

FUZZ_SHARE = 0.3
SEARCH_SHARE = 0.85  # the rest is for making the runs few
EPISODES_KEPT = 2  # and at least what so many of the slowest episodes took: that is simulation, too
FIRST_PATIENCE_S = 2.0


@dataclass(frozen=True)
class Hit:
    """A bin is covered by `Closure.stimuli[stimulus]` in `cycle`."""

    stimulus: int
    cycle: int


@dataclass(frozen=True)
class Closure:
    """`covered`: bin name -> where; `unreachable`: -> what proved it; `undecided`: -> what was tried. `stimuli` cover all that is covered. `lucky`:
    names of covered bins whose stimulus covers them for some initial values of registers without reset, or of undriven nets, and not for others.
    `seconds` and `cpu_seconds` (children included) were spent."""

    bins: tuple[Bin, ...]
    covered: Mapping[str, Hit]
    unreachable: Mapping[str, str]
    undecided: Mapping[str, str]
    stimuli: tuple[Trace, ...]
    seconds: float
    cpu_seconds: float
    notes: tuple[str, ...] = ()
    lucky: frozenset[str] = frozenset()

    def as_json(self) -> dict[str, int]:
        return {
            "total": len(self.bins),
            "covered": len(self.covered),
            "unreachable": len(self.unreachable),
            "undecided": len(self.undecided),
        }


Heard = Callable[[str], None]


def close(model: Model, bins: Sequence[Bin], *, seconds: float = 60.0, seed: int = 0, assumed: Sequence[int] = (),
          watch: Sequence[int] = (), constants: Sequence[int] = (), tests: Sequence[Trace] = (),
          heard: Heard = lambda line: None) -> Closure:  # fmt: skip
    """Close coverage within `seconds`. `assumed`: literals that hold in every cycle of any stimulus; `watch`: literals whose first hit is news worth
    keeping a run for, though they are no bins; `constants`: numbers of the source; `tests`: runs that exist, tried first. Names of bins are
    distinct."""
    return _Session(model, list(bins), seconds, seed, assumed, watch, constants, heard).run(tests)


def measure(model: Model, bins: Sequence[Bin], tests: Sequence[Trace], *, assumed: Sequence[int] = ()) -> dict[str, Hit]:  # fmt: skip
    """What `tests` cover by themselves: bin name -> the first test that covers it, and when."""
    board = Board(model, [b.target for b in bins], len(bins), assumed)
    if not tests or not bins:
        return {}
    first = board.cycles_of([board.drive.stimulus(t) for t in tests], range(len(bins)))
    hits = zip(bins, first.tolist(), strict=True)
    found = {b.name: next((Hit(i, c) for i, c in enumerate(row) if c >= 0), None) for b, row in hits}
    return {name: hit for name, hit in found.items() if hit}


@dataclass
class _Session:
    model: Model
    bins: list[Bin]
    limit: float
    seed: int
    assumed: Sequence[int]
    watch: Sequence[int]
    constants: Sequence[int]
    heard: Heard
    begun: float = field(default_factory=time.monotonic)
    cpu: float = field(default_factory=lambda: _cpu())
    notes: list[str] = field(default_factory=list)

    def run(self, tests: Sequence[Trace]) -> Closure:
        targets = [b.target for b in self.bins] + list(self.watch)
        board = Board(self.model, targets, len(self.bins), self.assumed, self.seed)
        prover = Prover(board, self.assumed)
        if tests:
            board.offer([board.drive.stimulus(t) for t in tests])
        fuzzer = Fuzzer(board, np.random.default_rng(self.seed), self.constants)
        fuzzer.play(self.begun + self.limit * FUZZ_SHARE)
        self._tell(board, "simulation")
        if board.missing:
            rest = max(self.limit * (1 - SEARCH_SHARE), EPISODES_KEPT * fuzzer.slowest)
            self._search(board, fuzzer, prover, self.begun + self.limit - rest)
        return self._closed(board, prover)

    def _search(self, board: Board, fuzzer: Fuzzer, prover: Prover, deadline: float) -> None:
        """Deeper and deeper; proof each time that the depth has doubled, luck again when the solver has found something or takes long."""
        search, due, patience = Search(board, fuzzer), 0, FIRST_PATIENCE_S
        try:
            while board.missing and (now := time.monotonic()) < deadline:
                answers = search.answers
                deeper = search.deeper(min(deadline, now + patience))
                if not deeper or search.answers > answers:  # what the solver found is worth mutating
                    fuzzer.play(min(deadline, time.monotonic() + patience))
                    self._tell(board, "simulation")
                if not deeper:
                    patience *= 2
                elif search.depth > due:
                    due = 2 * search.depth
                    self._tell(board, f"search of {search.depth} cycle(s)")
                    prover.prove(search.depth, deadline)
                    self._tell(board, "proof")
        finally:
            search.close()

    def _tell(self, board: Board, stage: str) -> None:
        left, spent = len(board.missing), time.monotonic() - self.begun
        line = f"{stage}: {len(self.bins) - left} of {len(self.bins)} bins decided, {board.lane_cycles:,} cycles simulated, {spent:.1f} s"
        self.notes.append(line)
        self.heard(line)

    def _closed(self, board: Board, prover: Prover) -> Closure:
        chosen, where = select(board, self.begun + self.limit)
        lucky = [i for i in board.lucky if i < len(self.bins)]
        unreachable = {self.bins[i].name: engine for i, engine in sorted(prover.proved.items())}
        covered = {self.bins[i].name: Hit(*where[i]) for i in sorted(where)}
        decided = covered.keys() | unreachable.keys()
        undecided = {b.name: prover.tried for b in self.bins if b.name not in decided}
        return Closure(
            tuple(self.bins), covered, unreachable, undecided, tuple(map(board.drive.trace, chosen)), time.monotonic() - self.begun,
            _cpu() - self.cpu, tuple(self.notes), frozenset(self.bins[i].name for i in lucky),
        )  # fmt: skip


def _cpu() -> float:
    """Seconds of processor time of this process and its finished children."""
    spent = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(s.ru_utime + s.ru_stime for s in spent)
