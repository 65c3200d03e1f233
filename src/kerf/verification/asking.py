"""Questions about a design: does a sentence hold (`kerf assert`), what mends it (`kerf repair`), why has a signal its value (`kerf why`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from kerf.archive import Archive
from kerf.core.records import Moment
from kerf.core.types import KerfError
from kerf.verification.claims import claims_of
from kerf.verification.design import load
from kerf.verification.english import to_sva
from kerf.verification.model import Model, model
from kerf.verification.tables import read_table
from kerf.verification.trace import Trace, replay
from kerf.verification.verify import Request, Watch, as_sva, is_sva, problem_of, request_of, verify
from kerf.verification.why import explain


def asserted(request: Request, sentence: str, watch: Watch) -> dict[str, Any]:
    """A sentence translated and judged. KerfError when it is not understood, saying what is."""
    design = problem_of(request).design
    told: dict[str, Any] = {"sentence": sentence, "sva": sentence, "resolved": {}, "remarks": []}
    if not is_sva(sentence):
        found = to_sva(sentence, design)
        told |= {"sva": found.sva, "resolved": dict(found.resolved), "remarks": list(found.notes)}
    report = verify(replace(request, spec=(told["sva"],)), watch=watch)
    (row,) = report["assertions"]
    return (
        told
        | {k: v for k, v in row.items() if k != "text"}
        | {k: report[k] for k in ("design", "notes", "report", "run", "seconds")}
    )


def repaired(
    files: Sequence[str], top: str, how: Mapping[str, Any], trace: str, sentences: Sequence[str], reference: Sequence[str],
    *, seconds: float, most: int, zero: bool, out: str, watch: Watch,
) -> dict[str, Any]:  # fmt: skip
    """Repairs as JSON, the smallest first; the sources of the first in folder `out`. Without a wish, the design's own assertions are it."""
    from kerf.verification.repair import repair

    design = load(files, top=top, **how)
    wanted = [as_sva(s, design) for s in sentences]
    own = not (trace or wanted or reference)
    golden = load(reference, top=top, **how) if reference else None
    found = repair(
        design, table=trace or None, assertions=wanted, own_assertions=own, reference=golden,
        seconds=seconds, most=most, zero=zero, watch=lambda line: watch(Moment(line)),
    )  # fmt: skip
    written = _written(Path(out), found.repairs[0].texts) if out and found.repairs else []
    return {
        "design": design.top,
        "repairs": [r.as_json() for r in found.repairs],
        "passes": found.passes,
        "exhausted": found.exhausted,
        "notes": list(found.notes),
        "written": written,
        "seconds": round(found.seconds, 3),
    }


def _written(folder: Path, texts: Mapping[str, str]) -> list[str]:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (folder / Path(name).name).write_text(text, errors="surrogateescape")
    return [str(folder / Path(name).name) for name in texts]


def of_files(design: Sequence[str], trace: str, top: str) -> tuple[Model, Trace]:
    """A run that the user brings."""
    if not design or not trace:
        raise KerfError("a run of your own takes both --design FILE... and --trace FILE")
    made = model(load(design, top=top))
    return made, read_table(Path(trace), made).trace()


def of_run(run: str, assertion: str) -> tuple[Model, Trace]:
    """The counterexample of a run of `kerf verify`."""
    with Archive() as archive:
        record = archive.run(run)
        request = request_of(record)
        details = [dict(t.evaluation.detail) for t in archive.trials(record.id)]
    traced = [d for d in details if d.get("trace") and assertion in ("", d["name"])]
    if not traced:
        what = f"of {assertion} " if assertion else ""
        raise KerfError(
            f"run {record.id} has no counterexample {what}to explain: give --design and --trace, or another --run"
        )
    problem = problem_of(request)
    made, _ = claims_of(problem)
    start = {int(k): int(v) for k, v in traced[0]["start"].items()}
    return made, Trace(tuple(traced[0]["trace"]), start)


def explained(made: Model, trace: Trace, signal: str, at: int | None) -> dict[str, Any]:
    """The explanation as JSON: each reason with its lines, and the inputs that matter with their values ("-" for bits that do not)."""
    time = len(trace) - 1 if at is None else at
    found = explain(made, trace, signal, time)
    inputs = {n for n, s in made.graph.signals.items() if s.kind == "input"}
    reasons = [
        asdict(r) | {"origin": _origin(r.signal in inputs, r.time)}
        for r in sorted(found.reasons, key=lambda r: -r.time)
    ]
    values = replay(made, trace, [signal])[time][signal]
    needed = [
        {
            name: _masked(int(trace.inputs[t].get(name, 0)), mask, len(made.graph.signals[name].bits))
            for name, mask in row.items()
        }
        for t, row in enumerate(found.needed)
    ]
    return {
        "signal": signal,
        "at": time,
        "value": values,
        "reasons": reasons,
        "needed": needed,
        "initial": list(found.initial),
    }


def _origin(is_input: bool, time: int) -> str:
    return "an input" if is_input else "its initial value" if time == 0 else "a constant"


def _masked(value: int, mask: int, width: int) -> str:
    """In binary where some bits do not matter, else in hexadecimal."""
    if mask == (1 << width) - 1:
        return f"{value:x}"
    return "0b" + "".join(str(value >> i & 1) if mask >> i & 1 else "-" for i in reversed(range(width)))
