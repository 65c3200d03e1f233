"""Assertions from a design alone: proposed by simulation, proved together, the redundant ones dropped, ranked by the mutants that each notices."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from kerf.core.types import KerfError
from kerf.verification.mining.claims import Claim, OneHot, exclusive, negations, view_of
from kerf.verification.mining.confirm import confirmed
from kerf.verification.mining.induction import DEPTH, proved
from kerf.verification.mining.propose import propose
from kerf.verification.mining.subsume import independent
from kerf.verification.model import Model
from kerf.verification.mutation import Mutated, mutated, sample
from kerf.verification.random_runs import random_runs
from kerf.verification.trace import Trace

Watch = Callable[[str], None]
TESTS, CYCLES = 40, 60  # runs in which mutants are looked at


@dataclass(frozen=True)
class Mined:
    """`sva`: a property expression; `statement`: as it stands in a module. `kills`: of how many mutants it breaks in some run; `first`: of how many
    that no assertion before it noticed. `bad`: a literal of the mining's graph, true in a cycle that would break it."""

    sva: str
    statement: str
    kills: int
    first: int
    bad: int

    def as_json(self) -> dict[str, Any]:
        return {"sva": self.sva, "statement": self.statement, "kills": self.kills, "first": self.first}


@dataclass(frozen=True)
class Mining:
    """`assertions`: all proved, the best first. `model.graph` holds their monitors. `confirmed`: what else showed that they hold, besides two
    solvers. `killed`: of `mutants`, those that some assertion notices."""

    model: Model
    assertions: tuple[Mined, ...]
    candidates: int
    proved: int
    mutants: int
    killed: int
    confirmed: tuple[str, ...]
    seconds: float


def mine(model: Model, *, seconds: float = 30.0, mutants: int = 200, most: int = 40, seed: int = 0,
         watch: Watch = lambda line: None) -> Mining:  # fmt: skip
    """Assertions of `model` that hold for ever, at most `most`. KerfError for designs that are modelled step by step: their steps are no cycles."""
    if model.stepped:
        raise KerfError("assertions are mined for designs with one clock")
    begun = time.monotonic()
    until = lambda share: begun + share * seconds  # noqa: E731
    claims = propose(model, seed=seed, deadline=until(0.25))
    watch(f"{len(claims)} claims that no run contradicts")
    graph = model.graph.copy()
    view = view_of(graph)
    bad = [c.violated(view) for c in claims]
    kept = proved(model, graph, bad, deadline=until(0.5), latest=until(0.65), seed=seed)
    watch(f"{len(kept)} of them proved, by induction over {DEPTH} cycles")
    held = [claims[i] for i in kept]
    held += exclusive(held)  # each follows from claims that are proved
    kills = _kills(model, held, mutants, until(0.8), seed, watch)
    shown = _chosen(held, kills, model, until(0.9))[:most]
    watched = replace(model, graph=graph)
    found = _mined(watched, [(held[k], held[k].violated(view), kills[k]) for k in shown])
    told = confirmed(watched, [m.bad for m in found], [m.sva for m in found], seed, until(1.0))
    killed = int(kills[shown].any(axis=0).sum()) if shown else 0
    return Mining(watched, found, len(claims), len(kept), kills.shape[1], killed, told, time.monotonic() - begun)  # fmt: skip


def _chosen(claims: Sequence[Claim], kills: np.ndarray, model: Model, deadline: float) -> list[int]:
    """Indices: those that do not follow from others, in the order in which they are shown."""
    order = sorted(range(len(claims)), key=lambda k: _rank(claims[k], int(kills[k].sum())))
    widths = {n: len(s.bits) for n, s in model.graph.signals.items()}
    return _greedy([order[i] for i in independent([claims[k] for k in order], widths, deadline)], kills)


def _rank(claim: Claim, kills: int) -> tuple[object, ...]:
    """What is said with less given comes first, and of that what notices more: the rest follows from it, or not."""
    about = isinstance(claim.then.term, OneHot) and not claim.given
    return len(claim.given), not about, -kills, claim.later, negations(claim), len(claim.text), claim.text


def _greedy(chosen: Sequence[int], kills: np.ndarray) -> list[int]:
    """Each notices most of what those before it do not; then those that notice most."""
    left, order = list(chosen), []
    seen = np.zeros(kills.shape[1], bool)
    while left:
        best = max(left, key=lambda k: int((kills[k] & ~seen).sum()))
        if not (kills[best] & ~seen).any():
            break
        order.append(best)
        left.remove(best)
        seen |= kills[best]
    return order + sorted(left, key=lambda k: -int(kills[k].sum()))


def _kills(
    model: Model, claims: Sequence[Claim], mutants: int, deadline: float, seed: int, watch: Watch
) -> np.ndarray:
    """(claims, mutants) bool: which mutants break which claims in a few random runs."""
    if not claims or mutants == 0:
        return np.zeros((len(claims), 0), bool)
    chosen, headers = sample(model, mutants, seed)
    if not chosen:
        return np.zeros((len(claims), 0), bool)
    try:
        made = mutated(model, chosen, headers, timeout_s=deadline - time.monotonic())
    except KerfError:
        watch("no time for mutants: what is shown is in no order")
        return np.zeros((len(claims), 0), bool)
    watch(f"{len(made.mutants)} mutants to notice")
    graph = made.graph.copy()
    view = view_of(graph)
    known = [c.names <= set(view.words) for c in claims]
    bad = [c.violated(view) if k else 0 for c, k in zip(claims, known)]
    return _broken(replace(made, graph=graph), bad, random_runs(model, TESTS, CYCLES, seed), deadline)


def _broken(made: Mutated, bad: Sequence[int], runs: Sequence[Trace], deadline: float) -> np.ndarray:
    seen = np.zeros((len(bad), len(made.mutants)), bool)
    lanes = made.lanes(bad)
    for test in runs:
        if time.monotonic() > deadline:
            break
        seen |= made.violated(test, bad, lanes)
    return seen


def _mined(model: Model, rows: Sequence[tuple[Claim, int, np.ndarray]]) -> tuple[Mined, ...]:
    found, seen = [], np.zeros(rows[0][2].shape if rows else 0, bool)
    for claim, bad, kills in rows:
        found.append(Mined(claim.text, _statement(model, claim), int(kills.sum()), int((kills & ~seen).sum()), bad))  # fmt: skip
        seen = seen | kills
    return tuple(found)


def _statement(model: Model, claim: Claim) -> str:
    if not model.clock:
        given = " && ".join(f"({f.text})" for f in claim.given)
        return f"always_comb assert ({f'!({given}) || ' if given else ''}{claim.then.text});"
    unless = ""
    if model.reset:
        unless = f" disable iff ({'' if model.reset.active else '!'}{model.reset.name})"
    return f"assert property (@({model.edge or 'posedge'} {model.clock}){unless} {claim.text});"
