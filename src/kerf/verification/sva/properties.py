"""Properties as alternating automata: what must hold from a tick on is a positive combination of what must hold from the next (annex F.5).

Negation is pushed inwards by `dual`, so that a state is never negated. `forever` tells a greatest fixpoint, which a run may stay in without end, from a
least one, which it must leave (weak alternating automata: Muller, Saoudi and Schupp, 1986).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from kerf.verification.sva.guards import NO, YES, Guards
from kerf.verification.sva.sequences import ANY, EMPTY, Reader, Sequence, Tick, included, nullable, repeat


@dataclass(frozen=True)
class Holds:
    guard: int


@dataclass(frozen=True)
class AllOf:
    parts: frozenset[Property]


@dataclass(frozen=True)
class AnyOf:
    parts: frozenset[Property]


@dataclass(frozen=True)
class Some:
    """`sequence` matches, and `then` holds from the last tick of a match. `forever`: or the match stays possible without end (weak)."""

    sequence: Sequence
    then: Property
    forever: bool


@dataclass(frozen=True)
class Every:
    """`then` holds from the last tick of every match. Without `forever`, moreover, matches stop being possible."""

    sequence: Sequence
    then: Property
    forever: bool


@dataclass(frozen=True)
class Until:
    """`first` holds from each tick until `second` does; `forever`: which need not happen."""

    first: Property
    second: Property
    forever: bool


@dataclass(frozen=True)
class Release:
    """`second` holds from each tick up to and including one from which `first` does; `forever`: which need not happen."""

    first: Property
    second: Property
    forever: bool


@dataclass(frozen=True)
class Abort:
    """`body`, decided in its favour (`accept`) or against it in the first tick with `guard` in which it is still open."""

    guard: int
    accept: bool
    body: Property


Property = Holds | AllOf | AnyOf | Some | Every | Until | Release | Abort
Clause = tuple[int, frozenset[Property]]  # in a tick in which the guard holds, these must hold from the next
TRUE, FALSE = Holds(YES), Holds(NO)
DONE: frozenset[Property] = frozenset()


def all_of(parts: Iterable[Property]) -> Property:
    flat = frozenset(q for p in parts for q in (p.parts if isinstance(p, AllOf) else (p,))) - {TRUE}
    if FALSE in flat:
        return FALSE
    return next(iter(flat)) if len(flat) == 1 else AllOf(flat) if flat else TRUE


def any_of(parts: Iterable[Property]) -> Property:
    flat = frozenset(q for p in parts for q in (p.parts if isinstance(p, AnyOf) else (p,))) - {FALSE}
    if TRUE in flat:
        return TRUE
    return next(iter(flat)) if len(flat) == 1 else AnyOf(flat) if flat else FALSE


def some(sequence: Sequence, then: Property, forever: bool) -> Property:
    return (
        Holds(sequence.guard)
        if isinstance(sequence, Tick) and then == TRUE
        else Some(sequence, then, forever)
    )


def abort(guard: int, accept: bool, body: Property) -> Property:
    settled = TRUE if accept else FALSE
    return body if guard == NO or body == settled else Abort(guard, accept, body)


def later(body: Property, low: int, high: int | None, every: bool) -> Property:
    """`body` from all (`every`) or from one of the ticks `low` to `high` after this one; `high` None is without end."""
    if high is None:
        body, high = (Release(FALSE, body, True) if every else Until(TRUE, body, False)), low
    if high == 0:
        return body
    passed = repeat(ANY, low + 1, high + 1)
    return Every(passed, body, True) if every else Some(passed, body, False)


class Stepper:
    """What properties require in one tick: the disjunction of `clauses`, each a guard and a conjunction."""

    def __init__(self, guards: Guards) -> None:
        self.guards = guards
        self.reader = Reader(guards)
        self._clauses: dict[Property, tuple[Clause, ...]] = {}
        self._dual: dict[Property, Property] = {}
        self._implied: dict[tuple[Property, Property], bool] = {}

    def dual(self, p: Property) -> Property:
        """What holds exactly where `p` does not."""
        found = self._dual.get(p)
        if found is None:
            found = self._dual[p] = self._negated(p)
            self._dual[found] = p
        return found

    def _negated(self, p: Property) -> Property:
        match p:
            case Holds(guard):
                return Holds(self.guards.negation(guard))
            case AllOf(parts):
                return any_of(map(self.dual, parts))
            case AnyOf(parts):
                return all_of(map(self.dual, parts))
            case Some(sequence, then, forever):
                return Every(sequence, self.dual(then), not forever)
            case Every(sequence, then, forever):
                return some(sequence, self.dual(then), not forever)
            case Until(first, second, forever):
                return Release(self.dual(first), self.dual(second), not forever)
            case Release(first, second, forever):
                return Until(self.dual(first), self.dual(second), not forever)
            case Abort(guard, accept, body):
                return abort(guard, not accept, self.dual(body))

    def clauses(self, p: Property) -> tuple[Clause, ...]:
        found = self._clauses.get(p)
        if found is None:
            found = self._clauses[p] = self._simplified(self._step(p))
        return found

    def _step(self, p: Property) -> Iterable[Clause]:
        match p:
            case Holds(guard):
                return [(guard, DONE)]
            case AllOf(parts):
                return self.conjunction(map(self.clauses, parts))
            case AnyOf(parts):
                return [c for part in parts for c in self.clauses(part)]
            case Some():
                return self._some(p)
            case Every():
                return self._every(p)
            case Until(first, second, _):
                go_on = [(g, rest | {p}) for g, rest in self.clauses(first)]
                return [*self.clauses(second), *go_on]
            case Release(first, second, _):
                stop_or_go_on = [*self.clauses(first), (YES, frozenset({p}))]
                return self.conjunction([self.clauses(second), stop_or_go_on])
            case Abort(guard, accept, body):
                return self._abort(guard, accept, body)

    def _some(self, p: Some) -> Iterable[Clause]:
        for guard, rest in self.reader.moves(p.sequence):
            if nullable(rest):
                yield from ((self.guards.conjunction(guard, g), s) for g, s in self.clauses(p.then))
            if rest != EMPTY and self.reader.alive(rest):
                yield guard, frozenset({replace(p, sequence=rest)})

    def _every(self, p: Every) -> Iterable[Clause]:
        """Each move that a letter allows binds: either its guard is false, or what follows holds."""
        bound: list[list[Clause]] = []
        for guard, rest in self.reader.moves(p.sequence):
            after = [self.clauses(p.then)] if nullable(rest) else []
            if rest != EMPTY and self.reader.alive(rest):
                after.append(((YES, frozenset({replace(p, sequence=rest)})),))
            taken = [(self.guards.conjunction(guard, g), s) for g, s in self.conjunction(after)]
            bound.append([(self.guards.negation(guard), DONE), *taken])
        return self.conjunction(bound)

    def _abort(self, guard: int, accept: bool, body: Property) -> Iterable[Clause]:
        go_on = [(g, frozenset(abort(guard, accept, s) for s in rest)) for g, rest in self.clauses(body)]
        if accept:
            return [(guard, DONE), *go_on]
        return self.conjunction([[(self.guards.negation(guard), DONE)], go_on])

    def conjunction(self, rows: Iterable[Iterable[Clause]]) -> tuple[Clause, ...]:
        made: tuple[Clause, ...] = ((YES, DONE),)
        for row in rows:
            kept = tuple(row)
            pairs = ((self.guards.conjunction(g, h), a | b) for g, a in made for h, b in kept)
            made = self._simplified((g, self.reduced(rest)) for g, rest in pairs if g != NO)
        return made

    def reduced(self, parts: frozenset[Property]) -> frozenset[Property]:
        """A conjunction without what another part of it implies."""
        if len(parts) < 2:
            return parts
        kept: list[Property] = []
        for p in sorted(parts, key=hash):
            if not any(self._implies(q, p) for q in kept):
                kept = [q for q in kept if not self._implies(p, q)] + [p]
        return frozenset(kept)

    def _implies(self, p: Property, q: Property) -> bool:
        key = (p, q)
        if key not in self._implied:
            self._implied[key] = implies(p, q)
        return self._implied[key]

    def _simplified(self, clauses: Iterable[Clause]) -> tuple[Clause, ...]:
        """Merged by what follows; without those that ask for more than another does, under a guard that implies the other's."""
        by_rest: dict[frozenset[Property], int] = {}
        for guard, rest in clauses:
            if guard != NO:
                by_rest[rest] = self.guards.disjunction(by_rest.get(rest, NO), guard)
        kept: list[Clause] = []
        for rest, guard in sorted(by_rest.items(), key=lambda item: len(item[0])):
            weaker = self.guards.any_of(g for g, s in kept if s <= rest)
            left = self.guards.conjunction(guard, self.guards.negation(weaker))
            if left != NO:
                kept.append((left, rest))
        return tuple(kept)


def implies(p: Property, q: Property) -> bool:
    """Whether `p` cannot hold without `q`, as far as their form shows it."""
    match p, q:
        case Every(sequence, then, forever), Every(other, rest, last) if (then, forever) == (rest, last):
            return included(other, sequence)
        case Some(sequence, then, forever), Some(other, rest, last) if (then, forever) == (rest, last):
            return included(sequence, other)
        case Abort(guard, accept, body), Abort(other_guard, other_accept, other_body):
            return (guard, accept) == (other_guard, other_accept) and implies(body, other_body)
    return p == q


def loops_forever(p: Property) -> bool:
    """Whether a run may stay in this state without end."""
    match p:
        case Some(_, _, forever) | Every(_, _, forever) | Until(_, _, forever) | Release(_, _, forever):
            return forever
        case Abort(_, _, body):
            return loops_forever(body)
        case _:
            return True


def states(stepper: Stepper, roots: Iterable[Property], limit: int) -> Mapping[Property, tuple[Clause, ...]]:
    """The states reachable from `roots`, with their clauses. OverflowError past `limit`."""
    found: dict[Property, tuple[Clause, ...]] = {}
    todo = list(roots)
    while todo:
        p = todo.pop()
        if p in found:
            continue
        if len(found) >= limit:
            raise OverflowError
        found[p] = stepper.clauses(p)
        todo += [s for _, rest in found[p] for s in rest]
    return found
