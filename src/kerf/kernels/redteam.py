"""The red team: every known cheat must fail for the right reason, every honest kernel must pass.

A corpus is a folder with `problems/` (files in KernelBench's layout), `attacks/` and `honest/`. An entry is one Python file with
ModelNew, or a folder with kernel.py and what it needs; its first lines say, as comments:

    # id: B2                  (attacks: which cheat of the catalogue)
    # problem: softmax        (a file in problems/)
    # expect: wrong crashed   (attacks: the statuses that are a right answer to it)
    # reason: after the call  (attacks: a part of the reason that the verdict must give, optional)

Adding a cheat is adding a file.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from kerf.core.types import Candidate, Evaluation, KerfError, Status

_FIELD = re.compile(r"^# (id|problem|expect|reason):[ \t]*(.*)$", re.M)
_SOURCES = (".py", ".c", ".h", ".json")


@dataclass(frozen=True)
class Entry:
    """One attack or honest kernel. `expect`: the statuses that are right."""

    name: str
    kind: str  # attack | honest
    id: str
    problem: str
    expect: tuple[Status, ...]
    reason: str
    files: Mapping[str, str]


@dataclass(frozen=True)
class Outcome:
    entry: Entry
    evaluation: Evaluation

    @property
    def accepted(self) -> bool:
        return self.evaluation.status is Status.PASSED

    @property
    def right(self) -> bool:
        """The expected status, for the expected reason."""
        return self.evaluation.status in self.entry.expect and self.entry.reason in self.evaluation.reason

    def row(self) -> dict[str, Any]:
        return {
            "id": self.entry.id,
            "name": self.entry.name,
            "kind": self.entry.kind,
            "status": str(self.evaluation.status),
            "expected": " or ".join(map(str, self.entry.expect))
            + (f" ({self.entry.reason})" if self.entry.reason else ""),
            "reason": self.evaluation.reason,
            "score": self.evaluation.score,
        }


def shipped_corpus() -> Path:
    """The corpus in the source tree this package runs from, or the one installed beside it."""
    here = Path(__file__).resolve()
    options = [here.parents[3] / "tests" / "redteam", here.parent / "redteam_corpus"]
    found = next((p for p in options if (p / "attacks").is_dir()), None)
    if found is None:
        raise KerfError(
            "the red team's corpus is not installed here; run from a source checkout, or name a folder: kerf redteam FOLDER"
        )
    return found


def read_corpus(folder: Path) -> list[Entry]:
    """Every entry of the corpus. KerfError for a folder that is none, or an entry without its header."""
    if not (folder / "attacks").is_dir() and not (folder / "honest").is_dir():
        raise KerfError(f"{folder} is no corpus: it has neither attacks/ nor honest/.")
    entries = [
        _entry(path, kind, files)
        for kind in ("attack", "honest")
        for path, files in _candidates(folder, kind)
    ]
    known = {p.stem for p in (folder / "problems").glob("*.py")}
    lost = [e.name for e in entries if e.problem not in known]
    if lost:
        raise KerfError(
            f"{folder}: no problems/*.py for {', '.join(lost)}; their `# problem:` line names it."
        )
    return entries


def _candidates(folder: Path, kind: str) -> Iterator[tuple[Path, dict[str, str]]]:
    place = folder / ("attacks" if kind == "attack" else "honest")
    for path in sorted(place.iterdir()) if place.is_dir() else ():
        if path.suffix == ".py":
            yield path, {"kernel.py": path.read_text(encoding="utf-8")}
        elif (path / "kernel.py").is_file():
            yield (
                path,
                {
                    f.name: f.read_text(encoding="utf-8")
                    for f in sorted(path.iterdir())
                    if f.suffix in _SOURCES
                },
            )


def _entry(path: Path, kind: str, files: dict[str, str]) -> Entry:
    header = dict(_FIELD.findall(files["kernel.py"][:4000]))
    need = ("problem",) if kind == "honest" else ("id", "problem", "expect")
    missing = [k for k in need if not header.get(k, "").strip()]
    if missing:
        raise KerfError(f"{path}: the header lacks {', '.join(f'# {k}:' for k in missing)}.")
    try:
        expect = (Status.PASSED,) if kind == "honest" else tuple(Status(s) for s in header["expect"].split())
    except ValueError as error:
        raise KerfError(f"{path}: # expect: {error}; statuses are {', '.join(Status)}.") from error
    return Entry(
        path.stem,
        kind,
        header.get("id", "").strip() or path.stem,
        header["problem"].strip(),
        expect,
        header.get("reason", "").strip(),
        files,
    )


def run(
    folder: Path, entries: list[Entry], watch: Callable[[Outcome], None] = lambda _: None
) -> list[Outcome]:
    """Evaluate the entries, problem by problem, each in a sandbox of its own."""
    from kerf.kernels.problem import load_problem
    from kerf.kernels.referee.evaluator import KernelEvaluator

    outcomes = []
    for name, group in groupby(sorted(entries, key=lambda e: e.problem), key=lambda e: e.problem):
        evaluator = KernelEvaluator(
            load_problem(folder / "problems" / f"{name}.py"), threads=1, baselines=("eager",), claims=True
        )
        try:
            for entry in group:
                outcome = Outcome(entry, evaluator.evaluate(Candidate(entry.files, proposer="redteam")))
                watch(outcome)
                outcomes.append(outcome)
        finally:
            evaluator.close()
    return outcomes


def run_corpus(
    folder: Path | None = None, watch: Callable[[Outcome], None] = lambda _: None
) -> dict[str, Any]:
    """The JSON of `kerf redteam`: how many attacks were accepted and honest kernels rejected, and every outcome that is not what its
    header says (`surprises`)."""
    place = folder or shipped_corpus()
    outcomes = run(place, read_corpus(place), watch)
    attacks, honest = ([o for o in outcomes if o.entry.kind == kind] for kind in ("attack", "honest"))
    return {
        "corpus": str(place),
        "attacks": len(attacks),
        "attacks_accepted": sum(o.accepted for o in attacks),
        "honest": len(honest),
        "honest_rejected": sum(not o.accepted for o in honest),
        "surprises": [o.row() for o in outcomes if not o.right],
        "outcomes": [o.row() for o in outcomes],
    }
