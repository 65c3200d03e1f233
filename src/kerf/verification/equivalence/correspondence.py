"""Registers that are always equal, by induction: simulation guesses which (signal correspondence, van Eijk, IEEE TCAD 19(7), 2000), a SAT solver decides.

The assumption that they are equal now is made by substitution: every latch is replaced by the first of its class, and the graph is hashed again, so that
next-state functions of the same structure become the same literal and cost no solver call. What a counterexample tells apart is told apart, and it
begins again, until nothing changes. The classes are then an inductive invariant.

A register on two rails, "is 1" and "is 0", follows another where each rail implies that register's value: with k, whether it is known,
the rails are "k and value" and "k and not value", which is a substitution too. It may seem to follow several; one is substituted, the others are clauses.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from kerf.verification.equivalence.product import Product
from kerf.verification.equivalence.reduced import Reduced, values_of
from kerf.verification.equivalence.simulation import signatures
from kerf.verification.graph import FREE
from kerf.verification.lanes import ALL
from kerf.verification.model import Model
from kerf.verification.prove import Unsound
from kerf.verification.sat import Unrolling

SECOND = "minisat22"  # thousands of small questions to one solver: a quarter of CaDiCaL's time
CONFLICTS = 2000  # of the solver, for one pair of registers
FOLLOWED = 6  # registers that one is guessed to follow, at most


@dataclass(frozen=True)
class Invariant:
    """`groups`: latch literals (and 0) that are always equal, the one that stands for all first. `followers`: (is 1, is 0, value)."""

    groups: tuple[tuple[int, ...], ...] = ()
    followers: tuple[tuple[int, int, int], ...] = ()

    def implied(self) -> Iterator[tuple[int, int]]:
        """Pairs of literals: what holds wherever the first does."""
        for leader, *others in self.groups:
            for other in others:
                yield leader, other
                yield other, leader
        for one, zero, value in self.followers:
            yield one, value
            yield zero, value ^ 1


def correspond(made: Product, deadline: float, *, conflicts: int = CONFLICTS) -> Invariant | None:
    """An invariant that leaves no difference of the product's outputs, for `check` to check; None where it would be too weak, and when
    `deadline` (of `time.monotonic`) passes first."""
    guess = _guess(made)
    while time.monotonic() < deadline:
        reduced = Reduced(made.model, guess.groups, guess.followers)
        try:
            weaker = _weaker(reduced, guess, conflicts, deadline)
            if weaker is None:
                proved = reduced.possible(reduced.of(made.bad), 10 * conflicts, deadline) is False
                return guess if proved else None
        finally:
            reduced.close()
        guess = weaker
    return None


def _guess(made: Product) -> Invariant:
    """What random runs do not contradict, and surely holds at first."""
    latches = made.model.graph.latches
    row = dict(zip([0, *latches], signatures(made.model, made.pairs, [0, *latches]), strict=True))
    first = _starting(made.model, made.pairs)
    rails = {r >> 1 for d in made.doubled for r in (d.one, d.zero)}
    found: dict[tuple[bytes, int], list[int]] = {}
    for node in [0, *(n for n in latches if n not in rails)]:
        inverted = int(row[node][0]) & 1
        key = (row[node] ^ ALL if inverted else row[node]).tobytes()
        found.setdefault((key, first[node] ^ inverted), []).append(2 * node + inverted)
    groups = tuple(tuple(group) for group in found.values() if len(group) > 1)
    return Invariant(groups, tuple(_followers(made, row, [n for n in latches if n not in rails])))


def _starting(model: Model, pairs: Sequence[tuple[int, int]]) -> dict[int, int]:
    """How a latch starts: 0, 1, or a literal that only latches of the same unknown start share."""
    first = {0: 0}
    for node in model.graph.latches:
        value = model.initial[node]
        first[node] = 2 * node if value == FREE else value
    for mine, other in pairs:
        first[mine >> 1] = other ^ (mine & 1)
    return first


def _followers(
    made: Product, row: Mapping[int, np.ndarray], others: Sequence[int]
) -> Iterator[tuple[int, int, int]]:
    """For each register on two rails those that it may follow, only the one of its name where it fits."""
    if not others:
        return
    values = np.array([row[n] for n in others])
    initial = made.model.initial
    for d in made.doubled:
        is_one, is_zero = row[d.one >> 1], row[d.zero >> 1]
        if not (is_one.any() or is_zero.any()):
            continue
        plain = ~((is_one & ~values) | (is_zero & values)).any(axis=1)
        inverted = ~((is_one & values) | (is_zero & ~values)).any(axis=1)
        fits = [2 * others[i] for i in np.flatnonzero(plain).tolist()] + [
            2 * others[i] + 1 for i in np.flatnonzero(inverted).tolist()
        ]
        fits = [d.named] if d.named in fits else fits
        begins = {initial[d.one >> 1] * 2 + initial[d.zero >> 1]} - {0}
        sure = [
            v
            for v in fits
            if not begins or (initial[v >> 1] != FREE and begins == {2 if initial[v >> 1] ^ (v & 1) else 1})
        ]
        yield from ((d.one, d.zero, value) for value in sure[:FOLLOWED])


def _weaker(reduced: Reduced, guess: Invariant, conflicts: int, deadline: float) -> Invariant | None:
    """The guess without what it does not preserve; None when it preserves all."""
    examples: list[dict[int, int]] = []
    unsure: set[int] = set()
    for a, b in guess.implied():
        if time.monotonic() > deadline:
            return Invariant()
        broken = reduced.graph.conjunction(reduced.next(a), reduced.next(b) ^ 1)
        found = reduced.possible(broken, conflicts, deadline)
        if found:
            examples.append(reduced.example())
        elif found is None:
            unsure |= {a, a ^ 1, b, b ^ 1}
    if not examples and not unsure:
        return None
    values = values_of(reduced.graph, examples)
    everything = (1 << len(examples)) - 1
    seen = lambda literal: _at(values, reduced.next(literal), everything)  # noqa: E731
    kept = tuple(
        (one, zero, value) for one, zero, value in guess.followers
        if not (seen(one) & ~seen(value)) and not (seen(zero) & seen(value)) and not {one, zero} & unsure
    )  # fmt: skip
    return Invariant(tuple(_split(guess.groups, seen, unsure)), kept)


def _at(values: Sequence[int], literal: int, everything: int) -> int:
    return values[literal >> 1] ^ (everything if literal & 1 else 0)


def _split(groups: Sequence[Sequence[int]], seen: Callable[[int], int], unsure: set[int]) -> Iterator[tuple[int, ...]]:  # fmt: skip
    for leader, *others in groups:
        now: dict[tuple[int, int], list[int]] = {(seen(leader), -1): [leader]}
        for member in others:
            now.setdefault((seen(member), member if member in unsure else -1), []).append(member)
        yield from (tuple(group) for group in now.values() if len(group) > 1)


def check(made: Product, invariant: Invariant, deadline: float) -> bool:
    """Prove an invariant again with another solver on the product as it is, nothing made one: that it holds at first, that it is inductive, and that it
    leaves no difference. Unsound when one of the three fails; False when `deadline` (of `time.monotonic`) passes first."""
    model, pairs = made.model, list(invariant.implied())
    begin = Unrolling(model.graph, model.initial, model.held, SECOND)
    step = Unrolling(model.graph, None, model.held, SECOND)
    try:
        for literal in made.assumed:
            begin.require(literal, 0)
        for a, b in pairs:
            step.solver.add_clause([-step.at(a, 0), step.at(b, 0)])
        claims = [(begin, [begin.at(a, 0), -begin.at(b, 0)]) for a, b in pairs]
        claims += [(step, [step.at(made.bad, 0)])]
        claims += [(step, [step.at(a, 1), -step.at(b, 1)]) for a, b in pairs]
        for solver, wrong in claims:
            found = solver.solve_until(wrong, deadline)
            if found:
                raise Unsound("registers of two designs do not correspond, though induction said so")
            if found is None:
                return False
    finally:
        begin.close()
        step.close()
    return True
