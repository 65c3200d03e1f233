"""Our verdicts, a search of every state, and z3 agree: on random designs, about every property of theirs."""

from __future__ import annotations

import re

import pytest
from designs import design
from small_designs import Claim, Explicit, SmallDesign, first_failure, small_design, source

from kerf.verification.model import Model
from kerf.verification.prove import Property, Result, Verdict, prove
from kerf.verification.sva import compile
from kerf.verification.trace import replay

z3 = pytest.importorskip("z3")
CYCLES = 6


def disagreements(d: SmallDesign) -> list[str]:
    """What the three say of the claims of a design, where it is not the same."""
    reset = {"rst_n": "!rst_n"}.get(d.reset, d.reset)
    made, assertions = compile(design(source(d)), reset=reset)
    assumed = [a.bad ^ 1 for a in assertions if a.kind == "assume"]
    asked = {a.name: a.bad for a in assertions if a.kind == "assert"}
    visited, loose = Explicit(d), _loose(d, made)
    found = []
    for index, claim in enumerate(d.claims):
        (ours,) = prove(made, [Property(f"c{index}", asked[f"c{index}"])], assumed=assumed)
        truth = visited.depth(claim)
        if claim.form != "live" and first_failure(d, claim, CYCLES) != (
            truth if truth is not None and truth < CYCLES else None
        ):
            found.append(f"c{index}: z3 does not say what the states say, {truth}")
        if (ours.verdict is Verdict.PROVED) != (truth is None) and not (loose and truth is None):
            found.append(f"c{index}: {ours.verdict} by {ours.engine}, states say {truth}")
        elif (
            truth is not None and claim.form != "live" and not (loose or _is_run(visited, made, ours, claim))
        ):
            found.append(f"c{index}: the counterexample is none")
    return found


def _loose(d: SmallDesign, made: Model) -> bool:
    """Whether the notes say that a register is free, as one is that nothing but its reset assigns: proofs hold, but it can do more than it should."""
    (undriven,) = [n for n in made.notes if n.startswith("undriven")] or [""]
    return bool(set(re.findall(r"\w+", undriven)) & {r.partition("[")[0] for r in d.registers})


def _is_run(visited: Explicit, made: Model, ours: Result, claim: Claim) -> bool:
    d = visited.design
    assert ours.trace
    names = [n for n in {**d.inputs, **d.registers} if n in made.graph.signals]
    rows = [{str(n): v for n, v in row.items()} for row in replay(made, ours.trace, names)]
    return len(rows) == ours.depth + 1 and visited.explains(rows, claim)


@pytest.mark.parametrize("seed", range(12))
def test_verdicts_are_those_of_every_state_and_of_z3(seed: int) -> None:
    d = small_design(seed)
    assert not disagreements(d), source(d)
