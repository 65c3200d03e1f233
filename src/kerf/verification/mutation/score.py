"""How good are tests? The share of a design's mutants that they notice; of the rest, which could be noticed at all."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from kerf.core.types import KerfError
from kerf.verification.deadline import left
from kerf.verification.graph import FREE
from kerf.verification.model import Model
from kerf.verification.mutation.mutant import Mutant
from kerf.verification.mutation.mutated import Mutated, mutated
from kerf.verification.mutation.sites import find
from kerf.verification.mutation.survivors import Difference, Products
from kerf.verification.prove import Unsound, Verdict
from kerf.verification.random_runs import random_runs
from kerf.verification.tables import Table
from kerf.verification.trace import Trace

SEARCHES, RUNS, CYCLES = 8, 8, 80  # random runs that survivors are looked for in
Test = Trace | Table
Watch = Callable[[str], None]


@dataclass(frozen=True)
class Survivor:
    """A mutant that no test notices. `trace`: a run whose last cycle would show it; None where neither that nor equivalence was found in time."""

    mutant: Mutant
    diff: str
    trace: Trace | None = None

    def as_json(self) -> dict[str, Any]:
        return {
            "mutant": self.mutant.name, "diff": self.diff, "trace": self.trace.as_json() if self.trace else None
        }  # fmt: skip


@dataclass(frozen=True)
class Score:
    """`mutants`: all of them, in the order of the source. `equivalent`: proved to do what the design does at its outputs. `killed_by[k]`: by how many of the mutants test k was the first to notice.
    `kinds[kind]`: (killed, all but the equivalent ones)."""

    mutants: tuple[Mutant, ...]
    killed: int
    equivalent: tuple[Mutant, ...]
    survived: tuple[Survivor, ...]
    killed_by: tuple[int, ...]
    kinds: Mapping[str, tuple[int, int]]
    left_out: int
    seconds: float

    @property
    def total(self) -> int:
        return len(self.mutants)

    @property
    def rate(self) -> float:
        """Killed, of those that can be."""
        return self.killed / max(self.total - len(self.equivalent), 1)

    def as_json(self) -> dict[str, Any]:
        return {
            "total": self.total, "killed": self.killed, "equivalent": len(self.equivalent), "survived": len(self.survived),
            "survivors": [s.as_json() for s in self.survived], "killed_by": list(self.killed_by),
            "kinds": {k: list(v) for k, v in sorted(self.kinds.items())}, "seconds": round(self.seconds, 3),
        }  # fmt: skip


def sample(model: Model, count: int, seed: int = 0) -> tuple[list[Mutant], dict[int, tuple[str, int]]]:
    """`count` mutants, drawn evenly from all; single bits that are stuck only when there are too few others. With the headers of `mutated`."""
    sites = find(model.design)
    rng = random.Random(seed)
    whole, bits = ([m for m in sites.mutants if bool(m.bit) == b] for b in (False, True))
    chosen = rng.sample(whole, min(count, len(whole)))
    chosen += rng.sample(bits, min(count - len(chosen), len(bits)))
    order = {id(m): i for i, m in enumerate(sites.mutants)}
    return sorted(chosen, key=lambda m: order[id(m)]), sites.headers


def random_tests(model: Model, cycles: int, count: int = 1, seed: int = 0) -> list[Trace]:
    """Fair bits on every input, and any start for registers that no reset reaches."""
    rng = random.Random(seed)
    widths = {n: len(model.graph.signals[n].bits) for n in model.inputs}
    unknown = [n for n, v in model.initial.items() if v == FREE]
    return [
        Trace(
            tuple({n: rng.getrandbits(w) for n, w in widths.items()} for _ in range(cycles)),
            {n: rng.getrandbits(1) for n in unknown},
        )
        for _ in range(count)
    ]


def score(model: Model, tests: Sequence[Test], *, mutants: int | Sequence[Mutant] = 400, seed: int = 0, seconds: float = 30.0,
          watch: Watch = lambda line: None) -> Score:  # fmt: skip
    """Score `tests` (a Trace notices what makes an output differ from the design's; a Table what its expected values tell) on mutants: a number of them, or
    these. The time is for all; tests come first, then each survivor has an even share of what is left. KerfError for a table that the design fails, OutOfTime when
    there is none for all tests."""
    begun = time.monotonic()
    if isinstance(mutants, int):
        chosen, headers = sample(model, mutants, seed)
    else:
        chosen, headers = list(mutants), find(model.design).headers
    if not chosen:
        raise KerfError(f"nothing in {model.design.top} to put a fault into: no statement that its own files hold")  # fmt: skip
    made = mutated(model, chosen, headers, timeout_s=seconds)
    watch(f"{len(made.mutants)} mutants in one graph of {len(made.graph)} nodes")
    first = _first_kills(made, tests, begun + seconds)
    watch(f"{int((first >= 0).sum())} killed by {len(tests)} tests")
    survivors = [k for k in range(len(made.mutants)) if first[k] < 0]
    lucky = _searched(made, survivors, seed, begun + seconds / 2)
    watch(f"{len(lucky)} of the others would be by random runs")
    found = lucky | _judged(made, [k for k in survivors if k not in lucky], begun + seconds, watch)
    return _scored(made, first, found, len(tests), time.monotonic() - begun)


def _first_kills(made: Mutated, tests: Sequence[Test], deadline: float) -> np.ndarray:
    """(mutants,): the first test that notices it, -1 for none. OutOfTime before the last test: which mutants survive is not known then."""
    first = np.full(len(made.mutants), -1)
    lanes = made.lanes(made.outputs)
    for index, test in enumerate(tests):
        left(deadline, f"test {index + 1} of {len(tests)}")
        first[made.killed(test, lanes) & (first < 0)] = index
    return first


def _searched(made: Mutated, survivors: Sequence[int], seed: int, deadline: float) -> dict[int, Difference]:
    """Random runs that tell survivors from the design, cut where they do: cheaper than a proof."""
    found: dict[int, Difference] = {}
    lanes = made.lanes(made.outputs)
    for piece in range(SEARCHES if survivors else 0):
        for run in random_runs(made.model, RUNS, CYCLES, seed + 1000 + piece):
            if time.monotonic() > deadline:
                return found
            noticed = made.killed(run, lanes)
            for k in survivors:
                if noticed[k] and k not in found:
                    last = made.first_shown(run, k, lanes)
                    found[k] = Difference(
                        Verdict.REFUTED, "random", replace(run, inputs=run.inputs[: last + 1])
                    )
    return found


def _judged(made: Mutated, survivors: Sequence[int], deadline: float, watch: Watch) -> dict[int, Difference]:
    if not survivors or time.monotonic() > deadline:
        return {}
    products = Products(made)
    found: dict[int, Difference] = {}
    lanes = made.lanes(made.outputs)
    for done, k in enumerate(survivors):
        share = (deadline - time.monotonic()) / (len(survivors) - done)
        if k in found or share <= 0:
            continue
        found[k] = difference = products.compare(k, share)
        if difference.trace:
            noticed = made.killed(difference.trace, lanes)
            if not noticed[k] and difference.complete:
                raise Unsound("a run that tells a mutant from its design does not do so in simulation")
            found[k] = difference if noticed[k] else Difference(Verdict.UNDECIDED)
            found |= {j: difference for j in survivors if j not in found and noticed[j]}
        watch(f"survivor {done + 1} of {len(survivors)}: {found[k].verdict}")
    return found


def _scored(made: Mutated, first: np.ndarray, found: Mapping[int, Difference], tests: int, seconds: float) -> Score:  # fmt: skip
    same = {k for k, d in found.items() if d.verdict is Verdict.PROVED}
    survived = tuple(
        Survivor(m, m.diff(made.model.design), found[k].trace if k in found else None)
        for k, m in enumerate(made.mutants)
        if first[k] < 0 and k not in same
    )
    all_of = Counter(m.kind for k, m in enumerate(made.mutants) if k not in same)
    dead = Counter(m.kind for k, m in enumerate(made.mutants) if first[k] >= 0)
    return Score(
        made.mutants, int((first >= 0).sum()), tuple(made.mutants[k] for k in sorted(same)), survived,
        tuple(int((first == t).sum()) for t in range(tests)), {k: (dead[k], n) for k, n in all_of.items()}, len(made.left_out), seconds,
    )  # fmt: skip
