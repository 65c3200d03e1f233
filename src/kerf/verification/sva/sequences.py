"""Sequences as regular expressions over guards, read one clock tick at a time (partial derivatives: Antimirov, Theor. Comput. Sci. 1996).

A sequence matches finite runs of ticks. `Concat` is `##1`, `Fusion` is `##0`; delays, `throughout`, `within`, `and`, `b[->n]` and `b[=n]` are made of
these by the functions below, as IEEE 1800-2017 annex F.4 derives them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from kerf.verification.sva.guards import NO, YES, Guards


@dataclass(frozen=True)
class Empty:
    """Matches no tick at all."""


@dataclass(frozen=True)
class Tick:
    """One tick in which `guard` holds."""

    guard: int


@dataclass(frozen=True)
class Concat:
    left: Sequence
    right: Sequence


@dataclass(frozen=True)
class Fusion:
    """`right` begins in the tick in which `left` ends."""

    left: Sequence
    right: Sequence


@dataclass(frozen=True)
class Choice:
    parts: frozenset[Sequence]


@dataclass(frozen=True)
class Intersect:
    """Both match the same ticks."""

    left: Sequence
    right: Sequence


@dataclass(frozen=True)
class Repeat:
    """`body` from `low` to `high` times (None: without end)."""

    body: Sequence
    low: int
    high: int | None

    def __hash__(self) -> int:
        """Without None, whose hash differs from process to process: the same source gives the same graph."""
        return hash((self.body, self.low, -1 if self.high is None else self.high))


@dataclass(frozen=True)
class First:
    """The shortest match of any of `parts`."""

    parts: frozenset[Sequence]


Sequence = Empty | Tick | Concat | Fusion | Choice | Intersect | Repeat | First
Move = tuple[int, Sequence]  # in a tick in which the guard holds, this is left to match
EMPTY, NEVER, ANY = Empty(), Choice(frozenset()), Tick(YES)


def concat(left: Sequence, right: Sequence) -> Sequence:
    if left == EMPTY:
        return right
    if right == EMPTY or left == NEVER:
        return left
    if isinstance(left, Concat):
        return concat(left.left, concat(left.right, right))
    return Concat(left, right)


def choice(parts: Iterable[Sequence]) -> Sequence:
    flat = frozenset(q for p in parts for q in (p.parts if isinstance(p, Choice) else (p,)))
    return next(iter(flat)) if len(flat) == 1 else Choice(flat)


def intersect(left: Sequence, right: Sequence) -> Sequence:
    if EMPTY in (left, right):
        return EMPTY if nullable(left) and nullable(right) else NEVER
    return NEVER if NEVER in (left, right) else Intersect(left, right)


def repeat(body: Sequence, low: int, high: int | None) -> Sequence:
    if high == 0:
        return EMPTY
    return body if (low, high) == (1, 1) else Repeat(body, low, high)


def first(body: Sequence) -> Sequence:
    """`first_match(body)`."""
    return EMPTY if nullable(body) else First(frozenset({body}))


def ticks(low: int, high: int | None) -> Sequence:
    return repeat(ANY, low, high)


def delayed(left: Sequence, low: int, high: int | None, right: Sequence) -> Sequence:
    """`left ##[low:high] right`."""
    later = None if high == 0 else concat(left, concat(ticks(max(low - 1, 0), high and high - 1), right))
    now = Fusion(left, right) if low == 0 else None
    return choice(p for p in (now, later) if p is not None)


def both(left: Sequence, right: Sequence) -> Sequence:
    """`left and right`: the end is that of the longer."""
    rest = ticks(0, None)
    return choice((intersect(concat(left, rest), right), intersect(left, concat(right, rest))))


def within(inner: Sequence, outer: Sequence) -> Sequence:
    return intersect(concat(ticks(0, None), concat(inner, ticks(0, None))), outer)


def goto(guards: Guards, guard: int, low: int, high: int | None) -> Sequence:
    """`guard[->low:high]`."""
    return repeat(concat(repeat(Tick(guards.negation(guard)), 0, None), Tick(guard)), low, high)


def nonconsecutive(guards: Guards, guard: int, low: int, high: int | None) -> Sequence:
    """`guard[=low:high]`."""
    return concat(goto(guards, guard, low, high), repeat(Tick(guards.negation(guard)), 0, None))


def nullable(s: Sequence) -> bool:
    """Whether the empty run matches."""
    match s:
        case Empty():
            return True
        case Concat(left, right) | Intersect(left, right):
            return nullable(left) and nullable(right)
        case Choice(parts) | First(parts):
            return any(nullable(p) for p in parts)
        case Repeat(body, low, _):
            return low == 0 or nullable(body)
        case _:
            return False


def included(a: Sequence, b: Sequence) -> bool:
    """Whether every match of `a` is one of `b`, as far as their form shows it."""
    if a == b:
        return True
    match a, b:
        case Choice(parts), _:
            return all(included(p, b) for p in parts)
        case Concat(left, right), Concat(other, rest) if included(left, other) and included(right, rest):
            return True
        case Repeat(body, low, high), Repeat(other, least, most) if body == other:
            return least <= low and (most is None or (high is not None and high <= most))
        case _, Repeat(body, least, most) if a == body:
            return least <= 1 and (most is None or most >= 1)
    if isinstance(b, Choice):
        return any(included(a, p) for p in b.parts)
    return isinstance(b, Concat) and nullable(b.left) and included(a, b.right)


class Reader:
    """What sequences do in one tick."""

    def __init__(self, guards: Guards) -> None:
        self.guards = guards
        self._moves: dict[Sequence, tuple[Move, ...]] = {}
        self._alive: dict[Sequence, bool] = {EMPTY: True}

    def moves(self, s: Sequence) -> tuple[Move, ...]:
        """The ways to read a tick, merged by what is left. Guards may be NO: such a move is taken by no letter, yet a weak sequence waits for it."""
        found = self._moves.get(s)
        if found is None:
            merged: dict[Sequence, int] = {}
            for guard, rest in self._read(s):
                if rest != NEVER:
                    merged[rest] = self.guards.disjunction(merged.get(rest, NO), guard)
            found = self._moves[s] = tuple((g, r) for r, g in merged.items())
        return found

    def _read(self, s: Sequence) -> Iterable[Move]:
        match s:
            case Tick(guard):
                return [(guard, EMPTY)]
            case Concat(left, right):
                own = [(g, concat(rest, right)) for g, rest in self.moves(left)]
                return own + list(self.moves(right)) if nullable(left) else own
            case Choice(parts):
                return [m for p in parts for m in self.moves(p)]
            case Repeat(body, low, high):
                again = repeat(body, max(low - 1, 0), None if high is None else high - 1)
                return [(g, concat(rest, again)) for g, rest in self.moves(body)]
            case Intersect(left, right):
                return self._pairs(left, right)
            case Fusion(left, right):
                return self._fused(left, right)
            case First(parts):
                return self._first(parts)
        return []

    def _pairs(self, left: Sequence, right: Sequence) -> Iterable[Move]:
        for g, a in self.moves(left):
            for h, b in self.moves(right):
                yield self.guards.conjunction(g, h), intersect(a, b)

    def _fused(self, left: Sequence, right: Sequence) -> Iterable[Move]:
        for g, rest in self.moves(left):
            if nullable(rest):
                for h, after in self.moves(right):
                    yield self.guards.conjunction(g, h), after
            if rest != EMPTY:
                yield g, Fusion(rest, right)

    def _first(self, parts: frozenset[Sequence]) -> Iterable[Move]:
        """A match ends all; else every alternative that can go on does: one move for each set of alternatives that a letter allows."""
        all_moves = [m for p in parts for m in self.moves(p)]
        matched = self.guards.any_of(g for g, rest in all_moves if nullable(rest))
        yield matched, EMPTY
        sets: dict[frozenset[Sequence], int] = {frozenset(): self.guards.negation(matched)}
        for guard, rest in all_moves:
            if not nullable(rest):
                sets = self._split(sets, guard, rest)
        for chosen, guard in sets.items():
            if chosen and guard != NO:
                yield guard, First(chosen)

    def _split(
        self, sets: dict[frozenset[Sequence], int], guard: int, rest: Sequence
    ) -> dict[frozenset[Sequence], int]:
        made: dict[frozenset[Sequence], int] = {}
        for chosen, when in sets.items():
            for key, g in ((chosen | {rest}, guard), (chosen, self.guards.negation(guard))):
                both = self.guards.conjunction(when, g)
                if both != NO:
                    made[key] = self.guards.disjunction(made.get(key, NO), both)
        return made

    def alive(self, s: Sequence) -> bool:
        """Whether some number of ticks could complete a match, whatever the guards: a weak sequence fails where this is lost."""
        if s not in self._alive:
            self._explore(s)
        return self._alive[s]

    def _explore(self, s: Sequence) -> None:
        reached, todo = {s}, [s]
        after: dict[Sequence, list[Sequence]] = {}
        while todo:
            t = todo.pop()
            after[t] = [] if t in self._alive else [r for _, r in self.moves(t)]
            new = [r for r in after[t] if r not in reached]
            reached.update(new)
            todo += new
        live = {t for t in reached if self._alive.get(t, nullable(t))}
        grown = True
        while grown:
            more = {t for t in reached - live if any(r in live for r in after[t])}
            grown = bool(more)
            live |= more
        self._alive |= {t: t in live for t in reached}
