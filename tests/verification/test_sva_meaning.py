"""What compiled assertions mean, against a reference that reads the standard literally; and that mutants of the compiler do not pass."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from sva_reference import Term, Word
from sva_terms import disagreement, properties, words

from kerf.core.types import KerfError
from kerf.verification.sva import automaton, compiler, liveness, translate
from kerf.verification.sva import properties as meaning
from kerf.verification.sva import sequences as matching

A, B, C = (("bool", ("sig", n)) for n in "abc")
a, b, c = (("sig", n) for n in "abc")
SLOW = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]


@settings(max_examples=40, deadline=None, suppress_health_check=SLOW, derandomize=True)
@given(properties(), st.lists(words(), min_size=3, max_size=4))
def test_any_property_means_what_the_standard_says(term: Term, over: list[Word]) -> None:
    try:
        found = disagreement(term, over)
    except KerfError:
        assume(False)  # an empty match where the standard forbids one
    assert not found


CORPUS: list[Term] = [
    ("|->", A, ("weak", ("delay", B, 2, 2, C))),
    ("|=>", A, ("weak", ("lead", 1, 2, B))),
    ("|->", ("->", a, 2, 2), ("weak", B)),
    ("|->", ("delay", ("=", a, 1, 1), 1, 1, B), ("weak", C)),
    ("|->", ("*", A, 2, 3), ("weak", B)),
    ("|->", A, ("weak", ("throughout", b, ("lead", 2, 2, C)))),
    ("|->", A, ("weak", ("within", B, ("*", C, 2, 2)))),
    ("|->", ("first_match", ("delay", A, 1, 2, B)), ("weak", C)),
    ("|->", ("delay", ("first_match", ("*", A, 0, 2)), 1, 1, B), ("weak", C)),
    ("|->", A, ("weak", ("and", ("lead", 1, 1, B), ("lead", 2, 2, C)))),
    ("|->", A, ("weak", ("intersect", ("lead", 1, 2, B), ("lead", 2, 3, C)))),
    ("until", ("weak", A), ("weak", B)),
    ("s_until", ("weak", A), ("weak", B)),
    ("until_with", ("weak", A), ("weak", B)),
    ("|->", A, ("s_eventually", 0, None, ("weak", B))),
    ("not", ("strong", ("delay", A, 1, None, B))),
    ("|->", A, ("always", 1, 2, ("weak", B))),
    ("accept_on", c, ("|->", A, ("strong", ("lead", 2, 2, B)))),
    ("accept_on", c, ("weak", ("intersect", ("delay", A, 1, 1, B), C))),
    ("reject_on", c, ("nexttime", 1, ("weak", A))),
    ("if", a, ("weak", B), ("nexttime", 1, ("weak", C))),
    ("implies", ("weak", A), ("nexttime", 2, ("weak", B))),
    ("|->", A, ("strong", ("lead", 0, None, B))),
    ("or_p", ("s_eventually", 0, None, ("weak", B)), ("always", 0, None, ("weak", C))),
    ("|->", A, ("not", ("s_eventually", 1, None, ("strong", ("delay", B, 1, 1, C))))),
]


@cache
def over() -> list[Word]:
    rng = Random(1)
    letters = [frozenset(x) for x in ("", "a", "b", "c", "ab", "ac", "bc", "abc")]
    rows = [tuple(rng.choices(letters, k=rng.randint(1, 5))) for _ in range(60)]
    return [Word(row, rng.randint(max(0, len(row) - 3), len(row) - 1)) for row in rows]


@pytest.mark.parametrize("term", CORPUS)
def test_each_operator_means_what_the_standard_says(term: Term) -> None:
    assert not disagreement(term, over())


def _off_by_one(delayed: Callable[..., Any]) -> Callable[..., Any]:
    return lambda left, low, high, right: delayed(left, low + 1, high and high + 1, right)


MUTANTS: dict[str, tuple[Any, str, Callable[[Any], Any]]] = {
    "a delay is one too long": (translate, "delayed", _off_by_one),
    "goto counts every tick": (
        translate,
        "goto",
        lambda f: lambda guards, x, m, n: matching.repeat(matching.Tick(x), m, n),
    ),
    "[=] ends like [->]": (translate, "nonconsecutive", lambda f: matching.goto),
    "within may end later": (
        translate,
        "within",
        lambda f: lambda i, o: matching.concat(o, matching.ticks(0, None)),
    ),
    "and ends with the left": (translate, "both", lambda f: lambda left, right: left),
    "intersect is and": (translate, "intersect", lambda f: matching.both),
    "repetition once less": (translate, "repeat", lambda f: lambda s, m, n: f(s, max(m - 1, 1), n)),
    "first match is any match": (translate, "first", lambda f: lambda body: body),
    "weak is strong": (automaton, "loops_forever", lambda f: lambda p: False),
    "strong is weak, in lassos": (liveness, "loops_forever", lambda f: lambda p: True),
    "no infinite run is looked at": (compiler, "may_last", lambda f: lambda stepper, wanted: False),
    "abort the wrong way": (translate, "abort", lambda f: lambda g, accept, p: f(g, not accept, p)),
    "always stops early": (
        translate,
        "later",
        lambda f: lambda p, m, n, every: f(p, m, m if n else n, every),
    ),
    "until needs both": (translate, "Until", lambda f: lambda p, q, w: meaning.Release(q, p, w)),
    "until_with is until": (translate, "Release", lambda f: lambda q, p, w: meaning.Until(p, q, w)),
    "negation does nothing": (meaning.Stepper, "dual", lambda f: lambda self, p: p),
    "an alternative is lost": (meaning, "any_of", lambda f: lambda parts: next(iter(parts))),
    "violations a move early": (automaton, "_certain", lambda f: lambda g, known: frozenset(known)),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_a_mutant_of_the_compiler_is_noticed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module, attribute, change = MUTANTS[name]
    monkeypatch.setattr(module, attribute, change(getattr(module, attribute)))
    assert any(_noticed(term) for term in CORPUS)


def _noticed(term: Term) -> bool:
    try:
        return bool(disagreement(term, over()))
    except (KerfError, RecursionError, StopIteration, KeyError, OverflowError):
        return False  # what crashes is no wrong verdict
