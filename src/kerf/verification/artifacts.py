"""What a run of `kerf verify` leaves for other tools: counterexamples as dumps (VCD) and tables (CSV); the stimulus that coverage found as tables, a
SystemVerilog testbench and a cocotb test, with what is certain of the outputs."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from kerf.archive import Archive
from kerf.core.types import KerfError
from kerf.verification.claims import claims_of
from kerf.verification.coverage.export import cocotb_test, table, testbench
from kerf.verification.model import Model, model
from kerf.verification.trace import Trace, as_csv, as_vcd, replay
from kerf.verification.verify import problem_of, request_of

Files = Iterator[tuple[str, str]]


def export(archive: Archive, run: str, folder: Path) -> Path:
    """Write a run's artifacts into `folder`/verification, from the archive alone, with request.json, what was asked. Returns that folder. KerfError
    where the sources are gone."""
    request = request_of(archive.run(run))
    problem = problem_of(request)
    details = [dict(t.evaluation.detail) for t in archive.trials(run)]
    target = folder / "verification"
    made, _ = claims_of(problem)
    plain = model(problem.design, reset=problem.reset, reset_free=problem.reset_free)
    asked = ("request.json", json.dumps(asdict(request), indent=1) + "\n")
    write(target, [asked, *counterexamples(made, details), *stimulus(plain, details)])
    return target


def write(folder: Path, files: Sequence[tuple[str, str]]) -> None:
    for name, text in files:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def counterexamples(made: Model, details: Sequence[Mapping[str, Any]]) -> Files:
    """A dump and a table of each, all signals that the source names."""
    for detail in details:
        if detail.get("trace"):
            start = {int(k): int(v) for k, v in detail["start"].items()}
            names = [n for n in made.graph.signals if "kerf_" not in n and n != made.clock]
            rows = replay(made, Trace(tuple(detail["trace"]), start), names)
            stem = f"counterexamples/{re.sub(r'[^A-Za-z0-9_.-]', '_', detail['name'])}"
            yield f"{stem}.vcd", as_vcd(made, rows, names)
            yield f"{stem}.csv", as_csv(rows, names)


def stimulus(plain: Model, details: Sequence[Mapping[str, Any]]) -> Files:
    """The runs that cover what coverage covered. A form that cannot say them is left out."""
    traces = [Trace(tuple(rows)) for d in details for rows in d.get("stimuli", [])]
    for index, trace in enumerate(traces):
        yield f"stimulus/run{index + 1}.csv", table(plain, trace)
    if traces:
        for name, form in (
            (f"{plain.design.top}_tb.sv", testbench),
            (f"test_{plain.design.top}.py", cocotb_test),
        ):
            try:
                yield f"stimulus/{name}", form(plain, traces)
            except KerfError as error:
                yield f"stimulus/{name}.left_out.txt", f"{error}\n"
