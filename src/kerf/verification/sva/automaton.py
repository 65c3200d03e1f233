"""From a property to an automaton that finds its good prefixes: finite runs after which it holds whatever follows.

A state is a set of obligations (a conjunction), so that runs that began at different ticks may be merged: each state is one flip-flop, and all attempts
are followed at once. Of an assertion, what is followed is its negation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from kerf.verification.sva.guards import YES, Guards
from kerf.verification.sva.properties import DONE, Clause, Property, Stepper, loops_forever, states

LIMIT = 2000  # sets of obligations
STATES = 4000  # obligations

State = frozenset[Property]


@dataclass(frozen=True)
class Automaton:
    """`edges[s]`: (guard, next state) of state s; state 0 is the start and DONE is `done`. States from which `done` cannot be reached are left out:
    without any edge, no finite run decides the property."""

    edges: Mapping[int, tuple[tuple[int, int], ...]]
    done: int = -1


def good_prefixes(stepper: Stepper, wanted: Property) -> Automaton:
    """OverflowError when it takes more than LIMIT states, or the property has more than STATES obligations."""
    known = states(stepper, [wanted], STATES)
    certain = _certain(stepper.guards, known)
    number: dict[State, int] = {}
    edges: dict[int, tuple[tuple[int, int], ...]] = {}
    todo = [frozenset({wanted}) - certain]
    if not todo[0]:
        return Automaton({0: ((YES, -1),)})
    number[todo[0]] = 0
    while todo:
        state = todo.pop()
        row = []
        for guard, rest in stepper.conjunction(known[p] for p in state):
            left = rest - certain
            if left != DONE and left not in number:
                if len(number) >= LIMIT:
                    raise OverflowError
                number[left] = len(number)
                todo.append(left)
            row.append((guard, number[left] if left != DONE else -1))
        edges[number[state]] = tuple(row)
    return Automaton(_useful(edges))


def _certain(guards: Guards, known: Mapping[Property, tuple[Clause, ...]]) -> frozenset[Property]:
    """Properties that every run satisfies, as far as no two obligations are looked at together: the game of the letters against the choice
    of clauses, which the latter wins when it passes through fixpoints of the greatest kind for ever, or ends."""

    def wins(p: Property, held: frozenset[Property]) -> bool:
        return guards.any_of(g for g, rest in known[p] if rest <= held) == YES

    outer = frozenset(known)
    while True:
        inner: frozenset[Property] = frozenset()
        while True:
            grown = frozenset(
                p for p in known if p in inner or wins(p, inner) or (loops_forever(p) and wins(p, outer))
            )
            if grown == inner:
                break
            inner = grown
        if inner == outer:
            return outer
        outer = inner


def _useful(edges: Mapping[int, tuple[tuple[int, int], ...]]) -> dict[int, tuple[tuple[int, int], ...]]:
    before: dict[int, set[int]] = {}
    for source, row in edges.items():
        for _, target in row:
            before.setdefault(target, set()).add(source)
    useful, todo = {-1}, [-1]
    while todo:
        new = before.get(todo.pop(), set()) - useful
        useful |= new
        todo += new
    return {s: tuple((g, t) for g, t in row if t in useful) for s, row in edges.items() if s in useful}


def may_last(stepper: Stepper, wanted: Property) -> bool:
    """Whether `wanted` may come to hold by what never happens, so that good prefixes alone do not tell."""
    known = states(stepper, [wanted], STATES)
    certain = _certain(stepper.guards, known)
    after = {
        p: {s for _, rest in row for s in rest} - certain for p, row in known.items() if p not in certain
    }
    return any(loops_forever(p) and p in _reached(after, p) for p in after)


def _reached(after: Mapping[Property, set[Property]], start: Property) -> set[Property]:
    seen: set[Property] = set()
    todo = [start]
    while todo:
        new = after[todo.pop()] - seen
        seen |= new
        todo += new
    return seen
