"""The SVA compiler: invariants of a FIFO from source to verdict, and FVEval's reference assertions (Kang et al., arXiv 2410.23299) compiled and compared.

`python bench/verification_sva.py --data FOLDER`, with a checkout of github.com/NVlabs/FVEval in FOLDER/FVEval. CPU seconds are of this process and of the
synthesis worker, which is warm. A reference that is no legal SystemVerilog is told with what is wrong, and counted apart.
"""

from __future__ import annotations

import csv
import statistics
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from kerf.core.types import KerfError
from kerf.verification.design import Design, Source, read
from kerf.verification.prove import Property, prove
from kerf.verification.sva import compile, equivalent
from kerf.verification.sva.mending import mended
from verification_table import FIFO_HEAD, Row, cpu_s, part

FIFO = (
    FIFO_HEAD
    + """\
  default clocking @(posedge clk); endclocking
  default disable iff (rst);
  bounded: assert property (count <= D);
  apart: assert property (full |-> !empty);
  up: assert property (taking && !giving |=> count == $past(count) + 1'b1);
  down: assert property (giving && !taking |=> count == $past(count) - 1'b1);
endmodule
"""
)


def fifo(repeats: int = 7) -> Row:
    """Four invariants, unbounded, from text to verdict."""
    spent, proved = [], 0
    for _ in range(repeats + 1):
        begun = cpu_s()
        made, found = compile(read([Source("fifo.sv", FIFO)]))
        results = prove(made, [Property(a.name, a.bad) for a in found])
        spent.append(cpu_s() - begun)
        proved = sum(r.verdict == "proved" for r in results)
    return {
        "work": "FIFO 8 x 8, 4 invariants, unbounded, source to verdict", "known": "0.15 CPU-s prototype",
        "measured": f"{proved} proved, {statistics.median(spent[1:]):.2f} CPU-s", "aim": "<= 0.3 CPU-s",
        "seconds": round(statistics.median(spent[1:]), 3),
    }  # fmt: skip


def references(data: Path, name: str) -> list[dict[str, str]]:
    csv.field_size_limit(1 << 24)
    with (data / "FVEval" / "data_nl2sva" / "data" / f"nl2sva_{name}.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def compiling(data: Path, name: str) -> Row:
    """Each reference compiled in the scope of its test bench."""
    rows, begun, good, faults = references(data, name), time.monotonic(), 0, Counter[str]()
    refused = []
    for row in rows:
        design = read([Source("testbench.sv", row["testbench"])])
        text, notes = mended(row["ref_solution"])
        faults.update(notes)
        try:
            compile(design, [text])
            good += not notes
        except KerfError as error:
            refused.append({"task": row["task_id"], "why": str(error)})
    mending = "; ".join(f"{n} x {fault}" for fault, n in faults.items())
    told = f"{good} of {len(rows)}" + (f", and {sum(faults.values())} that are no legal SystemVerilog, mended ({mending})" if faults else "")  # fmt: skip
    return {
        "work": f"FVEval NL2SVA-{name}: references compiled", "known": "/ (Jasper needed)",
        "measured": told + (f", {len(refused)} refused" if refused else ""), "aim": f"all {len(rows)}",
        "seconds": round(time.monotonic() - begun, 1), "refused": refused,
    }  # fmt: skip


def comparing(data: Path, name: str) -> Row:
    """Each reference against itself, which must be equivalent, and against the next one over the same signals."""
    rows, counts, seconds = references(data, name), Counter[str](), []
    for row, other in zip(rows, [*rows[1:], rows[0]]):
        design = read([Source("testbench.sv", row["testbench"])])
        for kind, against in (("itself", row), ("another", other)):
            if against["testbench"] == row["testbench"]:
                begun = time.monotonic()
                counts[f"{kind}: {_compared(design, row, against)}"] += 1
                seconds.append(time.monotonic() - begun)
    return {
        "work": f"FVEval NL2SVA-{name}: references compared by proof", "known": "/ (Jasper needed)",
        "measured": "; ".join(f"{n} {what}" for what, n in sorted(counts.items())), "aim": "itself: equivalent, none undecided",
        "seconds": round(sum(seconds), 1), "median_s": round(statistics.median(seconds), 3), "max_s": round(max(seconds), 3),
    }  # fmt: skip


def _compared(design: Design, left: dict[str, str], right: dict[str, str]) -> str:
    texts = [mended(x["ref_solution"])[0] for x in (left, right)]
    return equivalent(design, *texts, timeout_s=20).verdict


def rows(data: Path) -> Iterator[Row]:
    yield fifo()
    for name in ("human", "machine"):
        yield compiling(data, name)
    for name in ("human", "machine"):
        yield comparing(data, name)


if __name__ == "__main__":
    part(__doc__, lambda chosen: rows(chosen.data))
