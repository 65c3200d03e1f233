"""Claims that a simulation does not contradict.

As GoldMine's and HARM's miners do (Vasudevan et al., DATE 2010; Germiniani and Pravadelli, IEEE TCAD 41(11), 2022), from runs; here all pairs and
triples of facts at once: a triple that nothing contradicts is a zero in a product of matrices.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from kerf.verification.compiled import simulator
from kerf.verification.graph import FREE
from kerf.verification.lanes import random_planes
from kerf.verification.mining import atoms as facts
from kerf.verification.mining.claims import Claim, Fact, Since, Term, names_of, negations, view_of
from kerf.verification.model import Model
from kerf.verification.random_runs import stimulus

LANES_WORDS = 8
PIECE = 250  # cycles of a run: what a design cannot leave again, it is put out of
SITUATIONS = 8000  # that are looked at for pairs and triples; longer runs come after
FEW = 8  # words of situations that are looked at first
MOST = 4000  # claims, the simplest first
MOST_THIRD = 1000  # of those with two things given: of how words change, and of others


def run(model: Model, watch: Sequence[int], cycles: int, seed: int, *, keep: bool) -> np.ndarray:
    """Watched planes of random runs of many lanes, of at most PIECE cycles each, from the state after reset; registers without one start anyhow.
    With `keep` of every cycle of the first piece alone, (cycles, watch, words); else or-ed over all, (watch, words)."""
    whole = model.graph
    start = {n: model.initial.get(n, whole.right[n]) for n in whole.latches}
    known = {n: 0 if v == FREE else v for n, v in start.items()}
    lanes = simulator(whole, LANES_WORDS, known, watch)
    seen: list[np.ndarray] = []
    for piece in range(0, cycles if not keep else 1, PIECE):
        lanes.restart(known)
        for node, value in model.held.items():
            lanes.set_node(node, value)
        rng = np.random.default_rng(seed + 1 + piece)
        for node, value in start.items():
            if value == FREE:
                lanes.set_node(node, random_planes(rng, 1, LANES_WORDS)[0])
        driven = stimulus(model, min(PIECE, cycles - piece), LANES_WORDS, seed + piece)
        seen.append(lanes.run(*driven, watch, keep=keep))
    return seen[0] if keep else np.bitwise_or.reduce(seen)


def propose(model: Model, *, cycles: int = 100, seed: int = 0, deadline: float = math.inf) -> list[Claim]:
    """Claims that `cycles` cycles of 512 runs do not contradict: about one word, then of one thing given, then of two, as many of those as are found before
    `deadline` (of `time.monotonic`)."""
    names = facts.signals(model)
    widths = [len(model.graph.signals[n].bits) for n in names]
    bits = [b for n in names for b in model.graph.signals[n].bits]
    values = dict(zip(names, facts.samples_of(run(model, bits, cycles, seed, keep=True), widths)))
    terms = facts.atoms(model, names, values)
    changing: list[Term] = list(facts.changes(model, names)) if model.clock else []
    single = [Claim((), Fact(t)) for t in facts.always(model, names, values)]
    if not terms:
        return single
    before, now, after = _rows(model, terms, changing, cycles, seed)
    both = [Fact(t, h) for t in terms for h in (True, False)]
    ends = both + [Fact(t) for t in changing]
    rows = [*single, *_constants(now, both), *_pairs(now, now, both, both, later=False)]
    triples = _triples(now, now, both, both, False, deadline)
    if model.clock:
        rows += _pairs(before, after, both, ends, later=True)
        triples += _triples(before, after, both, ends, True, deadline)
    triples.sort(key=lambda row: row[0], reverse=True)
    moves = [c for _, c in triples if isinstance(c.then.term, Since)]
    others = [c for _, c in triples if not isinstance(c.then.term, Since)]
    return _once([*rows[:MOST], *moves[:MOST_THIRD], *others[:MOST_THIRD]])


def _rows(model: Model, terms: Sequence[Term], changing: Sequence[Term], cycles: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # fmt: skip
    """(facts, words) uint64, a bit a different situation: facts a cycle ago, now, and now with how words changed."""
    graph = model.graph.copy()
    view = view_of(graph)
    watch = [t.literal(view) for t in (*terms, *changing)]
    seen = run(replace(model, graph=graph), watch, cycles, seed, keep=True)
    raw = np.unpackbits(np.ascontiguousarray(seen).view(np.uint8), axis=2, bitorder="little")  # (cycles, terms, lanes)  # fmt: skip
    count = len(terms)
    steps = np.concatenate([raw[:-1, :count], raw[1:]], axis=1).transpose(0, 2, 1).reshape(-1, 2 * count + len(changing))  # fmt: skip
    packed = np.unique(np.packbits(steps, axis=1), axis=0)
    packed = np.random.default_rng(seed).permutation(packed)[:SITUATIONS]
    columns = np.unpackbits(packed, axis=1, count=steps.shape[1]).T
    before, now, rest = np.split(columns, [count, 2 * count])
    both = [np.stack([part, 1 - part], axis=1).reshape(-1, columns.shape[1]) for part in (before, now)]
    return _packed(both[0]), _packed(both[1]), _packed(np.concatenate([both[1], rest]))


def _packed(rows: np.ndarray) -> np.ndarray:
    """Bits to words; past the end a situation that no fact holds in."""
    bits = np.packbits(np.ascontiguousarray(rows), axis=1, bitorder="little")
    return np.ascontiguousarray(np.pad(bits, ((0, 0), (0, -bits.shape[1] % 8)))).view(np.uint64)


def _missing(rows: np.ndarray) -> np.ndarray:
    """Where facts do not hold: of every fact or its opposite one holds in each situation, so the ends of rows show in their union."""
    return np.bitwise_or.reduce(rows, axis=0) & ~rows


def _apart(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """(left, right) bool: rows that no situation has in common. Most pairs have one among the first few."""
    open_ones: np.ndarray = np.logical_not((left[:, None, :FEW] & right[None, :, :FEW]).any(axis=2))
    rows, columns = np.nonzero(open_ones)
    for at in range(0, len(rows), 4096):
        i, j = rows[at : at + 4096], columns[at : at + 4096]
        open_ones[i, j] = ~(left[i] & right[j]).any(axis=1)
    return open_ones


def _constants(now: np.ndarray, ends: Sequence[Fact]) -> list[Claim]:
    return [Claim((), f) for f, never in zip(ends, _missing(now)) if not never.any()]


def _pairs(given: np.ndarray, then: np.ndarray, starts: Sequence[Fact], ends: Sequence[Fact], *, later: bool) -> list[Claim]:  # fmt: skip
    missing = _missing(then)
    seen, never = np.asarray(given.any(axis=1)), np.asarray(missing.any(axis=1))
    open_ones = _apart(given, missing) & seen[:, None] & never[None, :]
    return [
        Claim((starts[i],), ends[j], later)
        for i, j in np.argwhere(open_ones)
        if later or not _about_one_word((starts[i], ends[j]))
    ]


def _triples(given: np.ndarray, then: np.ndarray, starts: Sequence[Fact], ends: Sequence[Fact], later: bool, deadline: float) -> list[tuple[float, Claim]]:  # fmt: skip
    """With how often each would be broken, were its parts unrelated. None that one of the two given things is enough for, or that gives one thing twice."""
    missing = _missing(then)
    enough = _apart(given, missing)
    absent = [_count(row) for row in missing]
    sometimes = np.array(absent) > 0
    found = []
    for a in range(len(given)):
        if time.monotonic() > deadline:
            break
        both = given[a] & given[a + 1 :]
        seen = np.asarray(both.any(axis=1))
        wanted = seen[:, None] & sometimes[None, :] & ~enough[a][None, :] & ~enough[a + 1 :]
        for b, j in np.argwhere(_apart(both, missing) & wanted):
            facts_of = (starts[a], starts[a + 1 + b], ends[j])
            if facts_of[0].term != facts_of[1].term and (later or not _about_one_word(facts_of)):
                support = float(_count(both[b]) * absent[j])
                first = tuple(sorted(facts_of[:2], key=lambda f: not f.holds))
                found.append((support, Claim(first, ends[j], later)))
    return found


def _count(row: np.ndarray) -> int:
    return int(np.unpackbits(row.view(np.uint8)).sum())


def _about_one_word(row: Sequence[Fact]) -> bool:
    """What its limits say already."""
    return len({n for f in row for n in names_of(f.term)}) == 1


def _once(claims: Sequence[Claim]) -> list[Claim]:
    """One of the several ways to say a clause, that with the fewest negations: a -> b is !b -> !a."""
    kept: dict[object, Claim] = {}
    for claim in claims:
        parts = [Fact(f.term, not f.holds) for f in claim.given] + [claim.then]
        ways = (
            [claim]
            if claim.later or not claim.given
            else [_way(parts, i) for i in reversed(range(len(parts)))]
        )
        kept.setdefault(claim if claim.later else frozenset(parts), min(ways, key=negations))
    return list(kept.values())


def _way(parts: Sequence[Fact], last: int) -> Claim:
    """A clause as a claim about its part `last`."""
    given = [Fact(f.term, not f.holds) for i, f in enumerate(parts) if i != last]
    return Claim(tuple(sorted(given, key=lambda f: not f.holds)), parts[last])
