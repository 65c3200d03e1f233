"""Assertions graded against reference assertions by proof, in FVEval's layout (Kang et al., "FVEval", arXiv 2410.23299): a table with the columns `task_id`,
`ref_solution` and `testbench` (the module whose signals they speak of); answers are another table with `task_id` and `response`.
"""

from __future__ import annotations

import csv
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from kerf.core.types import KerfError
from kerf.verification.design import Design, Source, read
from kerf.verification.sva import equivalent
from kerf.verification.sva.mending import mended

FENCE = re.compile(r"```(?:\w+)?\n(.*?)```", re.S)


@dataclass(frozen=True)
class GradedAssertion:
    """`verdict`: equivalent, answer implies reference, reference implies answer, different, undecided, or broken (the answer is no assertion that is
    understood; `why` says more)."""

    task: str
    verdict: str
    why: str
    seconds: float

    def as_json(self) -> dict[str, Any]:
        return {
            "task": self.task,
            "verdict": self.verdict,
            "why": self.why,
            "seconds": round(self.seconds, 3),
        }


def judge_assertions(
    references: Path, answers: Path, *, timeout_s: float = 20.0
) -> Iterator[GradedAssertion]:
    """Grade each answer that has a reference. KerfError when a table is not in FVEval's layout, or none has."""
    asked = {row["task_id"]: row for row in _table(references, "task_id", "ref_solution", "testbench")}
    given = [row for row in _table(answers, "task_id", "response") if row["task_id"] in asked]
    if not given:
        raise KerfError(f"no task_id of {answers} is one of {references}")
    for row in given:
        task = asked[row["task_id"]]
        yield grade(row["task_id"], task["testbench"], task["ref_solution"], row["response"], timeout_s=timeout_s)  # fmt: skip


def grade(
    task: str, testbench: str, reference: str, answer: str, *, timeout_s: float = 20.0
) -> GradedAssertion:
    """One answer against its reference in the scope of a testbench's module. Faults of the reference that leave one meaning are mended, those of the answer
    are not. KerfError when the reference is not understood."""
    begun = time.monotonic()
    design = _design(testbench)
    text = _code(answer)
    reference, faults = mended(reference)
    try:
        found = equivalent(design, text, reference, timeout_s=timeout_s)
    except KerfError as error:
        equivalent(
            design, reference, reference, timeout_s=timeout_s
        )  # the reference's fault is not the answer's
        return GradedAssertion(task, "broken", str(error), time.monotonic() - begun)
    verdict = found.verdict.replace("left", "answer").replace("right", "reference")
    why = f"the reference has {'; '.join(faults)}" if faults else ""
    return GradedAssertion(task, verdict, why, time.monotonic() - begun)


@lru_cache(maxsize=4)
def _design(testbench: str) -> Design:
    return read([Source("testbench.sv", testbench)])


def _code(answer: str) -> str:
    """What a language model fenced as code, or all it said."""
    found = FENCE.findall(answer)
    return str(found[-1] if found else answer).strip()


def _table(path: Path, *columns: str) -> list[Mapping[str, str]]:
    csv.field_size_limit(1 << 24)
    try:
        with path.open(newline="", encoding="utf-8", errors="replace") as file:
            rows = list(csv.DictReader(file))
    except OSError as error:
        raise KerfError(f"cannot read {path}: {error.strerror}") from error
    missing = [c for c in columns if not rows or c not in rows[0]]
    if missing:
        raise KerfError(f"{path} has no column {', '.join(missing)}: it needs {', '.join(columns)}")
    return list(rows)
