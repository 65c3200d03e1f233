"""Assertions scored as tests are: which mutants break each of them.

An assertion notices a mutant where a run that the design passes violates it in the mutant. Runs are those that exist, those that coverage found, and random
ones; a cycle counts while every assumption has held. What no such run shows may still be refuted by another: the counts are lower bounds.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from kerf.core.types import KerfError
from kerf.verification.claims import claims_of
from kerf.verification.coverage.board import gate
from kerf.verification.graph import FALSE
from kerf.verification.model import Model
from kerf.verification.mutation.mutant import Mutant, instrument
from kerf.verification.mutation.mutated import Mutated, switches
from kerf.verification.mutation.sites import find
from kerf.verification.problem import VerificationProblem
from kerf.verification.random_runs import random_runs
from kerf.verification.sva import Assertion
from kerf.verification.tables import Table
from kerf.verification.trace import Trace

RUNS, CYCLES = 40, 60  # random ones, besides those that exist


def noticed(
    problem: VerificationProblem, model: Model, mutants: Sequence[Mutant], tests: Sequence[Trace | Table], deadline: float
) -> dict[str, np.ndarray]:  # fmt: skip
    """Assertion -> (mutants,) bool. `model` is the design without monitors, in whose terms `tests` are. Assertions that only a solver's choices or an infinite run
    violate are not there. KerfError where no graph holds mutants and monitors, or the time, until `deadline` (of `time.monotonic`), is too short to make one."""
    made, assertions = _watched(problem, model, mutants, deadline - time.monotonic())
    claims = [a for a in assertions if a.kind == "assert" and not a.symbolic and a.finite != FALSE]
    bad = gate(made.graph, [a.finite for a in claims], [a.bad ^ 1 for a in assertions if a.kind == "assume"])
    lanes = made.lanes(bad)
    rows = np.zeros((len(claims), len(mutants)), bool)
    for run in [*tests, *random_runs(model, RUNS, CYCLES, problem.seed)]:
        if time.monotonic() > deadline:
            break
        rows |= made.broken(run, bad, lanes)
    return {a.name: row for a, row in zip(claims, rows)}


def _watched(
    problem: VerificationProblem, model: Model, mutants: Sequence[Mutant], seconds: float
) -> tuple[Mutated, list[Assertion]]:
    """The mutants in one graph with the monitors."""
    changed = instrument(model.design, mutants, find(model.design).headers)
    design = problem.design.with_texts(changed.texts)
    reset = "" if model.reset is None else ("" if model.reset.active else "!") + model.reset.name
    asked = replace(problem, design=design, reset=reset)
    watched, assertions = claims_of(asked, max(seconds, 0.05), keep=False)
    if watched.stepped != model.stepped:
        raise KerfError("the assertions have another clock than the design's registers")
    size = 1 + max(watched.initial, default=0)  # monitors were added after it
    select = switches(watched.graph, changed.select)
    return Mutated(model, watched.graph, tuple(mutants), select, size=size), assertions


def by_mutant(mutants: Sequence[Mutant], rows: Mapping[str, np.ndarray]) -> dict[Mutant, list[str]]:
    """Mutant -> the assertions that notice it."""
    return {m: [name for name, row in rows.items() if row[k]] for k, m in enumerate(mutants)}
