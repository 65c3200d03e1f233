"""The assertions of a problem as monitors: those of its source, and those given beside it."""

from __future__ import annotations

from dataclasses import replace

from kerf.verification.model import Model
from kerf.verification.problem import VerificationProblem
from kerf.verification.sva import Assertion
from kerf.verification.sva.compiler import compiled


def claims_of(
    problem: VerificationProblem, timeout_s: float = 60.0, *, keep: bool = True
) -> tuple[Model, list[Assertion]]:
    """The model with the monitors of all assertions; those that are not in the source are called spec1, spec2, ... `keep` as for `synthesize`."""
    made, assertions, facts = compiled(
        problem.design,
        problem.properties,
        reset=problem.reset,
        reset_free=problem.reset_free,
        keep=keep,
        timeout_s=timeout_s,
    )
    origin = [*facts.origin, *([-1] * (len(assertions) - len(facts.origin)))]
    named = [
        a if i < 0 else replace(a, name=f"spec{i + 1}", text=problem.properties[i], source="")
        for a, i in zip(assertions, origin)
    ]
    return made, named
