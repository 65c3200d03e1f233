"""What a Proposer promises, as checks for plug-in authors to run in their own tests:

@pytest.mark.parametrize("check", conformance.CHECKS, ids=lambda c: c.__name__)
def test_conformance(check):
    check(MyProposer)      # called as MyProposer(space, archive, seed)
"""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kerf.core.records import Memory
from kerf.core.types import Candidate, Evaluation, Proposer, Space, Status

Factory = Callable[[Space, Memory | None, int], Proposer]

CHOICES: dict[str, tuple[Any, ...]] = {
    "tile": (1, 2, 4, 8, 16, 32, 64, 128),
    "unroll": (1, 2, 4, 8, 16),
    "order": ("ijk", "ikj", "kij"),
    "pack": (False, True),
    "prefetch": (0, 2, 4, 8, 16),
    "vector": (1, 2, 4, 8),
    "align": (0, 1, 2, 3),
}


@dataclass(frozen=True)
class ToySpace:
    """A small space of independent decisions. `choices` may be cut down to make one that is soon exhausted."""

    signature_vector: tuple[float, ...] = (1.0,)
    choices: Mapping[str, tuple[Any, ...]] | None = None

    @property
    def decisions(self) -> Mapping[str, tuple[Any, ...]]:
        return self.choices or CHOICES

    @property
    def signature(self) -> Mapping[str, Any]:
        return {"kind": "toy", "vector": list(self.signature_vector)}

    def default(self) -> dict[str, Any]:
        return {name: values[0] for name, values in self.decisions.items()}

    def sample(self, rng: random.Random) -> dict[str, Any]:
        return {name: rng.choice(values) for name, values in self.decisions.items()}

    def mutate(self, point: Mapping[str, Any], rng: random.Random) -> dict[str, Any]:
        name = rng.choice(sorted(self.decisions))
        return {**point, name: rng.choice(self.decisions[name])}

    def cross(self, a: Mapping[str, Any], b: Mapping[str, Any], rng: random.Random) -> dict[str, Any]:
        return {name: (a if rng.random() < 0.5 else b)[name] for name in self.decisions}

    def adapt(self, point: Mapping[str, Any]) -> dict[str, Any]:
        legal = self.decisions.items()
        return {name: point[name] if point.get(name) in values else values[0] for name, values in legal}

    def features(self, point: Mapping[str, Any]) -> list[float]:
        return [float(values.index(point[name])) for name, values in self.decisions.items()]

    def candidate(self, point: Mapping[str, Any], *, parent: str | None, proposer: str) -> Candidate:
        files = {"point.json": json.dumps(dict(point), sort_keys=True)}
        return Candidate(files, parent, proposer, {"point": dict(point)})


def judge(candidate: Candidate) -> Evaluation:
    """A deterministic verdict over ToySpace, one in eight a failure."""
    point = candidate.notes["point"]
    index = sum((i + 1) * CHOICES[name].index(value) for i, (name, value) in enumerate(point.items()))
    if index % 8 == 7:
        return Evaluation(Status.WRONG, "off by one")
    return Evaluation(Status.PASSED, score=1.0 + math.sin(index / 7.0) / 2)


def search(proposer: Proposer, evaluations: int, batch: int = 4) -> list[Candidate]:
    """Ask and tell until so many were evaluated or nothing is left."""
    done: list[Candidate] = []
    while len(done) < evaluations and (asked := proposer.ask(min(batch, evaluations - len(done)))):
        for candidate in asked:
            proposer.tell(candidate, judge(candidate))
        done += asked
    return done


def check_has_a_name(make: Factory) -> None:
    assert make(ToySpace(), None, 0).name, (
        "a proposer needs a name: runs and candidates are recorded under it"
    )


def check_never_asks_for_more(make: Factory) -> None:
    proposer = make(ToySpace(), None, 0)
    for n in (1, 3, 8):
        assert len(proposer.ask(n)) <= n, f"ask({n}) gave more than {n}"
    assert not proposer.ask(0), "ask(0) gave something"


def check_first_answer(make: Factory) -> None:
    assert make(ToySpace(), None, 0).ask(1), "a fresh proposer with an empty archive has nothing to propose"


def check_no_duplicates(make: Factory) -> None:
    ids = [c.id for c in search(make(ToySpace(), None, 1), 60)]
    assert len(ids) == len(set(ids)), "a candidate was proposed twice"


def check_respects_what_it_is_told(make: Factory) -> None:
    """A candidate told of (by another proposer, or from the archive) is known."""
    proposer, told = make(ToySpace(), None, 2), []
    rng = random.Random(5)
    for _ in range(20):
        candidate = ToySpace().candidate(ToySpace().sample(rng), parent=None, proposer="another")
        proposer.tell(candidate, judge(candidate))
        told.append(candidate.id)
    again = {c.id for c in search(proposer, 60)} & set(told)
    assert not again, f"{len(again)} candidates were proposed after their evaluation had been told"


def check_deterministic(make: Factory) -> None:
    first, second = (_ids(search(make(ToySpace(), None, 7), 40)) for _ in range(2))
    assert first == second, "the same seed and the same evaluations gave different proposals"


def check_ends_when_exhausted(make: Factory) -> None:
    """A space of four points must not be asked for a fifth, nor for ever."""
    small = {**{name: values[:1] for name, values in CHOICES.items()}, "tile": CHOICES["tile"][:4]}
    ids = _ids(search(make(ToySpace(choices=small), None, 0), 50))
    assert len(ids) == len(set(ids)) <= 4, "a space of four points gave more candidates than that"


def check_survives_failures(make: Factory) -> None:
    proposer = make(ToySpace(), None, 3)
    for _ in range(10):
        for candidate in proposer.ask(4):
            proposer.tell(candidate, Evaluation(Status.CRASHED, "segmentation fault"))


def check_survives_strangers(make: Factory) -> None:
    """Candidates that stand for no point of the space (written by a person or a model) are told too."""
    proposer = make(ToySpace(), None, 3)
    proposer.tell(Candidate({"kernel.py": "pass"}, proposer="person"), Evaluation(Status.PASSED, score=3.0))
    assert proposer.ask(2), "after a stranger's candidate nothing was proposed"


def check_notes_are_json(make: Factory) -> None:
    for candidate in search(make(ToySpace(), None, 0), 12):
        json.dumps(dict(candidate.notes))


CHECKS: Sequence[Callable[[Factory], None]] = (
    check_has_a_name,
    check_never_asks_for_more,
    check_first_answer,
    check_no_duplicates,
    check_respects_what_it_is_told,
    check_deterministic,
    check_ends_when_exhausted,
    check_survives_failures,
    check_survives_strangers,
    check_notes_are_json,
)


def _ids(candidates: Sequence[Candidate]) -> list[str]:
    return [c.id for c in candidates]
