"""Equivalence as a judge, and English as assertions, on public benchmarks.

`python bench/verification_judge.py --data FOLDER [--only WORK] [--limit N]`, with checkouts of github.com/NVlabs/verilog-eval and github.com/NVlabs/FVEval in FOLDER.

VerilogEval's references (Pinckney et al., arXiv 2408.11053) are judged against themselves synthesized by another flow: Yosys's own Verilog frontend (its
SystemVerilog frontend where that refuses), `synth` with state machines encoded anew, ABC, and written as Verilog. Then mutants of them are judged: none may be
called equal that a long random simulation tells apart. FVEval's English (Kang et al., arXiv 2410.23299) is translated and graded by proof against its
references; the grammar was developed on the first half of NL2SVA-machine, so the second half is told apart.
"""

from __future__ import annotations

import argparse
import csv
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from kerf.core.types import KerfError
from kerf.verification.design import Design, Source, load, read
from kerf.verification.english import to_sva
from kerf.verification.equivalence import Same, equivalent
from kerf.verification.equivalence.decide import models
from kerf.verification.equivalence.product import product
from kerf.verification.equivalence.simulation import run
from kerf.verification.judge.assertions import grade
from kerf.verification.mutation import find
from verification_table import Row, part

YOSYS = (
    "from pyosys import libyosys as ys\nimport sys\nd = ys.Design()\nfor p in sys.argv[1:]: ys.run_pass(p, d)"
)
FRONTENDS = ("read_verilog -sv", "read_slang --ignore-timing --allow-dual-edge-ff --top RefModule")
BACK = (
    "synth -flatten -top RefModule",
    "abc -g gates",
    "rename RefModule TopModule",
    "delete */t:$scopeinfo",
)


def references(data: Path) -> list[Path]:
    return sorted((data / "verilog-eval" / "dataset_spec-to-rtl").glob("*_ref.sv"))


def resynthesized(reference: Path, folder: Path) -> Design | None:
    """The same design by another flow, as Verilog. A latch in an always_comb is refused there, so it is called always."""
    text = re.sub(r"\balways_comb\b", "always @*", reference.read_text())
    source, made = folder / "source.sv", folder / reference.name
    source.write_text(text)
    for frontend in FRONTENDS:
        passes = [f"{frontend} {source}", *BACK, f"write_verilog -noattr {made}"]
        done = subprocess.run(
            [sys.executable, "-c", YOSYS, *passes], capture_output=True, timeout=300, check=False
        )
        if done.returncode == 0:
            return load([made], top="TopModule")
    return None


def judged(data: Path, limit: int | None) -> Row:
    """The references against themselves."""
    seconds, verdicts, open_ones = [], Counter[str](), []
    with tempfile.TemporaryDirectory() as folder:
        for path in references(data)[:limit]:
            gate = resynthesized(path, Path(folder))
            if gate is None:
                verdicts["not synthesized"] += 1
                continue
            begun = time.monotonic()
            found = equivalent(load([path], top="RefModule"), gate, timeout_s=60)
            seconds.append(time.monotonic() - begun)
            verdicts[str(found.verdict)] += 1
            if found.verdict is not Same.EQUAL:
                open_ones.append(path.name.removesuffix("_ref.sv"))
            _progress(f"{sum(verdicts.values())} references: {dict(verdicts)}")
    measured = f"{verdicts['equal']} of {sum(verdicts.values())}, median {statistics.median(seconds):.2f} s, mean {statistics.mean(seconds):.2f} s"
    return {"work": "VerilogEval v2 references proved equal to their resynthesis", "known": "147 of 156 in a prototype", "measured": measured,
            "aim": ">= 154 of 156, median <= 0.5 s", "seconds": round(sum(seconds), 1), "not proved": open_ones, "verdicts": dict(verdicts)}  # fmt: skip


def mutants(data: Path, limit: int | None, each: int) -> Row:
    """Mutants of the references: different, or not told apart by a long simulation either."""
    verdicts, wrong, seconds, rng = Counter[str](), 0, [], random.Random(0)
    for path in references(data)[:limit]:
        design = load([path], top="RefModule")
        try:
            places = find(design).mutants
        except KerfError:
            continue
        for mutant in rng.sample(places, min(each, len(places))):
            text = {mutant.source: mutant.applied(design.sources[0].text)}
            begun = time.monotonic()
            try:
                changed = design.with_texts(text)
                verdict = equivalent(design, changed, timeout_s=60).verdict
            except KerfError:
                verdicts["refused"] += 1
                continue
            seconds.append(time.monotonic() - begun)
            verdicts[str(verdict)] += 1
            wrong += verdict is Same.EQUAL and _told_apart(design, changed)
            _progress(f"{sum(verdicts.values())} mutants: {dict(verdicts)}")
    measured = f"{verdicts['different']} different, {verdicts['equal']} equal, {verdicts['undecided']} undecided, {verdicts['refused']} refused; {wrong} wrong"
    return {"work": "mutants of VerilogEval's references judged", "known": "/", "measured": measured, "aim": "0 wrong",
            "seconds": round(sum(seconds), 1), "verdicts": dict(verdicts)}  # fmt: skip


def _told_apart(gold: Design, gate: Design) -> bool:
    """Whether 4096 random runs of 256 cycles show a difference."""
    made = product(*models(gold, gate, None, 60.0))
    return any(
        cycle.lanes.literal(made.bad).any() for cycle in run(made.model, cycles=256, words=64, seed=99)
    )


def english(rows: Sequence[dict[str, str]], work: str, reset: str = "") -> Row:
    verdicts, begun = Counter[str](), time.monotonic()
    for row in rows:
        try:
            said = to_sva(row["prompt"], _stage(row["testbench"]), reset=reset)
        except KerfError:
            verdicts["not understood"] += 1
            continue
        verdicts[grade(row["task_id"], row["testbench"], row["ref_solution"], said.sva).verdict] += 1
        _progress(f"{work}: {dict(verdicts)}")
    said_of = ", ".join(f"{n} {v}" for v, n in verdicts.most_common())
    return {"work": work, "known": "/", "measured": f"{verdicts['equivalent']} of {len(rows)} ({said_of})", "aim": "state the figure",
            "seconds": round(time.monotonic() - begun, 1), "verdicts": dict(verdicts)}  # fmt: skip


def _stage(testbench: str) -> Design:
    return read([Source("testbench.sv", testbench)])


def _table(data: Path, kind: str) -> list[dict[str, str]]:
    with (data / "FVEval" / "data_nl2sva" / "data" / f"nl2sva_{kind}.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def rows(data: Path, only: str = "", limit: int | None = None, each: int = 3) -> Iterator[Row]:
    """`only`: references, mutants or english."""
    if only in ("", "references"):
        yield judged(data, limit)
    if only in ("", "mutants"):
        yield mutants(data, limit, each)
    if only in ("", "english"):
        machine, half = _table(data, "machine"), 150
        yield english(machine[:half][:limit], "English to SVA, NL2SVA-machine, first half (developed on)")
        yield english(machine[half:][:limit], "English to SVA, NL2SVA-machine, second half (held out)")
        yield english(_table(data, "human")[:limit], "English to SVA, NL2SVA-human", reset="tb_reset")


def _progress(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r{text[:110]:<110}", end="", file=sys.stderr, flush=True)


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--only", default="", choices=["", "references", "mutants", "english"])
    parser.add_argument("--limit", type=int, help="references, or sentences")
    parser.add_argument("--each", type=int, default=3, help="mutants of each reference")


if __name__ == "__main__":
    part(__doc__, lambda c: rows(c.data, c.only, c.limit, c.each), _options)
