"""Verilog graded against a reference, in VerilogEval's layout (Pinckney et al., arXiv 2408.11053): `NAME_ref.sv` with a module RefModule, and `NAME_test.sv`, its
testbench; answers are `NAME*.sv` anywhere below another folder, with a module TopModule.

A proof says more than a testbench, which sees some inputs alone. An answer that a proof shows to differ and that its testbench passes differs where
the testbench does not look, which may be outside what the task allows: the two are told apart.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from kerf.core.types import KerfError
from kerf.verification.design import Design, load
from kerf.verification.equivalence import Equivalence, Same, equivalent
from kerf.verification.judge.testbench import Run, simulate

REFERENCE, ANSWER = "RefModule", "TopModule"


class Grade(StrEnum):
    PROVED = "proved"
    """Equal for all inputs, for ever."""
    PASSED = "passed"
    """The testbench passes; a proof was not found, or shows a difference where the testbench does not look."""
    WRONG = "wrong"
    DIFFERENT = "different"
    """By proof; there is no testbench to ask, or none that runs here."""
    BROKEN = "broken"
    """Does not compile, or has other ports."""
    UNDECIDED = "undecided"


@dataclass(frozen=True)
class GradedAnswer:
    """`answer`: the path as found; `proof`: what equivalence said, None where nothing could be compared; `why`: for a person."""

    problem: str
    answer: str
    grade: Grade
    why: str
    seconds: float
    proof: Equivalence | None = None
    testbench: Run | None = None

    def as_json(self) -> dict[str, Any]:
        return {"problem": self.problem, "answer": self.answer, "grade": str(self.grade), "why": self.why, "seconds": round(self.seconds, 3),
                "proof": self.proof.as_json() if self.proof else None, "testbench": str(self.testbench) if self.testbench else None}  # fmt: skip


def judge(references: Path, answers: Path, *, timeout_s: float = 20.0, testbenches: bool = True) -> Iterator[GradedAnswer]:  # fmt: skip
    """Grade each answer as soon as it is known; `timeout_s` is for the proof of one. KerfError when there is nothing to grade."""
    problems = {p.name.removesuffix("_ref.sv"): p for p in sorted(references.glob("*_ref.sv"))}
    if not problems:
        raise KerfError(
            f"no references in {references}: they are files NAME_ref.sv with a module {REFERENCE}"
        )
    found = list(_answers(answers, problems))
    if not found:
        raise KerfError(f"no answers in {answers}: they are files NAME*.sv, NAME being one of {', '.join(list(problems)[:3])}...")  # fmt: skip
    for name, answer in found:
        yield _Judging(name, problems[name], answer, timeout_s, testbenches).grade()


def _answers(folder: Path, problems: Mapping[str, Path]) -> Iterator[tuple[str, Path]]:
    """Answers with the longest problem's name that theirs begins with."""
    files = [p for p in sorted(folder.rglob("*")) if p.suffix in (".sv", ".v") and p.is_file()]
    for path in files:
        names = [n for n in problems if path.stem == n or path.stem.startswith((f"{n}_", f"{n}."))]
        if names and not path.stem.endswith(("_ref", "_test")):
            yield max(names, key=len), path


@dataclass
class _Judging:
    name: str
    reference: Path
    answer: Path
    timeout_s: float
    testbenches: bool

    def grade(self) -> GradedAnswer:
        begun = time.monotonic()
        proof, run = None, None
        try:
            gate = _load(self.answer, ANSWER)
        except KerfError as error:
            grade, why = Grade.BROKEN, str(error)
        else:
            proof, why = self._prove(gate)
            run = None if proof and proof.verdict is Same.EQUAL else self._simulate()
            grade = _graded(proof, run, why)
        return GradedAnswer(self.name, str(self.answer), grade, why, time.monotonic() - begun, proof, run)

    def _prove(self, gate: Design) -> tuple[Equivalence | None, str]:
        try:
            proof = equivalent(_load(self.reference, REFERENCE), gate, timeout_s=self.timeout_s)
        except KerfError as error:
            return None, str(error)
        if proof.verdict is Same.DIFFERENT:
            last = proof.table[-1]
            shown = ", ".join(f"{n} is {last[n]} (reference/answer)" for n in proof.outputs)
            return proof, f"in cycle {len(proof.table) - 1} {shown}"
        return proof, "; ".join(proof.notes)

    def _simulate(self) -> Run | None:
        bench = self.reference.with_name(f"{self.name}_test.sv")
        if not self.testbenches or not bench.exists():
            return None
        return simulate([bench, self.reference, self.answer])


def _load(path: Path, top: str) -> Design:
    return load([path], top=top)


def _graded(proof: Equivalence | None, run: Run | None, why: str) -> Grade:
    if proof and proof.verdict is Same.EQUAL:
        return Grade.PROVED
    if run is Run.PASSED:
        return Grade.PASSED
    if run is Run.FAILED:
        return Grade.WRONG
    if proof and proof.verdict is Same.DIFFERENT:
        return Grade.DIFFERENT
    return Grade.BROKEN if "cannot be compared" in why else Grade.UNDECIDED
